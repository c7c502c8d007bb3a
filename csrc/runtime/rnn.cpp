// A recurrent layer over whole sequences: packs, cuts the batch into blocks, runs the cell, sums the gradients.
#include <algorithm>
#include <cstring>

#include "operations.hpp"
#include "packs.hpp"
#include "parallel.hpp"

namespace pyrnn {
namespace {

template <class T>
std::size_t bytes(Index count) {
    return static_cast<std::size_t>(count) * sizeof(T);
}

// Sizes that follow from the problem. A partial result of the weight gradients is
//   dW (F, Hp / P, gates, P) | dU (H, Hp / P, u_count, P) | sums of dA (Hp / P, V, P) | dU of the candidate (H, Hp)
// and where the layer is large, the rows stand behind the unit blocks.
template <class T>
struct Sizes {
    explicit Sizes(const Rnn<T>& p)
        : cell(info(p.cell)), lanes(kernels<T>().lanes), hp(padded<T>(p.units)), blocks(hp / lanes), width(cell.vectors * hp),
          w_width(cell.gates * hp), u_width(cell.u_count * hp), candidate(p.cell == Cell::kGruResetBefore),
          u_at(p.features * w_width), bias_at(u_at + p.units * u_width), candidate_at(bias_at + width),
          partial(candidate_at + (candidate ? p.units * hp : 0)),
          large((p.features + p.units) * w_width * static_cast<Index>(sizeof(T)) > kSmallWeightBytes),
          gates(kept(p.batch, p.steps, cell.vectors * lanes)), carry(kept(p.batch, p.steps + 1, 2 * lanes)) {}

    // How training keeps `vectors` elements for each row, step and unit block (abi/problem.hpp).
    struct Kept {
        Strides at;
        Index size;
    };
    Kept kept(Index batch, Index steps, Index vectors) const {
        // Between two steps: at a power of two apart they would fight for the same sets of a cache.
        constexpr Index kSetPadding = 17;
        if (!large) return {{steps * blocks * vectors, blocks * vectors, vectors}, batch * steps * blocks * vectors};
        const Index step = batch * blocks * vectors + kSetPadding * lanes;
        return {{vectors, step, batch * vectors}, steps * step};
    }

    // And a partial result of `rows` rows of weights, `count` gates each: rows of Hp / P unit blocks, or the other way round.
    Strides sums(Index rows, Index count) const {
        const Index v = count * lanes;
        return large ? Strides{v, 0, rows * v} : Strides{blocks * v, 0, v};
    }

    static constexpr Index kSmallWeightBytes = Index{1} << 20;  // a share of L2
    const CellInfo& cell;
    Index lanes, hp, blocks, width, w_width, u_width;
    bool candidate;
    Index u_at, bias_at, candidate_at, partial;
    bool large;  // the weights do not stay in L2 from step to step
    Kept gates, carry;
};

// How the work of a problem is cut. While the weights stay in L2, a task takes few rows of the batch, so that their states
// stay in L1, and sums the weight gradients of its rows right after their backward. Larger weights are streamed in each step,
// so a task takes all rows that its thread has, and the weight gradients come afterwards, cut by units. Rows do not touch the
// bits of a result, and how gradients are summed depends on sizes only.
template <class T>
struct Cut {
    Cut(const Rnn<T>& p, const Sizes<T>& z) {
        constexpr Index kSmallRows = 16, kRowStep = 8;
        const Index share = (p.batch + num_threads() - 1) / num_threads();
        rows = z.large ? (share + kRowStep - 1) / kRowStep * kRowStep : kSmallRows;
        blocks = (p.batch + rows - 1) / rows;
    }
    Index rows, blocks;
};
// Whether tiles ask ahead for weights; those of a few rows would not ask for all.
template <class T>
bool asks_ahead(const Sizes<T>& z, Index rows) {
    return z.large && rows >= 8;
}

template <class T>
struct Panels {
    const T *w, *u, *bias, *candidate;
};

template <class T, class Pack>
const T* packed_gates(Workspace& ws, Workspace::Pack which, Index count, std::int64_t version, Pack pack) {
    bool fresh = false;
    T* panels = ws.packed<T>(which, count, version, fresh);
    if (!fresh) pack(panels);
    return panels;
}

// [Hp / P][V][P]: the accumulators' start.
template <class T>
void pack_bias(T* panel, const Rnn<T>& p, const Sizes<T>& z) {
    std::memset(panel, 0, bytes<T>(z.width));
    const CellInfo& cell = z.cell;
    for (Index unit = 0; unit < p.units; ++unit) {
        T* at = panel + unit / z.lanes * cell.vectors * z.lanes + unit % z.lanes;
        for (int j = 0; j < cell.gates; ++j) at[j * z.lanes] += p.bias[(j + cell.x_shift) % cell.gates * p.units + unit];
        if (cell.bias_rows == 2)
            for (int j = 0; j < cell.u_count; ++j) at[(cell.u_first + j) * z.lanes] += p.bias[(cell.gates + j) * p.units + unit];
    }
}

template <class T>
Panels<T> forward_panels(const Rnn<T>& p, const Sizes<T>& z, Workspace& ws) {
    const auto& k = kernels<T>();
    const CellInfo& cell = z.cell;
    Panels<T> panels{};
    panels.w = packed_gates<T>(ws, Workspace::kW, p.features * z.w_width, p.version, [&](T* to) {
        k.pack_gates(to, p.kernel, p.features, p.units, cell.gates, cell.x_shift, cell.gates);
    });
    panels.u = packed_gates<T>(ws, Workspace::kU, p.units * z.u_width, p.version, [&](T* to) {
        k.pack_gates(to, p.recurrent_kernel, p.units, p.units, cell.gates, 0, cell.u_count);
    });
    if (p.bias) panels.bias = packed_gates<T>(ws, Workspace::kBias, z.width, p.version, [&](T* to) { pack_bias(to, p, z); });
    if (z.candidate)
        panels.candidate = packed_gates<T>(ws, Workspace::kCandidate, p.units * z.hp, p.version, [&](T* to) {
            k.pack_gates(to, p.recurrent_kernel, p.units, p.units, cell.gates, cell.u_count, 1);
        });
    return panels;
}

// Keras's gate that the copy j of x belongs to: copies stand in the order of the vectors.
template <class T>
Index input_gate(const Rnn<T>& p, Index j) {
    return p.input_copies == 1 ? 0 : (j + info(p.cell).x_shift) % info(p.cell).gates;
}

template <class T>
void scale_steps(T* out, const T* in, const T* scale, Index batch, Index steps, Index n) {
    for (Index b = 0; b < batch; ++b, scale += n)
        for (Index t = 0; t < steps; ++t, in += n, out += n)
            for (Index i = 0; i < n; ++i) out[i] = in[i] * scale[i];
}

// x as it enters W: x itself or its copies under dropout, (input_copies, B, T, F).
template <class T>
const T* entering_input(const Rnn<T>& p, Workspace& ws) {
    if (!p.input_scale) return p.x;
    const Index size = p.batch * p.steps * p.features;
    T* scaled = ws.scratch<T>(Workspace::kInput, p.input_copies * size);
    for (Index j = 0; j < p.input_copies; ++j)
        scale_steps(scaled + j * size, p.x, p.input_scale + input_gate(p, j) * p.batch * p.features, p.batch, p.steps, p.features);
    return scaled;
}

// h_{s-1} of the rows [first, last) as it entered U at every step, (state_copies, B, T, H), where dropout changed it.
template <class T>
void scale_states(const Rnn<T>& p, const T* states, T* entering, Index first, Index last) {
    const Index h = p.units, th = p.steps * h;
    for (Index copy = 0; copy < p.state_copies; ++copy)
        for (Index b = first; b < last; ++b) {
            const T* scale = p.state_scale + (copy * p.batch + b) * h;
            T* out = entering + (copy * p.batch + b) * th;
            for (Index i = 0; i < h; ++i) out[i] = p.initial_state ? p.initial_state[b * h + i] * scale[i] : T(0);
            for (Index s = 1; s < p.steps; ++s)
                for (Index i = 0; i < h; ++i) out[s * h + i] = states[b * th + (s - 1) * h + i] * scale[i];
        }
}

// The products X^T dA of some rows of the batch and some blocks of units, added to a partial result.
template <class T>
struct WeightGradients {
    const Rnn<T>& p;
    const Sizes<T>& z;
    const T *x, *states;
    const T *entering, *reset_states;  // or null

    struct Part {
        const T* da;  // of the first row
        Index row, rows, block, blocks;
    };

    void add(const Part& part, T* partial) const {
        const CellInfo& cell = z.cell;
        const Strides& at = z.gates.at;
        const Index f = p.features, h = p.units, tf = p.steps * f, th = p.steps * h, v = cell.vectors * z.lanes;
        const Index wide = at.block == v ? part.blocks : 1;  // unit blocks side by side
        for (Index block = part.block; block < part.block + part.blocks; block += wide) {
            const T* from = part.da + block * at.block;
            if (z.large) kernels<T>().add_rows(partial + z.bias_at + block * v, from, at.row, part.rows, at.step, p.steps, wide * v);
            else kernels<T>().add_rows(partial + z.bias_at + block * v, from, at.step, p.steps, at.row, part.rows, wide * v);
        }
        for (Index j = 0; j < p.input_copies; ++j) {
            const T* from = x + (j * p.batch + part.row) * tf + (p.backwards ? tf - f : 0);
            product(part, from, tf, p.backwards ? -f : f, f, 0, p.steps, 0, cell.gates, p.input_copies == 1 ? kAll : j, partial);
        }
        T* du = partial + z.u_at;
        if (entering) {
            for (Index j = 0; j < (p.state_copies == 1 ? 1 : cell.u_count); ++j)
                product(part, entering + (j * p.batch + part.row) * th, th, h, h, 0, p.steps, cell.u_first, cell.u_count,
                        p.state_copies == 1 ? kAll : j, du);
        } else {
            product(part, states + part.row * th, th, h, h, 1, p.steps - 1, cell.u_first, cell.u_count, kAll, du);
            if (p.initial_state)
                product(part, p.initial_state + part.row * h, h, 0, h, 0, 1, cell.u_first, cell.u_count, kAll, du);
        }
        if (reset_states)
            product(part, reset_states + part.row * th, th, h, h, 0, p.steps, 0, 1, kAll, partial + z.candidate_at);
    }

private:
    static constexpr Index kAll = -1;
    // c += a^T dA over `steps` steps, the first dA being that of `step`; of the vectors vector .. vector+count-1 either all or
    // only the one `gate`.
    void product(const Part& part, const T* a, Index a_row, Index a_step, Index m, Index step, Index steps, Index vector, Index count,
                 Index gate, T* c) const {
        if (steps == 0) return;
        const Strides& at = z.gates.at;
        const Index lane = gate == kAll ? 0 : gate * z.lanes, run = (gate == kAll ? count : 1) * z.lanes;
        const bool one_run = !z.large && run == at.block;
        GemmTn<T> q{};
        q.a = a, q.b = part.da + step * at.step + part.block * at.block + vector * z.lanes + lane;
        if (z.large) {
            q.lda = a_row, q.a_sequence = a_step, q.ldb = at.row, q.b_sequence = at.step, q.sequences = steps, q.rows = part.rows;
        } else {
            q.lda = a_step, q.a_sequence = a_row, q.ldb = at.step, q.b_sequence = at.row, q.sequences = part.rows, q.rows = steps;
        }
        q.m = m, q.runs = one_run ? 1 : part.blocks, q.run = one_run ? part.blocks * run : run, q.run_offset = at.block;
        const Strides sums = z.sums(m, count);
        q.c = c + part.block * sums.block + lane, q.ldc = sums.row, q.c_offset = sums.block;
        q.scratch = thread_scratch<T, ThreadUse::kStrips>(gemm_tn_scratch(m));
        q.interrupted = interrupted;
        kernels<T>().gemm_tn(q);
    }
};

// Sums the partial results in their order; vector j of (rows, Hp / P, count, P) is the gate (j + shift) % gates of out.
template <class T>
void reduce_gates(T* out, const T* partials, Index groups, Index partial, Index rows, const Rnn<T>& p, const Sizes<T>& z,
                  Index count, Index shift) {
    constexpr Index kTaskWeights = 1 << 15;
    const Index gates = z.cell.gates, h = p.units, task = kTaskWeights / (count * z.hp) + 1;
    const Strides sums = z.sums(rows, count);
    parallel_for((rows + task - 1) / task, [&](Index part) {
        for (Index row = part * task; row < (part + 1) * task && row < rows; ++row)
            for (Index u = 0; u < h; u += z.lanes)
                for (Index j = 0; j < count; ++j) {
                    const T* from = partials + row * sums.row + u / z.lanes * sums.block + j * z.lanes;
                    T* to = out + (row * gates + (j + shift) % gates) * h + u;
                    const Index n = u + z.lanes < h ? z.lanes : h - u;
                    for (Index i = 0; i < n; ++i) to[i] = from[i];
                    for (Index g = 1; g < groups; ++g)
                        for (Index i = 0; i < n; ++i) to[i] += from[g * partial + i];
                }
    });
}

template <class T>
void reduce_bias(T* out, const T* partials, Index groups, const Rnn<T>& p, const Sizes<T>& z) {
    const CellInfo& cell = z.cell;
    const auto sum = [&](Index vector, Index unit) {
        const T* at = partials + z.bias_at + (unit / z.lanes * cell.vectors + vector) * z.lanes + unit % z.lanes;
        T total = 0;
        for (Index g = 0; g < groups; ++g) total += at[g * z.partial];
        return total;
    };
    for (Index j = 0; j < cell.gates; ++j)
        for (Index u = 0; u < p.units; ++u) out[(j + cell.x_shift) % cell.gates * p.units + u] = sum(j, u);
    if (cell.bias_rows == 2)
        for (Index j = 0; j < cell.u_count; ++j)
            for (Index u = 0; u < p.units; ++u) out[(cell.gates + j) * p.units + u] = sum(cell.u_first + j, u);
}

// dx of the rows [first, last), whose dA starts at `da`: dA W^T; under dropout by gate, each gate's product is scaled before it
// is added. A product takes all these rows at one step, or all steps of one row, whichever lie closer.
template <class T>
void input_gradient(const Rnn<T>& p, const Sizes<T>& z, const T* da, const T* wt, T* dx, T* product, Index first, Index last) {
    const auto& k = kernels<T>();
    const Strides& at = z.gates.at;
    const Index f = p.features, tf = p.steps * f, rows = last - first, dx_step = p.backwards ? -f : f;
    const Index count = z.large ? rows : p.steps, products = z.large ? p.steps : rows, run = z.cell.gates * z.lanes;
    const Index ld = z.large ? at.row : at.step, ld_out = z.large ? tf : dx_step;
    const bool one_run = run == at.block;
    dx += first * tf;
    if (p.input_copies > 1) std::memset(dx, 0, bytes<T>(rows * tf));
    for (Index i = 0; i < products; ++i) {
        const T* row = da + i * (z.large ? at.step : at.row);
        T* out = dx + (p.backwards ? tf - f : 0) + i * (z.large ? dx_step : tf);
        if (p.input_copies == 1) {
            k.gemm({row, ld, count, one_run ? Index{1} : z.blocks, one_run ? z.width : run, at.block, wt, nullptr, f, out, ld_out,
                    nullptr, Activation::kLinear, false});
            continue;
        }
        for (Index j = 0; j < p.input_copies; ++j) {
            k.gemm({row + j * z.lanes, ld, count, z.blocks, z.lanes, at.block, wt + j * z.hp * padded<T>(f), nullptr, f, product, f,
                    nullptr, Activation::kLinear, false});
            const T* scale = p.input_scale + (input_gate(p, j) * p.batch + first) * f;
            for (Index c = 0; c < count; ++c)
                for (Index e = 0; e < f; ++e) out[c * ld_out + e] += product[c * f + e] * scale[(z.large ? c : i) * f + e];
        }
    }
    if (p.input_scale && p.input_copies == 1) scale_steps(dx, dx, p.input_scale + first * f, rows, p.steps, f);
}

}  // namespace

template <class T>
Index gates_size(const Rnn<T>& p) { return Sizes<T>(p).gates.size; }
template <class T>
Index carry_size(const Rnn<T>& p) { return Sizes<T>(p).carry.size; }

template <class T>
void rnn_forward(const Rnn<T>& p, const RnnKept<T>& kept, T* output, T* final_state, T* final_carry, Workspace& ws) {
    const Sizes<T> z(p);
    const Cut<T> cut(p, z);
    const Index h = p.units, rows = cut.rows, scratch_rows = scratch_size(rows, z.hp);
    const Panels<T> panels = forward_panels(p, z, ws);
    const T* x = entering_input(p, ws);
    const Index blocks = cut.blocks, slots = kept.states ? p.steps : 2;
    T* states = kept.states ? kept.states : ws.scratch<T>(Workspace::kStates, p.batch * slots * h);
    const Index carry_slots = kept.carry ? p.steps + 1 : 2;
    T* carry = kept.carry;
    const auto carry_kept = kept.carry ? z.carry : z.kept(p.batch, carry_slots, z.lanes);
    const Strides& carry_at = carry_kept.at;
    if (z.cell.states == 2 && !carry) carry = ws.scratch<T>(Workspace::kCarry, carry_kept.size);
    // Calls f(carry at the slot, its first unit, units) for each unit block of the row b.
    const auto for_carry = [&](Index b, Index slot, auto f) {
        for (Index block = 0; carry && block < z.blocks; ++block)
            f(carry + b * carry_at.row + slot * carry_at.step + block * carry_at.block, block * z.lanes,
              bytes<T>(std::min(z.lanes, h - block * z.lanes)));
    };
    T* scratch = ws.scratch<T>(Workspace::kScratch, blocks * scratch_rows);
    const Index gathered_rows = gathered_size(rows, p.features, h, z.lanes);
    T* gathered = asks_ahead(z, rows) ? ws.scratch<T>(Workspace::kGathered, blocks * gathered_rows) : nullptr;
    // Only the last block can have few rows.
    const bool hoists = (p.batch - 1) % rows < kFewRows && p.steps > 1 && p.input_copies == 1;
    T* hoisted = hoists ? ws.scratch<T>(Workspace::kHoisted, kHoistedSteps * kFewRows * z.width) : nullptr;
    parallel_for(blocks, [&](Index block) {
        const Index b = block * rows, n = b + rows < p.batch ? rows : p.batch - b;
        RnnForward<T> q{};
        q.rows = n, q.steps = p.steps, q.features = p.features, q.units = h;
        q.x = x + b * p.steps * p.features, q.x_copy = p.input_copies > 1 ? p.batch * p.steps * p.features : 0;
        q.backwards = p.backwards;
        q.w_panels = panels.w, q.u_panels = panels.u, q.bias = panels.bias, q.candidate_panels = panels.candidate;
        q.initial_state = p.initial_state ? p.initial_state + b * h : nullptr;
        q.mask = p.mask ? p.mask + b * p.steps : nullptr;
        q.state_scale = p.state_scale ? p.state_scale + b * h : nullptr;
        q.scale_copies = p.state_copies, q.scale_copy = p.batch * h;
        q.states = states + b * slots * h, q.slots = slots;
        q.output = output ? output + b * p.steps * h : nullptr;
        q.carry = carry ? carry + b * carry_at.row : nullptr;
        q.carry_slots = carry_slots, q.carry_at = carry_at;
        q.gates = kept.gates ? kept.gates + b * z.gates.at.row : nullptr;
        q.z = kept.z ? kept.z + b * z.gates.at.row : nullptr;
        q.gates_at = z.gates.at;
        q.scratch = scratch + block * scratch_rows;
        q.gathered = gathered ? gathered + block * gathered_rows : nullptr;
        q.hoisted = n <= kFewRows ? hoisted : nullptr;
        q.activation = p.activation, q.recurrent_activation = p.recurrent_activation;
        q.streamed = asks_ahead(z, n);
        q.interrupted = interrupted;
        for (Index r = b; r < b + n; ++r)
            for_carry(r, 0, [&](T* at, Index unit, std::size_t size) {
                std::memset(at, 0, bytes<T>(z.lanes));
                if (p.initial_carry) std::memcpy(at, p.initial_carry + r * h + unit, size);
            });
        kernels<T>().rnn_forward[static_cast<int>(p.cell)](q);
        for (Index r = b; r < b + n; ++r) {
            std::memcpy(final_state + r * h, states + (r * slots + (p.steps - 1) % slots) * h, bytes<T>(h));
            for_carry(r, p.steps % carry_slots,
                      [&](const T* at, Index unit, std::size_t size) { std::memcpy(final_carry + r * h + unit, at, size); });
        }
    });
}

template <class T>
RnnForward<T> rnn_step(const Rnn<T>& p, Workspace& ws) {
    const Sizes<T> z(p);
    const Panels<T> panels = forward_panels(p, z, ws);
    T* held = ws.scratch<T>(Workspace::kStates, p.batch * p.units);
    std::memset(held, 0, bytes<T>(p.batch * p.units));
    RnnForward<T> q{};
    q.rows = p.batch, q.steps = 1, q.features = p.features, q.units = p.units;
    q.w_panels = panels.w, q.u_panels = panels.u, q.bias = panels.bias, q.candidate_panels = panels.candidate;
    q.initial_state = held;
    q.slots = 1;
    if (z.cell.states == 2) {
        q.carry = ws.scratch<T>(Workspace::kCarry, p.batch * z.hp);
        q.carry_slots = 1, q.carry_at = {z.hp, 0, z.lanes};
        std::memset(q.carry, 0, bytes<T>(p.batch * z.hp));
    }
    q.scratch = ws.scratch<T>(Workspace::kScratch, scratch_size(p.batch, z.hp));
    q.activation = p.activation, q.recurrent_activation = p.recurrent_activation;
    return q;
}

template <class T>
void rnn_backward(const Rnn<T>& p, const RnnKept<T>& kept, const RnnGradients<T>& g, Workspace& ws) {
    const auto& k = kernels<T>();
    const Sizes<T> z(p);
    const CellInfo& cell = z.cell;
    const Cut<T> cut(p, z);
    const Index h = p.units, f = p.features, th = p.steps * h, rows = cut.rows, blocks = cut.blocks, fp = padded<T>(f);
    const Index scratch_rows = scratch_size(rows, z.hp);
    const T* ut = packed_gates<T>(ws, Workspace::kUt, z.u_width * z.hp, p.version, [&](T* to) {
        k.pack_gates_t(to, p.recurrent_kernel, h, h, cell.gates, 0, cell.u_count);
    });
    const T* candidate_t = nullptr;
    if (z.candidate)
        candidate_t = packed_gates<T>(ws, Workspace::kCandidateT, z.hp * z.hp, p.version, [&](T* to) {
            k.pack_gates_t(to, p.recurrent_kernel, h, h, cell.gates, cell.u_count, 1);
        });
    const T* wt = nullptr;
    if (g.dx && p.input_copies == 1) {
        wt = packed_gates<T>(ws, Workspace::kWt, z.w_width * fp, p.version, [&](T* to) {
            k.pack_gates_t(to, p.kernel, f, h, cell.gates, cell.x_shift, cell.gates);
        });
    } else if (g.dx) {
        T* each = ws.scratch<T>(Workspace::kGateWt, z.w_width * fp);
        for (Index j = 0; j < cell.gates; ++j) k.pack_gates_t(each + j * z.hp * fp, p.kernel, f, h, cell.gates, input_gate(p, j), 1);
        wt = each;
    }
    const T* x = entering_input(p, ws);
    // Where no gates were kept, a small layer's dA is used up by the task that makes it and can stay in that thread's L2.
    constexpr Index kPassingBytes = Index{4} << 20;
    const bool passing = !kept.gates && !z.large && static_cast<Index>(bytes<T>(rows * z.gates.at.row)) <= kPassingBytes;
    T* all_da = passing ? nullptr : kept.gates ? kept.gates : ws.scratch<T>(Workspace::kGradient, z.gates.size);
    T* entering = p.state_scale ? ws.scratch<T>(Workspace::kScaledStates, p.state_copies * p.batch * th) : nullptr;
    T* reset_states = z.candidate ? ws.scratch<T>(Workspace::kResetStates, p.batch * th) : nullptr;
    T* scratch = ws.scratch<T>(Workspace::kScratch, blocks * scratch_rows);
    const Index groups = z.large ? 1 : group_count(blocks, z.partial * static_cast<Index>(sizeof(T)));
    T* partials = ws.scratch<T>(Workspace::kPartials, groups * z.partial);
    T* products = p.input_copies > 1 ? ws.scratch<T>(Workspace::kInputGradient, blocks * std::max(rows, p.steps) * f) : nullptr;
    const WeightGradients<T> gradients{p, z, x, kept.states, entering, reset_states};

    const auto walk_back = [&](Index block) {
        const Index b = block * rows, n = b + rows < p.batch ? rows : p.batch - b;
        T* da = passing ? thread_scratch<T, ThreadUse::kGradient>(rows * z.gates.at.row) : all_da + b * z.gates.at.row;
        RnnBackward<T> q{};
        q.rows = n, q.steps = p.steps, q.units = h;
        q.states = kept.states + b * th;
        q.initial_state = p.initial_state ? p.initial_state + b * h : nullptr;
        q.carry = kept.carry ? kept.carry + b * z.carry.at.row : nullptr;
        q.carry_at = z.carry.at;
        q.gates = da;
        q.z = kept.z ? kept.z + b * z.gates.at.row : nullptr;
        q.gates_at = z.gates.at;
        q.d_output = g.d_output ? g.d_output + b * (p.sequences ? th : h) : nullptr;
        q.sequences = p.sequences, q.zero_output_for_mask = p.zero_output_for_mask;
        q.d_final_state = g.d_final_state ? g.d_final_state + b * h : nullptr;
        q.d_final_carry = g.d_final_carry ? g.d_final_carry + b * h : nullptr;
        q.mask = p.mask ? p.mask + b * p.steps : nullptr;
        q.backwards = p.backwards;
        q.state_scale = p.state_scale ? p.state_scale + b * h : nullptr;
        q.scale_copies = p.state_copies, q.scale_copy = p.batch * h;
        q.ut_panels = ut, q.candidate_t_panels = candidate_t;
        q.reset_states = reset_states ? reset_states + b * th : nullptr;
        q.d_initial_state = g.d_initial_state + b * h;
        q.d_initial_carry = g.d_initial_carry ? g.d_initial_carry + b * h : nullptr;
        q.scratch = scratch + block * scratch_rows;
        q.activation = p.activation, q.recurrent_activation = p.recurrent_activation;
        q.streamed = asks_ahead(z, n);
        q.interrupted = interrupted;
        k.rnn_backward[static_cast<int>(p.cell)](q);
        if (entering) scale_states(p, kept.states, entering, b, b + n);
        if (g.dx) input_gradient(p, z, da, wt, g.dx, products ? products + block * std::max(rows, p.steps) * f : nullptr, b, b + n);
        return typename WeightGradients<T>::Part{da, b, n, 0, z.blocks};
    };
    std::memset(partials, 0, bytes<T>(groups * z.partial));
    if (z.large) {
        parallel_for(blocks, walk_back);
        const Index per_task = (z.blocks + num_threads() - 1) / num_threads();  // each sum runs in one piece: no bits depend on it
        parallel_for((z.blocks + per_task - 1) / per_task, [&](Index task) {
            const Index first = task * per_task;
            gradients.add({all_da, 0, p.batch, first, first + per_task < z.blocks ? per_task : z.blocks - first}, partials);
        });
    } else {
        parallel_for(groups, [&](Index group) {
            for (Index block = group * blocks / groups; block < (group + 1) * blocks / groups; ++block)
                gradients.add(walk_back(block), partials + group * z.partial);
        });
    }
    reduce_gates(g.d_kernel, partials, groups, z.partial, f, p, z, cell.gates, cell.x_shift);
    reduce_gates(g.d_recurrent_kernel, partials + z.u_at, groups, z.partial, h, p, z, cell.u_count, Index{0});
    if (z.candidate)
        reduce_gates(g.d_recurrent_kernel, partials + z.candidate_at, groups, z.partial, h, p, z, Index{1}, cell.u_count);
    if (g.d_bias) reduce_bias(g.d_bias, partials, groups, p, z);
}

#define PYRNN_INSTANTIATE(T)                                                                           \
    template Index gates_size(const Rnn<T>&);                                                          \
    template Index carry_size(const Rnn<T>&);                                                          \
    template void rnn_forward(const Rnn<T>&, const RnnKept<T>&, T*, T*, T*, Workspace&);               \
    template RnnForward<T> rnn_step(const Rnn<T>&, Workspace&);                                        \
    template void rnn_backward(const Rnn<T>&, const RnnKept<T>&, const RnnGradients<T>&, Workspace&);
PYRNN_INSTANTIATE(float)
PYRNN_INSTANTIATE(double)
#undef PYRNN_INSTANTIATE

}  // namespace pyrnn
