// A recurrent layer over whole sequences: packs, cuts the batch into blocks, runs the cell, sums the gradients.
#include <cstring>

#include "operations.hpp"
#include "packs.hpp"
#include "parallel.hpp"

namespace pyrnn {
namespace {

// Rows of the batch that one task walks through time with: two full tiles in flight while the weights fit into L2's
// share, more where weights must be streamed.
template <class T>
Index block_rows(const Rnn<T>& p) {
    constexpr Index kSmall = 16, kLarge = 64, kWeightBytes = Index{512} << 10;
    return (p.features + p.units) * p.units * static_cast<Index>(sizeof(T)) <= kWeightBytes ? kSmall : kLarge;
}

template <class T>
void scale_input(const Rnn<T>& p, const T* in, T* out) {
    for (Index b = 0; b < p.batch; ++b)
        for (Index t = 0; t < p.steps; ++t)
            for (Index f = 0; f < p.features; ++f) {
                const Index at = (b * p.steps + t) * p.features + f;
                out[at] = in[at] * p.input_scale[b * p.features + f];
            }
}

template <class T>
const T* scaled_input(const Rnn<T>& p, Workspace& ws) {
    if (!p.input_scale) return p.x;
    T* scaled = ws.scratch<T>(Workspace::kInput, p.batch * p.steps * p.features);
    scale_input(p, p.x, scaled);
    return scaled;
}

// dW, dU and db of the rows [first, last), added to a padded partial result (F + H + 1, Hp).
template <class T>
void add_weight_gradients(const Rnn<T>& p, const T* x, const T* previous, const T* da, Index first, Index last, T* partial) {
    const auto& k = kernels<T>();
    const Index hp = padded<T>(p.units), tf = p.steps * p.features, th = p.steps * p.units;
    T* du = partial + p.features * hp;
    k.add_rows(du + p.units * hp, da + first * p.steps * hp, hp, (last - first) * p.steps, hp);
    if (!p.backwards)
        k.gemm_tn({x + first * tf, p.features, da + first * p.steps * hp, hp, (last - first) * p.steps, p.features, hp,
                   partial, hp});
    for (Index b = first; b < last; ++b) {
        const T* da_row = da + b * p.steps * hp;
        if (p.backwards)
            k.gemm_tn({x + b * tf + (p.steps - 1) * p.features, -p.features, da_row, hp, p.steps, p.features, hp, partial, hp});
        k.gemm_tn({previous + b * th, p.units, da_row + hp, hp, p.steps - 1, p.units, hp, du, hp});
    }
}

}  // namespace

template <class T>
void rnn_forward(const Rnn<T>& p, T* states, T* z, T* output, T* final_state, Workspace& ws) {
    const Index h = p.units, rows = block_rows(p);
    const T* w = packed_matrix(ws, Workspace::kW, p.kernel, p.features, h, h, Index{1}, p.version);
    const T* u = packed_matrix(ws, Workspace::kU, p.recurrent_kernel, h, h, h, Index{1}, p.version);
    const T* bias = packed_bias(ws, p.bias, h, p.version);
    const T* x = scaled_input(p, ws);
    const Index slots = states ? p.steps : 2;
    if (!states) states = ws.scratch<T>(Workspace::kStates, p.batch * slots * h);
    T* scratch = p.state_scale ? ws.scratch<T>(Workspace::kScratch, p.batch * h) : nullptr;
    parallel_for((p.batch + rows - 1) / rows, [&](Index block) {
        const Index b = block * rows, n = b + rows < p.batch ? rows : p.batch - b;
        kernels<T>().rnn_forward({n, p.steps, p.features, h, x + b * p.steps * p.features, p.backwards, w, u, bias,
                                  p.initial_state ? p.initial_state + b * h : nullptr,
                                  p.mask ? p.mask + b * p.steps : nullptr, p.state_scale ? p.state_scale + b * h : nullptr,
                                  states + b * slots * h, slots, output ? output + b * p.steps * h : nullptr,
                                  z ? z + b * p.steps * h : nullptr, scratch ? scratch + b * h : nullptr, p.activation});
        for (Index r = b; r < b + n; ++r)
            std::memcpy(final_state + r * h, states + (r * slots + (p.steps - 1) % slots) * h,
                        static_cast<std::size_t>(h) * sizeof(T));
    });
}

template <class T>
void rnn_backward(const Rnn<T>& p, const RnnGradients<T>& g, Workspace& ws) {
    const auto& k = kernels<T>();
    const Index h = p.units, hp = padded<T>(h), rows = block_rows(p), f = p.features, th = p.steps * h;
    const T* ut = packed_matrix(ws, Workspace::kUt, p.recurrent_kernel, h, h, Index{1}, h, p.version);
    const T* wt = g.dx ? packed_matrix(ws, Workspace::kWt, p.kernel, h, f, Index{1}, h, p.version) : nullptr;
    const T* x = scaled_input(p, ws);
    T* da = ws.scratch<T>(Workspace::kGradient, p.batch * p.steps * hp);
    T* scratch = ws.scratch<T>(Workspace::kScratch, p.batch * 2 * h);
    const bool scaled = p.state_scale != nullptr;
    // h_{t-1} as it entered U: scaled where recurrent dropout is on; the first row of each sequence is not used here.
    T* previous = scaled ? ws.scratch<T>(Workspace::kScaledStates, p.batch * th) : nullptr;
    const Index blocks = (p.batch + rows - 1) / rows, partial_size = (f + h + 1) * hp;
    const Index groups = group_count(blocks, partial_size * static_cast<Index>(sizeof(T)));
    T* partials = ws.scratch<T>(Workspace::kPartials, groups * partial_size);
    std::memset(partials, 0, static_cast<std::size_t>(groups * partial_size) * sizeof(T));

    parallel_for(groups, [&](Index group) {
        T* partial = partials + group * partial_size;
        for (Index block = group * blocks / groups; block < (group + 1) * blocks / groups; ++block) {
            const Index b = block * rows, n = b + rows < p.batch ? rows : p.batch - b;
            const T* d_output = g.d_output ? g.d_output + b * (p.sequences ? th : h) : nullptr;
            k.rnn_backward({n, p.steps, h, g.states + b * th, g.z ? g.z + b * th : nullptr, d_output, p.sequences,
                            p.zero_output_for_mask, g.d_final ? g.d_final + b * h : nullptr,
                            p.mask ? p.mask + b * p.steps : nullptr, p.backwards,
                            scaled ? p.state_scale + b * h : nullptr, ut, da + b * p.steps * hp, g.d_initial + b * h,
                            scratch + b * 2 * h, p.activation});
            if (scaled)
                for (Index r = b; r < b + n; ++r)
                    for (Index i = 0; i < th; ++i) previous[r * th + i] = g.states[r * th + i] * p.state_scale[r * h + i % h];
            add_weight_gradients(p, x, scaled ? previous : g.states, da, b, b + n, partial);
            if (p.initial_state)
                for (Index r = b; r < b + n; ++r) {
                    T* du = partial + f * hp;
                    const T* da_first = da + r * p.steps * hp;
                    for (Index i = 0; i < h; ++i) {
                        const T entered = p.initial_state[r * h + i] * (scaled ? p.state_scale[r * h + i] : T(1));
                        for (Index j = 0; j < h; ++j) du[i * hp + j] += entered * da_first[j];
                    }
                }
            if (!g.dx) continue;
            for (Index r = b; r < b + n; ++r) {
                T* dx = g.dx + r * p.steps * f + (p.backwards ? (p.steps - 1) * f : 0);
                k.gemm({da + r * p.steps * hp, hp, p.steps, 1, h, 0, wt, nullptr, f, dx, p.backwards ? -f : f, nullptr,
                        Activation::kLinear, false});
            }
        }
    });
    reduce(g.d_kernel, partials, groups, partial_size, f, h, hp);
    reduce(g.d_recurrent_kernel, partials + f * hp, groups, partial_size, h, h, hp);
    if (g.d_bias) reduce(g.d_bias, partials + (f + h) * hp, groups, partial_size, Index{1}, h, hp);
    if (g.dx && p.input_scale) scale_input(p, g.dx, g.dx);
}

#define PYRNN_INSTANTIATE(T)                                             \
    template void rnn_forward(const Rnn<T>&, T*, T*, T*, T*, Workspace&); \
    template void rnn_backward(const Rnn<T>&, const RnnGradients<T>&, Workspace&);
PYRNN_INSTANTIATE(float)
PYRNN_INSTANTIATE(double)
#undef PYRNN_INSTANTIATE

}  // namespace pyrnn
