// A step forward: where its data is, and the cell between its loads and stores.
#pragma once

#include "scan.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

// The data of step s of a block of rows, at the strides of the problem where no other is given.
template <class T>
struct ForwardStep {
    Index s, time;
    const T *x, *hoisted;  // hoisted: bias + x_t W (rows, V Hp) if it is computed already, or null
    Index ld_x;
    const T *previous,
        *entering;  // h_{s-1}; and as it enters U, in copies if recurrent dropout differs by gate; or null
    Index ld_previous, ld_entering, entering_copy;
    T* state;
    const T* carry_in;
    T* carry_out;
    T *gates, *z;
    Strides gates_at;  // those of z are the problem's
    bool leaves;       // a tile passes its states on to the other members
    UnitBlocks mine;   // to compute
};

template <class T>
PYRNN_INLINE
ForwardStep<T> forward_step(const RnnForward<T>& p, Index s) {
    ForwardStep<T> step{};
    step.s = s;
    step.time = p.options.backwards ? p.steps - 1 - s : s;
    step.x = p.in.x + step.time * p.features, step.ld_x = p.in.x_row;
    step.previous = s == 0 ? p.in.initial_state : p.out.states + ((s - 1) % p.out.slots) * p.units;
    step.ld_previous = s == 0 ? p.in.initial_row : p.out.state_row;
    step.entering = step.previous, step.ld_entering = step.ld_previous;
    step.state = p.out.states + (s % p.out.slots) * p.units;
    if (p.saved.carry) {
        step.carry_in = p.saved.carry + (s % p.saved.carry_slots) * p.saved.carry_at.step;
        step.carry_out = p.saved.carry + ((s + 1) % p.saved.carry_slots) * p.saved.carry_at.step;
    }
    step.gates = p.saved.gates ? p.saved.gates + s * p.saved.gates_at.step : nullptr;
    step.gates_at = p.saved.gates_at;
    step.z = p.saved.z ? p.saved.z + s * p.saved.gates_at.step : nullptr;
    return step;
}

// Prefetches the rows that the end of a tile will write.
template <class C, int kRows, int kBlocks, class T>
PYRNN_INLINE
void prefetch_output(const RnnForward<T>& p, const ForwardStep<T>& step, Index row, Index block) {
    constexpr Index kP = kLanes<T>;
    const T* gates = step.gates + block * step.gates_at.block + row * step.gates_at.row;
    const T* carry =
        p.saved.carry ? step.carry_out + block * p.saved.carry_at.block + row * p.saved.carry_at.row : nullptr;
    const T* state = step.state + row * p.out.state_row + block * kP;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
        prefetch_row<kBlocks, C::kInfo.vectors>(gates + r * step.gates_at.row, step.gates_at);
        if (carry) prefetch_row<kBlocks, 2>(carry + r * p.saved.carry_at.row, p.saved.carry_at);
        prefetch_row<kBlocks, 1>(state + r * p.out.state_row, Strides{0, 0, kP});
    }
}

// A cell's update of kCount vectors of unit blocks, vector n at (row_of(n), block_of(n)), in two halves: from the sums
// that sum(Constant<gate>, n) returns to what the activation of h takes, and from there to h. Training saves everything
// on the way; gate C::kLast passes its activation in the second half.
template <class C, int kCount, class T, class RowOf, class BlockOf>
struct VectorUpdate {
    static constexpr Index kP = kLanes<T>;
    static constexpr int kV = C::kInfo.vectors;
    using V = Several<T, kCount>;
    const RnnForward<T>& p;
    const ForwardStep<T>& step;
    const RowOf& row_of;
    const BlockOf& block_of;

    PYRNN_INLINE
    Index carry_of(int n) const { return row_of(n) * p.saved.carry_at.row + block_of(n) * p.saved.carry_at.block; }
    PYRNN_INLINE
    T* saved(int n) const { return step.gates + row_of(n) * step.gates_at.row + block_of(n) * step.gates_at.block; }

    template <int kGate, class Sum>
    PYRNN_INLINE
    static V gate(const Sum& sum) {
        V z;
#pragma GCC unroll 16
        for (int n = 0; n < kCount; ++n) z.v[n] = sum(Constant<kGate>{}, n);
        return activated<C, kGate>(z);
    }
    template <class Sum>
    PYRNN_INLINE
    V inner(V (&gates)[kV], const Sum& sum) const {
        for_each_gate<kV>([&](auto j) __attribute__((always_inline)) {
            constexpr int kJ = decltype(j)::value;
            if constexpr (kJ != C::kLast) gates[kJ] = gate<kJ>(sum);
        });
        V before;
        if constexpr (kCarries<C>) {
#pragma GCC unroll 16
            for (int n = 0; n < kCount; ++n) before.v[n] = load(step.carry_in + carry_of(n));
        }
        const V result = C::inner(gates, before);
        if constexpr (kCarries<C>) {
#pragma GCC unroll 16
            for (int n = 0; n < kCount; ++n) store(step.carry_out + carry_of(n), result.v[n]);
        }
        return result;
    }
    // Returns y.
    template <class Sum>
    PYRNN_INLINE
    V state(V (&gates)[kV], const V& inner, const Sum& sum) const {
        const V y = vector_tanh(inner);
        gates[C::kLast] = gate<C::kLast>(sum);
        V before;
        if constexpr (!kCarries<C>) {
#pragma GCC unroll 16
            for (int n = 0; n < kCount; ++n) {
                const Index at = block_of(n) * kP;
                before.v[n] = step.previous
                                  ? load_columns(step.previous + row_of(n) * step.ld_previous + at, p.units - at)
                                  : Vec<T>{};
            }
        }
        const V h = C::template output<true>(gates, y, before);
#pragma GCC unroll 16
        for (int n = 0; n < kCount; ++n) {
            const Index at = block_of(n) * kP;
            store_columns(step.state + row_of(n) * p.out.state_row + at, h.v[n], p.units - at);
        }
        return y;
    }
    PYRNN_INLINE
    void save_y(const V& y) const {
#pragma GCC unroll 16
        for (int n = 0; n < kCount; ++n) store(kCarries<C> ? step.carry_out + carry_of(n) + kP : saved(n), y.v[n]);
    }
    template <int kGate>
    PYRNN_INLINE
    void save(const V& gate) const {
#pragma GCC unroll 16
        for (int n = 0; n < kCount; ++n) store(saved(n) + kGate * kP, gate.v[n]);
    }
};

// Both halves at once.
template <class C, int kCount, class T, class Sum, class RowOf, class BlockOf>
PYRNN_INLINE
void update_vectors(const RnnForward<T>& p, const ForwardStep<T>& step, const Sum& sum, const RowOf& row_of,
                    const BlockOf& block_of) {
    const VectorUpdate<C, kCount, T, RowOf, BlockOf> update{p, step, row_of, block_of};
    Several<T, kCount> gates[C::kInfo.vectors];
    const auto inner = update.inner(gates, sum);
    const auto y = update.state(gates, inner, sum);
    if (!step.gates) return;
    for_each_gate<C::kInfo.vectors>([&](auto j) __attribute__((always_inline)) {
        constexpr int kJ = decltype(j)::value;
        if constexpr (kCarries<C> || kJ > 0) update.template save<kJ>(gates[kJ]);
    });
    update.save_y(y);
}

// A cell's update at the end of a tile, in registers.
template <class C, class T, int kRows, int kCols>
PYRNN_INLINE
void update_tile(const RnnForward<T>& p, const ForwardStep<T>& step, Vec<T> (&acc)[kRows][kCols], Index row,
                 Index block) {
    constexpr Index kP = kLanes<T>;
    constexpr int kV = C::kInfo.vectors, kBlocks = kCols / kV;
    if constexpr (kV == 1) {
        activate_registers<T>(p.options.activation, acc);
        write(acc, step.state + row * p.out.state_row + block * kP, p.out.state_row, p.units - block * kP);
        return;
    } else
        side_by_side<kRows * kBlocks>([&](auto first, auto count) __attribute__((always_inline)) {
            constexpr int kFirst = decltype(first)::value;
            update_vectors<C, decltype(count)::value>(
                p, step,
                [&](auto j, int n) __attribute__((always_inline)) {
                    return acc[(kFirst + n) / kBlocks][(kFirst + n) % kBlocks * kV + decltype(j)::value];
                },
                [&](int n) { return row + (kFirst + n) / kBlocks; },
                [&](int n) { return block + (kFirst + n) % kBlocks; });
        });
}

// Calls f(Constant<count>, row) over `rows`, kCount at a time, and then the rest.
template <int kCount, class F>
PYRNN_INLINE
void for_rest_of_rows(Index rows, Index row, const F& f) {
    if (row + kCount <= rows) {
        f(Constant<kCount>{}, row);
        row += kCount;
    }
    if constexpr (kCount > 1) for_rest_of_rows<kCount / 2>(rows, row, f);
}
template <int kCount, class F>
PYRNN_INLINE
void for_rows_together(Index rows, const F& f) {
    Index row = 0;
    for (; row + kCount <= rows; row += kCount) f(Constant<kCount>{}, row);
    if constexpr (kCount > 1) for_rest_of_rows<(kCount + 1) / 2>(rows, row, f);
}

// The same for `rows` from `row` on whose sums wait in memory, (rows, unit blocks, V, P).
template <class C, int kBlocks, class T>
__attribute__((noinline)) void update_sums(const RnnForward<T>& p, const ForwardStep<T>& step, T* sums, Index rows,
                                           Index row, Index block) {
    constexpr Index kP = kLanes<T>;
    constexpr int kV = C::kInfo.vectors;
    if constexpr (kV == 1) {
        constexpr int kTogether = 2 / kBlocks;
        const auto update = [&](auto f) __attribute__((always_inline)) {
            for_rows_together<kTogether>(rows, [&](auto count, Index first) __attribute__((always_inline)) {
                constexpr int kCount = decltype(count)::value * kBlocks;
                Several<T, kCount> x;
#pragma GCC unroll 16
                for (int n = 0; n < kCount; ++n) x.v[n] = load(sums + (first * kBlocks + n) * kP);
                x = f(x);
#pragma GCC unroll 16
                for (int n = 0; n < kCount; ++n) {
                    const Index at = (block + n % kBlocks) * kP;
                    store_columns(step.state + (row + first + n / kBlocks) * p.out.state_row + at, x.v[n],
                                  p.units - at);
                }
            });
        };
        switch (p.options.activation) {
            case Activation::kRelu: return update([](const auto& x) { return vector_relu(x); });
            case Activation::kTanh: return update([](const auto& x) { return vector_tanh(x); });
            case Activation::kSigmoid: return update([](const auto& x) { return vector_sigmoid(x); });
            default: return update([](const auto& x) { return x; });
        }
    } else {
        static_assert(kBlocks == 1, "one unit block");
        // One half for all rows, then the other: a core does not look far enough ahead to start the next rows while the
        // second half waits for the first.
        const auto each = [&](auto half) __attribute__((always_inline)) {
            for_rows_together<kSide>(rows, [&](auto count, Index first) __attribute__((always_inline)) {
                const auto row_of = [&](int n) { return row + first + n; };
                const auto block_of = [&](int) { return block; };
                const VectorUpdate<C, decltype(count)::value, T, decltype(row_of), decltype(block_of)> update{
                    p, step, row_of, block_of};
                half(count, update, sums + first * kV * kP);
            });
        };
        const auto sum_of = [](const T* at) {
            return [at](auto j, int n)
                       __attribute__((always_inline)) { return load(at + (n * kV + decltype(j)::value) * kP); };
        };
        static_assert(C::kLast != 0, "what the first half makes takes the place of the first sum");
        each([&](auto count, const auto& update, T* at) __attribute__((always_inline)) {
            constexpr int kCount = decltype(count)::value;
            Several<T, kCount> gates[kV];
            const auto inner = update.inner(gates, sum_of(at));
            if (step.gates)
                for_each_gate<kV>([&](auto j) __attribute__((always_inline)) {
                    constexpr int kJ = decltype(j)::value;
                    if constexpr (kJ != C::kLast && (kCarries<C> || kJ > 0)) update.template save<kJ>(gates[kJ]);
                });
#pragma GCC unroll 16
            for (int n = 0; n < kCount; ++n) store(at + n * kV * kP, inner.v[n]);
        });
        each([&](auto count, const auto& update, T* at) __attribute__((always_inline)) {
            constexpr int kCount = decltype(count)::value;
            Several<T, kCount> gates[kV] = {}, inner;
#pragma GCC unroll 16
            for (int n = 0; n < kCount; ++n) inner.v[n] = load(at + n * kV * kP);
            const auto y = update.state(gates, inner, sum_of(at));
            if (!step.gates) return;
            update.template save<C::kLast>(gates[C::kLast]);
            update.save_y(y);
        });
    }
}

// The same for a row in memory, whose gates (but for the candidate's product) have passed their activations.
template <class C, class T>
void update_row(const RnnForward<T>& p, const ForwardStep<T>& step, Index row, const UnitBlocks& mine) {
    constexpr Index kP = kLanes<T>;
    constexpr int kV = C::kInfo.vectors;
    using V = Several<T, 1>;
    T* y = ForwardScratch<T>(p.scratch, p.rows, blocks_of<T>(p.units) * kP).temporary;
    const GateRow<kV, T> gates(step.gates, step.gates_at, row), pre(step.z, p.saved.gates_at, row);
    const auto carry_of = [&](Index b) { return row * p.saved.carry_at.row + b * p.saved.carry_at.block; };
    const auto before = [&](Index b) -> V {
        if constexpr (kCarries<C>) return {{load(step.carry_in + carry_of(b))}};
        if (!step.previous) return {};
        return {{load_columns(step.previous + row * step.ld_previous + b * kP, p.units - b * kP)}};
    };
    for (Index b = mine.first; b < mine.end; ++b) {
        V gate[kV];
        gates.load_block(b, gate);
        const V inner = C::inner(gate, before(b));
        if constexpr (kCarries<C>) store(step.carry_out + carry_of(b), inner.v[0]);
        else if (pre.first) store(pre.vector(b, 0), inner.v[0]);
        store(y + b * kP, inner.v[0]);
    }
    const Index n = units_in<T>(mine, p.units);
    operations().activate(p.options.activation, y + mine.first * kP, n, y + mine.first * kP, n, 1, n);
    for (Index b = mine.first; b < mine.end; ++b) {
        const V result{{load(y + b * kP)}};
        V gate[kV];
        gates.load_block(b, gate);
        const V h = C::template output<false>(gate, result, before(b));
        store_columns(step.state + row * p.out.state_row + b * kP, h.v[0], p.units - b * kP);
        if constexpr (!kCarries<C>) store(gates.vector(b, 0), result.v[0]);
        else if (p.saved.gates) store(step.carry_out + carry_of(b) + kP, result.v[0]);
    }
}

// Adds (r h_{s-1}) U_h to the candidate (GRU with reset_after=False).
template <class C, class T>
void add_candidate(const RnnForward<T>& p, const ForwardStep<T>& step) {
    constexpr Index kP = kLanes<T>;
    constexpr int kV = C::kInfo.vectors;
    const Index hp = blocks_of<T>(p.units) * kP, units = p.units;
    const ForwardScratch<T> scratch(p.scratch, p.rows, hp);
    T *reset = scratch.reset, *product = scratch.product;
    const T* entering = step.entering + 2 * step.entering_copy;
    for (Index i = 0; i < p.rows; ++i) {
        const GateRow<kV, T> gates(step.gates, step.gates_at, i);
        for (Index u = 0; u < units; ++u) reset[i * units + u] = gates(C::kR, u) * entering[i * step.ld_entering + u];
    }
    operations().gemm({reset, units, p.rows, 1, units, 0, p.weights.candidate, nullptr, units, product, hp, nullptr,
                       Activation::kLinear, false});
    for (Index i = 0; i < p.rows; ++i) {
        const GateRow<kV, T> gates(step.gates, step.gates_at, i);
        for (Index u = 0; u < units; ++u) gates(C::kG, u) += product[i * hp + u];
    }
}

// `mine` is all unit blocks where an activation spans a row, and in a cell with a candidate.
template <class C, class T>
void update_rows(const RnnForward<T>& p, const ForwardStep<T>& step, const UnitBlocks& mine) {
    constexpr int kV = C::kInfo.vectors;
    T* temporary = ForwardScratch<T>(p.scratch, p.rows, blocks_of<T>(p.units) * kLanes<T>).temporary;
    for (Index i = 0; i < p.rows; ++i) {
        const GateRow<kV, T> gates(step.gates, step.gates_at, i);
        for (int j = 0; j < kV; ++j)
            if (C::kPasses[j] != Pass::kUnchanged)
                activate_gate<kV>(activation_of<C>(p, j), gates, j, p.units, mine, temporary);
        if constexpr (!kHasCandidate<C>) update_row<C>(p, step, i, mine);
    }
    if constexpr (kHasCandidate<C>) {
        if (step.entering) add_candidate<C>(p, step);
        for (Index i = 0; i < p.rows; ++i) update_row<C>(p, step, i, mine);
    }
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
