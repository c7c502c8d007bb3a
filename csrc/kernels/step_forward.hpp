// A step forward: where its data lies, and the cell between loads and stores.
#pragma once

#include "scan.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

// Where step s of a block of rows finds its data; rows stand at the strides of the problem.
template <class T>
struct ForwardStep {
    Index s, time;
    const T *x, *hoisted;  // hoisted: bias + x_t W, (rows, V Hp), where it is there already
    Index ld_x;
    const T *held,
        *entering;  // h_{s-1}, and as it enters U (copies of it where recurrent dropout differs by gate); or null
    Index ld_held, ld_entering, entering_copy;
    T* state;
    const T* carry_in;
    T* carry_out;
    T *gates, *z;
    Strides gates_at;  // those of z are the problem's
};

template <class T>
PYRNN_INLINE
ForwardStep<T> forward_step(const RnnForward<T>& p, Index s) {
    ForwardStep<T> step{};
    step.s = s;
    step.time = p.backwards ? p.steps - 1 - s : s;
    step.x = p.x + step.time * p.features, step.ld_x = p.x_row;
    step.held = s == 0 ? p.initial_state : p.states + ((s - 1) % p.slots) * p.units;
    step.ld_held = s == 0 ? p.initial_row : p.state_row;
    step.entering = step.held, step.ld_entering = step.ld_held;
    step.state = p.states + (s % p.slots) * p.units;
    if (p.carry) {
        step.carry_in = p.carry + (s % p.carry_slots) * p.carry_at.step;
        step.carry_out = p.carry + ((s + 1) % p.carry_slots) * p.carry_at.step;
    }
    step.gates = p.gates ? p.gates + s * p.gates_at.step : nullptr;
    step.gates_at = p.gates_at;
    step.z = p.z ? p.z + s * p.gates_at.step : nullptr;
    return step;
}

// Asks for the rows that the end of a tile will write.
template <class C, int kRows, int kBlocks, class T>
PYRNN_INLINE
void ask_for_output(const RnnForward<T>& p, const ForwardStep<T>& step, Index row, Index block) {
    constexpr Index kP = kLanes<T>;
    const T* gates = step.gates + block * step.gates_at.block + row * step.gates_at.row;
    const T* carry = p.carry ? step.carry_out + block * p.carry_at.block + row * p.carry_at.row : nullptr;
    const T* state = step.state + row * p.state_row + block * kP;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
        prefetch_row<kBlocks, C::kInfo.vectors>(gates + r * step.gates_at.row, step.gates_at);
        if (carry) prefetch_row<kBlocks, 2>(carry + r * p.carry_at.row, p.carry_at);
        prefetch_row<kBlocks, 1>(state + r * p.state_row, Strides{0, 0, kP});
    }
}

// A cell's step at the end of a tile: from accumulators to the new h, and to what training saves, in registers.
template <class C, class T, int kRows, int kCols>
PYRNN_INLINE
void update_tile(const RnnForward<T>& p, const ForwardStep<T>& step, Vec<T> (&acc)[kRows][kCols], Index row,
                 Index block) {
    constexpr Index kP = kLanes<T>;
    constexpr int kV = C::kInfo.vectors, kBlocks = kCols / kV;
    if constexpr (kV == 1) {
        activate_registers<T>(p.activation, acc);
        write(acc, step.state + row * p.state_row + block * kP, p.state_row, p.units - block * kP);
        return;
    } else
        side_by_side<kRows * kBlocks>([&](auto first, auto count) __attribute__((always_inline)) {
            constexpr int kFirst = decltype(first)::value, kCount = decltype(count)::value;
            using V = Several<T, kCount>;
            const auto row_of = [&](int n) { return row + (kFirst + n) / kBlocks; };
            const auto block_of = [&](int n) { return block + (kFirst + n) % kBlocks; };
            const auto carry_of = [&](int n) { return row_of(n) * p.carry_at.row + block_of(n) * p.carry_at.block; };
            V gate[kV], before;
#pragma GCC unroll 16
            for (int j = 0; j < kV; ++j)
#pragma GCC unroll 16
                for (int n = 0; n < kCount; ++n)
                    gate[j].v[n] = acc[(kFirst + n) / kBlocks][(kFirst + n) % kBlocks * kV + j];
            for_each_gate<kV>([&](auto j) __attribute__((always_inline)) {
                constexpr int kJ = decltype(j)::value;
                if constexpr (kJ != C::kLate) gate[kJ] = activated<C, kJ>(gate[kJ]);
            });
            if constexpr (kCarries<C>) {
#pragma GCC unroll 16
                for (int n = 0; n < kCount; ++n) before.v[n] = load(step.carry_in + carry_of(n));
            }
            const V inner = C::inner(gate, before);
            if constexpr (kCarries<C>) {
#pragma GCC unroll 16
                for (int n = 0; n < kCount; ++n) store(step.carry_out + carry_of(n), inner.v[n]);
            }
            const V y = vector_tanh(inner);
            gate[C::kLate] = activated<C, C::kLate>(gate[C::kLate]);
            if constexpr (!kCarries<C>) {
#pragma GCC unroll 16
                for (int n = 0; n < kCount; ++n) {
                    const Index at = block_of(n) * kP;
                    before.v[n] =
                        step.held ? load_columns(step.held + row_of(n) * step.ld_held + at, p.units - at) : Vec<T>{};
                }
            }
            const V h = C::template output<true>(gate, y, before);
#pragma GCC unroll 16
            for (int n = 0; n < kCount; ++n) {
                const Index at = block_of(n) * kP;
                store_columns(step.state + row_of(n) * p.state_row + at, h.v[n], p.units - at);
            }
            if (!step.gates) return;
            if constexpr (!kCarries<C>) gate[0] = y;
#pragma GCC unroll 16
            for (int n = 0; n < kCount; ++n) {
                T* saved = step.gates + row_of(n) * step.gates_at.row + block_of(n) * step.gates_at.block;
#pragma GCC unroll 16
                for (int j = 0; j < kV; ++j) store(saved + j * kP, gate[j].v[n]);
                if constexpr (kCarries<C>) store(step.carry_out + carry_of(n) + kP, y.v[n]);
            }
        });
}

// The same for activations that run over whole rows in memory.
template <class C, class T>
void update_row(const RnnForward<T>& p, const ForwardStep<T>& step, Index row) {
    constexpr Index kP = kLanes<T>;
    constexpr int kV = C::kInfo.vectors;
    using V = Several<T, 1>;
    const Index blocks = blocks_of<T>(p.units);
    T* y = p.scratch + 10 * p.rows * blocks * kP;
    const GateRow<kV, T> gates(step.gates, step.gates_at, row), pre(step.z, p.gates_at, row);
    const auto carry_of = [&](Index b) { return row * p.carry_at.row + b * p.carry_at.block; };
    const auto before = [&](Index b) -> V {
        if constexpr (kCarries<C>) return {{load(step.carry_in + carry_of(b))}};
        if (!step.held) return {};
        return {{load_columns(step.held + row * step.ld_held + b * kP, p.units - b * kP)}};
    };
    for (Index b = 0; b < blocks; ++b) {
        V gate[kV];
        gates.load_block(b, gate);
        const V inner = C::inner(gate, before(b));
        if constexpr (kCarries<C>) store(step.carry_out + carry_of(b), inner.v[0]);
        else if (pre.first) store(pre.vector(b, 0), inner.v[0]);
        store(y + b * kP, inner.v[0]);
    }
    activate(p.activation, y, p.units, y, p.units, 1, p.units);
    for (Index b = 0; b < blocks; ++b) {
        const V result{{load(y + b * kP)}};
        V gate[kV];
        gates.load_block(b, gate);
        const V h = C::template output<false>(gate, result, before(b));
        store_columns(step.state + row * p.state_row + b * kP, h.v[0], p.units - b * kP);
        if constexpr (!kCarries<C>) store(gates.vector(b, 0), result.v[0]);
        else if (p.gates) store(step.carry_out + carry_of(b) + kP, result.v[0]);
    }
}

// Adds (r h_{s-1}) U_h to the candidate (GRU with reset_after=False).
template <class C, class T>
void add_candidate(const RnnForward<T>& p, const ForwardStep<T>& step) {
    constexpr Index kP = kLanes<T>;
    constexpr int kV = C::kInfo.vectors;
    const Index hp = blocks_of<T>(p.units) * kP, units = p.units;
    T *reset = p.scratch + 8 * p.rows * hp, *product = p.scratch + 9 * p.rows * hp;
    const T* entering = step.entering + 2 * step.entering_copy;
    for (Index i = 0; i < p.rows; ++i) {
        const GateRow<kV, T> gates(step.gates, step.gates_at, i);
        for (Index u = 0; u < units; ++u) reset[i * units + u] = gates(C::kR, u) * entering[i * step.ld_entering + u];
    }
    gemm<T>({reset, units, p.rows, 1, units, 0, p.candidate_panels, nullptr, units, product, hp, nullptr,
             Activation::kLinear, false});
    for (Index i = 0; i < p.rows; ++i) {
        const GateRow<kV, T> gates(step.gates, step.gates_at, i);
        for (Index u = 0; u < units; ++u) gates(C::kG, u) += product[i * hp + u];
    }
}

template <class C, class T>
void update_rows(const RnnForward<T>& p, const ForwardStep<T>& step) {
    constexpr int kV = C::kInfo.vectors;
    T* temporary = p.scratch + 10 * p.rows * blocks_of<T>(p.units) * kLanes<T>;
    for (Index i = 0; i < p.rows; ++i) {
        const GateRow<kV, T> gates(step.gates, step.gates_at, i);
        for (int j = 0; j < kV; ++j)
            if (C::kPasses[j] != Pass::kNone) activate_gate<kV>(activation_of<C>(p, j), gates, j, p.units, temporary);
        if constexpr (!kHasCandidate<C>) update_row<C>(p, step, i);
    }
    if constexpr (kHasCandidate<C>) {
        if (step.entering) add_candidate<C>(p, step);
        for (Index i = 0; i < p.rows; ++i) update_row<C>(p, step, i);
    }
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
