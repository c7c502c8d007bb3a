// The sums over rows and steps that follow backward through time: the gradients of a recurrent layer's weights and
// input.
#pragma once

#include <cmath>
#include <cstring>

#include "rnn_layout.hpp"

namespace pyrnn {
namespace {

// Part `index` of `count` of the rows of each weight matrix.
struct Part {
    Index index, count;
    Index first(Index rows) const { return index * rows / count; }
    Index size(Index rows) const { return (index + 1) * rows / count - first(rows); }
};

// Adds the products X^T dA of some batch rows, steps and unit blocks to a partial result.
template <class T>
struct WeightGradients {
    const Rnn<T>& p;
    const Sizes<T>& z;
    Strides da_at;

    // Arrays begin at the first row and, in the order of computation, the first step.
    struct Operands {
        const T* da;
        typename EnteringInput<T>::View x;
        const T* states;  // h_{s-1}; if the sequence begins here, h_0, which follows initial_state (or null: zero)
        const T* initial_state;
        Index state_row, entering_row, entering_copy;
        const T *entering, *reset_states;  // h_{s-1} as it entered U (state_copies of it), r * h_{s-1}; or null
        Index rows, steps, block, blocks;
        bool begins;
        Part part;
    };

    void add(const Operands& of, T* partial) const {
        const CellInfo& cell = z.cell;
        const Index f = p.features, h = p.units, steps = of.steps, v = cell.vectors * z.lanes;
        const Index wide = da_at.block == v ? of.blocks : 1;  // contiguous unit blocks
        for (Index block = of.block; of.part.index == 0 && block < of.block + of.blocks; block += wide) {
            const T* from = of.da + block * da_at.block;
            T* to = partial + z.bias_at + block * v;
            if (z.large) kernels<T>().add_rows(to, from, da_at.row, of.rows, da_at.step, steps, wide * v);
            else kernels<T>().add_rows(to, from, da_at.step, steps, da_at.row, of.rows, wide * v);
        }
        for (Index j = 0; j < p.input_copies; ++j) {
            const T* from = of.x.x + j * of.x.copy + (p.backwards ? (steps - 1) * f : 0);
            const Index gate = p.input_copies == 1 ? kAll : j;
            product(of, from, of.x.row, p.backwards ? -f : f, f, 0, steps, 0, cell.gates, gate, partial);
        }
        T* du = partial + z.u_at;
        if (of.entering) {
            for (Index j = 0; j < (p.state_copies == 1 ? 1 : cell.u_count); ++j)
                product(of, of.entering + j * of.entering_copy, of.entering_row, h, h, 0, steps, cell.u_first,
                        cell.u_count, p.state_copies == 1 ? kAll : j, du);
        } else if (!of.begins) {
            product(of, of.states, of.state_row, h, h, 0, steps, cell.u_first, cell.u_count, kAll, du);
        } else {
            product(of, of.states, of.state_row, h, h, 1, steps - 1, cell.u_first, cell.u_count, kAll, du);
            if (of.initial_state) product(of, of.initial_state, h, 0, h, 0, 1, cell.u_first, cell.u_count, kAll, du);
        }
        if (of.reset_states)
            product(of, of.reset_states, of.entering_row, h, h, 0, steps, 0, 1, kAll, partial + z.candidate_at);
    }

    // Sets the sums of a part of the weights and of `count` unit blocks from `first` to 0.
    void clear(T* partial, Index first, Index count, const Part& part) const {
        const CellInfo& cell = z.cell;
        const Index v = cell.vectors * z.lanes;
        if (part.index == 0) std::memset(partial + z.bias_at + first * v, 0, bytes<T>(count * v));
        clear(partial, p.features, cell.gates, first, count, part);
        clear(partial + z.u_at, p.units, cell.u_count, first, count, part);
        if (z.candidate) clear(partial + z.candidate_at, p.units, Index{1}, first, count, part);
    }

private:
    static constexpr Index kAll = -1;
    void clear(T* sums, Index rows, Index gates, Index first, Index count, const Part& part) const {
        const Strides at = z.sums(rows, gates);
        const Index from = part.first(rows), size = part.size(rows);
        if (z.large)
            for (Index block = first; block < first + count; ++block)
                std::memset(sums + block * at.block + from * at.row, 0, bytes<T>(size * at.row));
        else
            for (Index row = from; row < from + size; ++row)
                std::memset(sums + row * at.row + first * at.block, 0, bytes<T>(count * at.block));
    }
    // c += a^T dA over `steps` steps, the first dA being that of `step`; of the vectors vector .. vector+count-1 either
    // all or only the one `gate`.
    void product(const Operands& of, const T* a, Index a_row, Index a_step, Index m, Index step, Index steps,
                 Index vector, Index count, Index gate, T* c) const {
        const Index rows = of.part.size(m);
        if (steps == 0 || rows == 0) return;
        const Strides& at = da_at;
        const Index lane = gate == kAll ? 0 : gate * z.lanes, width = (gate == kAll ? count : 1) * z.lanes;
        const bool contiguous = !z.large && width == at.block;
        GemmTn<T> q{};
        q.a = a + of.part.first(m), q.b = of.da + step * at.step + of.block * at.block + vector * z.lanes + lane;
        if (z.large) {
            q.lda = a_row, q.a_sequence = a_step, q.ldb = at.row, q.b_sequence = at.step, q.sequences = steps,
            q.rows = of.rows;
        } else {
            q.lda = a_step, q.a_sequence = a_row, q.ldb = at.step, q.b_sequence = at.row, q.sequences = of.rows,
            q.rows = steps;
        }
        q.m = rows, q.ranges = contiguous ? 1 : of.blocks, q.width = contiguous ? of.blocks * width : width,
        q.range_offset = at.block;
        const Strides sums = z.sums(m, count);
        q.c = c + of.block * sums.block + of.part.first(m) * sums.row + lane, q.ldc = sums.row, q.c_offset = sums.block;
        q.scratch = thread_scratch<T, ThreadUse::kCopies>(gemm_tn_scratch(rows));
        q.interrupted = interrupted;
        kernels<T>().gemm_tn(q);
    }
};

// x of a block at some steps, with zeros at masked steps if any of those holds NaN or infinity: dA is 0 there, but the
// product of both would be NaN. What x holds at masked steps must not matter.
template <class T>
typename EnteringInput<T>::View without_masked(const Rnn<T>& p, const Block& block, const Steps& range,
                                               const typename EnteringInput<T>::View& x) {
    const Index f = p.features, steps = range.count(), row = steps * f;
    const auto is_masked = [&](Index r, Index t) {
        return !p.mask[(block.row + r) * p.steps + first_time(p, range) + t];
    };
    bool is_clean = true;
    for (Index j = 0; j < p.input_copies; ++j)
        for (Index r = 0; r < block.rows; ++r)
            for (Index t = 0; t < steps; ++t) {
                const T* at = x.x + j * x.copy + r * x.row + t * f;
                if (is_masked(r, t))
                    is_clean = is_clean && std::all_of(at, at + f, [](T v) { return std::isfinite(v); });
            }
    if (is_clean) return x;
    T* const copy = thread_scratch<T, ThreadUse::kInput>(p.input_copies * block.rows * row);
    T* to = copy;
    for (Index j = 0; j < p.input_copies; ++j)
        for (Index r = 0; r < block.rows; ++r)
            for (Index t = 0; t < steps; ++t, to += f) {
                const T* at = x.x + j * x.copy + r * x.row + t * f;
                if (is_masked(r, t)) std::fill(to, to + f, T(0));
                else std::copy(at, at + f, to);
            }
    return {copy, row, p.input_copies > 1 ? block.rows * row : 0};
}

// Adds the partial results of the other groups to those of the first one.
template <class T>
void reduce_groups(T* partials, Index groups, const Sizes<T>& z) {
    constexpr Index kTaskNumbers = 1 << 13;  // a multiple of all lanes
    parallel_for((z.partial + kTaskNumbers - 1) / kTaskNumbers, [&](Index task) {
        const Index first = task * kTaskNumbers;
        kernels<T>().add_rows(partials + first, partials + z.partial + first, z.partial, groups - 1, 0, 1,
                              std::min(kTaskNumbers, z.partial - first));
    });
}

// Copies sums; vector j of (rows, Hp / P, count, P) is gate (j + shift) % gates of out.
template <class T>
void unpack_gates(T* out, const T* from_all, Index rows, const Rnn<T>& p, const Sizes<T>& z, Index count, Index shift) {
    constexpr Index kTaskWeights = 1 << 15;
    const Index gates = z.cell.gates, h = p.units, task = kTaskWeights / (count * z.hp) + 1;
    const Strides sums = z.sums(rows, count);
    parallel_for((rows + task - 1) / task, [&](Index index) {
        for (Index row = index * task; row < (index + 1) * task && row < rows; ++row)
            for (Index u = 0; u < h; u += z.lanes)
                for (Index j = 0; j < count; ++j) {
                    const T* from = from_all + row * sums.row + u / z.lanes * sums.block + j * z.lanes;
                    T* to = out + (row * gates + (j + shift) % gates) * h + u;
                    std::copy(from, from + std::min(z.lanes, h - u), to);
                }
    });
}

template <class T>
void unpack_bias(T* out, const T* sums, const Rnn<T>& p, const Sizes<T>& z) {
    const CellInfo& cell = z.cell;
    const auto sum = [&](Index vector, Index unit) {
        return sums[z.bias_at + (unit / z.lanes * cell.vectors + vector) * z.lanes + unit % z.lanes];
    };
    for (Index j = 0; j < cell.gates; ++j)
        for (Index u = 0; u < p.units; ++u) out[(j + cell.x_shift) % cell.gates * p.units + u] = sum(j, u);
    if (cell.bias_rows == 2)
        for (Index j = 0; j < cell.u_count; ++j)
            for (Index u = 0; u < p.units; ++u) out[(cell.gates + j) * p.units + u] = sum(cell.u_first + j, u);
}

// Writes the gradients of the weights.
template <class T>
void reduce_gradients(const RnnGradients<T>& g, T* partials, Index groups, const Rnn<T>& p, const Sizes<T>& z) {
    const CellInfo& cell = z.cell;
    const Index h = p.units;
    if (groups > 1) reduce_groups(partials, groups, z);
    unpack_gates(g.d_kernel, partials, p.features, p, z, cell.gates, cell.x_shift);
    unpack_gates(g.d_recurrent_kernel, partials + z.u_at, h, p, z, cell.u_count, Index{0});
    if (z.candidate) unpack_gates(g.d_recurrent_kernel, partials + z.candidate_at, h, p, z, Index{1}, cell.u_count);
    if (g.d_bias) unpack_bias(g.d_bias, partials, p, z);
}

// h_{s-1} as it entered U at the steps of q under dropout: (state_copies, rows, steps, H) at these strides.
template <class T>
void scale_states(const Rnn<T>& p, const Block& block, const RnnBackward<T>& q, T* entering, Index row, Index copy) {
    const Index h = p.units;
    for (Index j = 0; j < p.state_copies; ++j)
        for (Index r = 0; r < block.rows; ++r) {
            const T* scale = p.state_scale + (j * p.batch + block.row + r) * h;
            T* out = entering + j * copy + r * row;
            for (Index i = 0; i < h; ++i)
                out[i] = q.in.initial_state ? q.in.initial_state[r * q.in.initial_row + i] * scale[i] : T(0);
            for (Index s = 1; s < q.steps; ++s)
                for (Index i = 0; i < h; ++i) out[s * h + i] = q.states[r * q.state_row + (s - 1) * h + i] * scale[i];
        }
}

// dx = dA W^T of a block over a range of steps, whose dA starts at `da`; under dropout by gate, each gate's product is
// scaled before it is added. A product takes all rows at one step, or all steps of one row, whichever are closer.
template <class T>
void input_gradient(const Rnn<T>& p, const Sizes<T>& z, const Block& block, const Steps& range, const T* da,
                    const Strides& at, const T* wt, T* dx, T* product) {
    const auto& k = kernels<T>();
    const Index f = p.features, tf = p.steps * f, rows = block.rows, steps = range.count(),
                dx_step = p.backwards ? -f : f;
    const Index count = z.large ? rows : steps, products = z.large ? steps : rows, width = z.cell.gates * z.lanes;
    const Index ld = z.large ? at.row : at.step, ld_out = z.large ? tf : dx_step;
    const bool contiguous = width == at.block;
    dx += block.row * tf + first_time(p, range) * f;
    if (p.input_copies > 1)
        for (Index r = 0; r < rows; ++r) std::memset(dx + r * tf, 0, bytes<T>(steps * f));
    for (Index i = 0; i < products; ++i) {
        const T* row = da + i * (z.large ? at.step : at.row);
        T* out = dx + (p.backwards ? (steps - 1) * f : 0) + i * (z.large ? dx_step : tf);
        if (p.input_copies == 1) {
            k.gemm({row, ld, count, contiguous ? Index{1} : z.blocks, contiguous ? z.width : width, at.block, wt,
                    nullptr, f, out, ld_out, nullptr, Activation::kLinear, false});
            continue;
        }
        for (Index j = 0; j < p.input_copies; ++j) {
            k.gemm({row + j * z.lanes, ld, count, z.blocks, z.lanes, at.block, wt + j * z.hp * padded<T>(f), nullptr, f,
                    product, f, nullptr, Activation::kLinear, false});
            const T* scale = p.input_scale + (input_gate(p, j) * p.batch + block.row) * f;
            for (Index c = 0; c < count; ++c)
                for (Index e = 0; e < f; ++e)
                    out[c * ld_out + e] += product[c * f + e] * scale[(z.large ? c : i) * f + e];
        }
    }
    if (p.input_scale && p.input_copies == 1)
        scale_steps(dx, tf, dx, tf, p.input_scale + block.row * f, rows, steps, f);
}

}  // namespace
}  // namespace pyrnn
