// Convolution and pooling over time. An output step of a convolution is a row of `taps` ranges of C elements of the
// padded input. Without dilation they are contiguous: one range of K * C elements. A dense layer is a convolution of
// one tap.
#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "operations.hpp"
#include "packs.hpp"
#include "parallel.hpp"

namespace pyrnn {
namespace {

// Output rows per task: enough work to pay for starting it.
constexpr Index kTaskRows = 64;

template <class T>
Index padded_steps(const Conv<T>& p) {
    return p.steps + p.pad_left + p.pad_right;
}

template <class T>
const T* padded_input(const Conv<T>& p, Workspace& ws) {
    if (p.pad_left == 0 && p.pad_right == 0) return p.x;
    const Index row = p.steps * p.channels, row_padded = padded_steps(p) * p.channels;
    T* out = ws.scratch<T>(Workspace::kInput, p.batch * row_padded);
    std::memset(out, 0, static_cast<std::size_t>(p.batch * row_padded) * sizeof(T));
    for (Index b = 0; b < p.batch; ++b)
        std::memcpy(out + b * row_padded + p.pad_left * p.channels, p.x + b * row,
                    static_cast<std::size_t>(row) * sizeof(T));
    return out;
}

struct Tasks { Index per_sequence, count; };
template <class T>
Tasks tasks_of(const Conv<T>& p) {
    const Index per_sequence = (p.out_steps + kTaskRows - 1) / kTaskRows;
    return {per_sequence, per_sequence * p.batch};
}

}  // namespace

Windows windows_over(Index steps, Index size, Index stride, Index dilation, Padding padding) {
    // There are zeros next to x as far as a window reaches.
    constexpr Index kMostReach = Index{1} << 24;
    if (dilation > 1 && size > 1 && dilation > kMostReach / (size - 1))
        throw std::invalid_argument("dilation_rate must let a window reach over at most " + std::to_string(kMostReach) +
                                    " time steps, got " + std::to_string(dilation));
    const Index reach = (size - 1) * dilation + 1;
    if (padding == Padding::kCausal) return {reach - 1, 0, (steps - 1) / stride + 1};
    if (padding == Padding::kSame) {
        const Index out = (steps + stride - 1) / stride, zeros = (out - 1) * stride + reach - steps;
        const Index total = zeros > 0 ? zeros : 0;
        return {total / 2, total - total / 2, out};
    }
    if (steps < reach)
        throw std::invalid_argument("x must have at least " + std::to_string(reach) +
                                    " time steps for this window, got " + std::to_string(steps));
    return {0, 0, (steps - reach) / stride + 1};
}

template <class T>
void conv_forward(const Conv<T>& p, T* y, T* z, Workspace& ws) {
    const Index k_all = p.taps * p.channels, o = p.filters;
    const T* w = packed_matrix(ws, Workspace::kW, p.kernel, k_all, o, o, Index{1}, p.version);
    const T* bias = packed_bias(ws, p.bias, o, p.version);
    const T* x = padded_input(p, ws);
    const bool contiguous = p.dilation == 1;
    const Tasks tasks = tasks_of(p);
    parallel_for(tasks.count, [&](Index task) {
        const Index b = task / tasks.per_sequence, first = task % tasks.per_sequence * kTaskRows;
        const Index rows = first + kTaskRows < p.out_steps ? kTaskRows : p.out_steps - first;
        const Index at = (b * p.out_steps + first) * o;
        kernels<T>().gemm({x + (b * padded_steps(p) + first * p.stride) * p.channels, p.stride * p.channels, rows,
                           contiguous ? Index{1} : p.taps, contiguous ? k_all : p.channels, p.dilation * p.channels, w,
                           bias, o, y + at, o, z ? z + at : nullptr, p.activation, false});
    });
}

template <class T>
void conv_backward(const Conv<T>& p, const T* y, const T* z, const T* dy, T* d_kernel, T* d_bias, T* dx,
                   Workspace& ws) {
    const auto& k = kernels<T>();
    const Index o = p.filters, op = padded<T>(o), c = p.channels, k_all = p.taps * c, ldx = padded_steps(p) * c;
    const T* x = padded_input(p, ws);
    T* dz = ws.scratch<T>(Workspace::kGradient, p.batch * p.out_steps * op);
    const Tasks tasks = tasks_of(p);
    const Index partial_size = (k_all + 1) * op;
    const Index groups = group_count(tasks.count, partial_size * static_cast<Index>(sizeof(T)));
    T* partials = ws.scratch<T>(Workspace::kPartials, groups * partial_size);
    std::memset(partials, 0, static_cast<std::size_t>(groups * partial_size) * sizeof(T));
    parallel_for(groups, [&](Index group) {
        T* partial = partials + group * partial_size;
        for (Index task = group * tasks.count / groups; task < (group + 1) * tasks.count / groups; ++task) {
            const Index b = task / tasks.per_sequence, first = task % tasks.per_sequence * kTaskRows;
            const Index rows = first + kTaskRows < p.out_steps ? kTaskRows : p.out_steps - first;
            const Index row = b * p.out_steps + first;
            for (Index r = row; r < row + rows; ++r)
                for (Index i = o; i < op; ++i) dz[r * op + i] = T(0);
            k.activate_backward(p.activation, y + row * o, z ? z + row * o : nullptr, o, dy + row * o, o, dz + row * op,
                                op, rows, o);
            const T* from = x + b * ldx + first * p.stride * c;
            if (p.dilation == 1) {
                k.gemm_tn({from, p.stride * c, 0, dz + row * op, op, 0, 1, rows, k_all, 1, op, 0, partial, op, 0,
                           thread_scratch<T, ThreadUse::kCopies>(gemm_tn_scratch(k_all)), interrupted});
            } else {
                for (Index tap = 0; tap < p.taps; ++tap)
                    k.gemm_tn({from + tap * p.dilation * c, p.stride * c, 0, dz + row * op, op, 0, 1, rows, c, 1, op, 0,
                               partial + tap * c * op, op, 0, thread_scratch<T, ThreadUse::kCopies>(gemm_tn_scratch(c)),
                               interrupted});
            }
            k.add_rows(partial + k_all * op, dz + row * op, op, rows, 0, 1, op);
        }
    });
    reduce(d_kernel, partials, groups, partial_size, k_all, o, op);
    if (d_bias) reduce(d_bias, partials + k_all * op, groups, partial_size, Index{1}, o, op);
    if (!dx) return;

    // dx: each tap adds dz W[tap]^T to its rows of the padded input. A task has whole rows of the result: a sequence,
    // or kTaskRows steps if there is one tap.
    const Index lanes_c = padded<T>(c);
    bool fresh = false;
    T* wt = ws.packed<T>(Workspace::kWt, p.taps * o * lanes_c, p.version, fresh);
    if (!fresh)
        for (Index tap = 0; tap < p.taps; ++tap)
            k.pack(wt + tap * o * lanes_c, p.kernel + tap * c * o, o, c, Index{1}, o);
    if (p.taps == 1 && p.stride == 1) {
        parallel_for(tasks.count, [&](Index task) {
            const Index b = task / tasks.per_sequence, first = task % tasks.per_sequence * kTaskRows;
            const Index rows = first + kTaskRows < p.out_steps ? kTaskRows : p.out_steps - first;
            const Index row = b * p.out_steps + first;
            k.gemm({dz + row * op, op, rows, 1, o, 0, wt, nullptr, c, dx + row * c, c, nullptr, Activation::kLinear,
                    false});
        });
        return;
    }
    T* dxp = ws.scratch<T>(Workspace::kInputGradient, p.batch * ldx);
    parallel_for(p.batch, [&](Index b) {
        T* out = dxp + b * ldx;
        std::memset(out, 0, static_cast<std::size_t>(ldx) * sizeof(T));
        for (Index tap = 0; tap < p.taps; ++tap)
            k.gemm({dz + b * p.out_steps * op, op, p.out_steps, 1, o, 0, wt + tap * o * lanes_c, nullptr, c,
                    out + tap * p.dilation * c, p.stride * c, nullptr, Activation::kLinear, true});
        std::memcpy(dx + b * p.steps * c, out + p.pad_left * c, static_cast<std::size_t>(p.steps * c) * sizeof(T));
    });
}

template <class T>
void pool_forward(const Pool& p, const T* x, T* y) {
    kernels<T>().pool_forward(p, x, y);
}

template <class T>
void pool_backward(const Pool& p, const T* x, const T* dy, T* dx) {
    std::fill(dx, dx + p.batch * p.steps * p.channels, T(0));
    kernels<T>().pool_backward(p, x, dy, dx);
}

#define PYRNN_INSTANTIATE(T)                                                                           \
    template void conv_forward(const Conv<T>&, T*, T*, Workspace&);                                    \
    template void conv_backward(const Conv<T>&, const T*, const T*, const T*, T*, T*, T*, Workspace&); \
    template void pool_forward(const Pool&, const T*, T*);                                             \
    template void pool_backward(const Pool&, const T*, const T*, T*);
PYRNN_INSTANTIATE(float)
PYRNN_INSTANTIATE(double)
#undef PYRNN_INSTANTIATE

}  // namespace pyrnn
