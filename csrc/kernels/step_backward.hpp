// A step backward: where its data is, and the cell between its loads and stores.
#pragma once

#include "scan.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

template <class T>
struct BackwardStep {
    Index s, time;
    bool product, direct;  // whether dA_{s+1} exists; whether scratch.direct is set
    const T* d_output;
    Index ld_output;
    const T* previous;  // h_{s-1}, or null: zero
    Index ld_previous;
    const T *state, *carry_in, *carry_out;
    T* gates;
    const T* z;
    UnitBlocks mine;  // to compute
};

template <class C, class T>
PYRNN_INLINE
BackwardStep<T> backward_step(const RnnBackward<T>& p, Index s, bool keeps_direct) {
    BackwardStep<T> step{};
    step.s = s;
    step.time = p.options.backwards ? p.steps - 1 - s : s;
    step.product = p.continues || s + 1 < p.steps;
    step.direct = step.product ? keeps_direct : p.d_final_state != nullptr;
    step.gates = p.saved.gates + s * p.saved.gates_at.step;
    if (s < 0) return step;
    if (p.d_output && (p.sequences || s == p.steps - 1)) {
        step.d_output = p.sequences ? p.d_output + s * p.units : p.d_output;
        step.ld_output = p.d_output_row;
    }
    step.previous = s == 0 ? p.in.initial_state : p.states + (s - 1) * p.units;
    step.ld_previous = s == 0 ? p.in.initial_row : p.state_row;
    step.state = p.states + s * p.units;
    if (p.saved.carry)
        step.carry_in = p.saved.carry + s * p.saved.carry_at.step,
        step.carry_out = p.saved.carry + (s + 1) * p.saved.carry_at.step;
    step.z = p.saved.z ? p.saved.z + s * p.saved.gates_at.step : nullptr;
    return step;
}

// Calls step_row(row) for every row that is not masked; a masked row passes dh on and its dA is 0.
template <class C, class T, class F>
PYRNN_INLINE
void for_unmasked_rows(const RnnBackward<T>& p, const BackwardStep<T>& step, const BackwardScratch<T>& scratch,
                       F step_row) {
    constexpr Index kWidth = C::kInfo.vectors * kLanes<T>;
    const Index hp = blocks_of<T>(p.units) * kLanes<T>, first = step.mine.first * kLanes<T>;
    const auto size = static_cast<std::size_t>(step.mine.end * kLanes<T> - first) * sizeof(T);
    for (Index r = 0; r < p.rows; ++r) {
        T* direct = scratch.direct + r * hp + first;
        if (p.in.mask && !p.in.mask[r * p.in.mask_row + step.time]) {
            for (Index block = step.mine.first; block < step.mine.end; ++block)
                std::memset(step.gates + block * p.saved.gates_at.block + r * p.saved.gates_at.row, 0,
                            kWidth * sizeof(T));
            std::memcpy(direct, scratch.dh + r * hp + first, size);
        } else {
            std::memset(direct, 0, size);
            step_row(r);
        }
    }
}

// The h that backward reads at the stride of the states, or null.
template <class C, class T>
PYRNN_INLINE
const T* saved_state(const BackwardStep<T>& step) {
    if constexpr (C::kInfo.vectors == 1) return step.state;
    if constexpr (kCarries<C>) return nullptr;
    return step.s > 0 ? step.previous : nullptr;  // the initial state has a stride of its own
}

// A cell's gradients at the end of a tile, in registers: from dh to dA.
template <class C, class T, int kRows, int kBlocks>
PYRNN_INLINE
void gradient_tile(const RnnBackward<T>& p, const BackwardStep<T>& step, const BackwardScratch<T>& scratch,
                   Vec<T> (&dh)[kRows][kBlocks], Index row, Index block) {
    constexpr Index kP = kLanes<T>;
    constexpr int kV = C::kInfo.vectors;
    if constexpr (kV == 1) {
        differentiate_registers<T>(p.options.activation, dh, step.state + row * p.state_row + block * kP, p.state_row,
                                   p.units - block * kP);
        write_gates<1>(dh, step.gates + row * p.saved.gates_at.row + block * p.saved.gates_at.block, p.saved.gates_at);
        return;
    } else {
        using V = Several<T, 1>;
        const Index hp = blocks_of<T>(p.units) * kP;
        Lanes<T> lanes[kBlocks];
#pragma GCC unroll 4
        for (int b = 0; b < kBlocks; ++b) lanes[b] = lanes_before_end<T>(p.units - (block + b) * kP);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
            for (int b = 0; b < kBlocks; ++b) {
                const Index carry = (row + r) * p.saved.carry_at.row + (block + b) * p.saved.carry_at.block,
                            at = (block + b) * kP;
                T* gates = step.gates + (row + r) * p.saved.gates_at.row + (block + b) * p.saved.gates_at.block;
                const auto by = [&]() __attribute__((always_inline)) {
                    return (kCarries<C> ? scratch.carry : scratch.direct) + (row + r) * hp + at;
                };
                V gate[kV], before{}, y;
#pragma GCC unroll 4
                for (int j = 0; j < kV; ++j) gate[j].v[0] = rounded<T>(load(gates + j * kP));
                if constexpr (kCarries<C>) {
                    before.v[0] = load(step.carry_in + carry), y.v[0] = load(step.carry_out + carry + kP);
                } else {
                    y = gate[0];
                    if (step.previous)
                        before.v[0] = load_columns(step.previous + (row + r) * step.ld_previous + at, p.units - at);
                }
                const V d{{rounded<T>(dh[r][b])}};
                V inner = C::gradient_of_y(gate, d) * (1 - y * y);
                if constexpr (kCarries<C>) inner = V{{load(by())}} + inner;
                else inner.v[0] = cleared(inner.v[0], lanes[b]);
                const Gradients<V, kV> of = C::gradients(gate, y, before, d, inner);
                for_each_gate<kV>([&](auto j) __attribute__((always_inline)) {
                    constexpr int kJ = decltype(j)::value;
                    const V da = differentiated<C, kJ>(gate[kJ], of.gate[kJ]);
                    store(gates + kJ * kP, kJ == 0 && !kCarries<C> ? da.v[0] : cleared(da.v[0], lanes[b]));
                });
                store(by(), of.before.v[0]);
            }
        }
    }
}

// The same for a row in memory. `d` are the gradients of the gates, a row of Hp each.
template <class C, class T>
void gradient_row(const RnnBackward<T>& p, const BackwardStep<T>& step, const BackwardScratch<T>& scratch, Index row) {
    constexpr Index kP = kLanes<T>;
    constexpr int kV = C::kInfo.vectors;
    using V = Several<T, 1>;
    const Index hp = blocks_of<T>(p.units) * kP, units = p.units, first = step.mine.first, end = step.mine.end;
    T *d = scratch.temporary, *y = d + 4 * hp, *x = y + hp, *dy = x + hp, *dx = dy + hp;
    const GateRow<kV, T> gates(step.gates, p.saved.gates_at, row);
    const GateRow<kV, const T> pre(step.z, p.saved.gates_at, row);
    const T* dh = scratch.dh + row * hp;
    T* by = (kCarries<C> ? scratch.carry : scratch.direct) + row * hp;
    const auto carry_of = [&](Index b) { return row * p.saved.carry_at.row + b * p.saved.carry_at.block; };
    for (Index b = first, at = first * kP; b < end; ++b, at += kP) {
        V gate[kV];
        gates.load_block(b, gate);
        if constexpr (kCarries<C>) {
            store(x + at, load(step.carry_out + carry_of(b))), store(y + at, load(step.carry_out + carry_of(b) + kP));
        } else {
            store(y + at, kV > 1 ? gate[0].v[0] : load_columns(step.state + row * p.state_row + at, units - at));
            if (pre.first) store(x + at, load(pre.vector(b, 0)));
        }
        store(dy + at, C::gradient_of_y(gate, V{{load(dh + at)}}).v[0]), store(dx + at, Vec<T>{});
    }
    const Index from = first * kP, n = units_in<T>(step.mine, units);
    operations().activate_backward(p.options.activation, y + from, kCarries<C> || pre.first ? x + from : nullptr, n,
                                   dy + from, n, dx + from, n, 1, n);
    for (Index b = first, at = from; b < end; ++b, at += kP) {
        V gate[kV], before{}, inner{{load(dx + at)}};
        gates.load_block(b, gate);
        if constexpr (kCarries<C>) inner = inner + V{{load(by + at)}}, before.v[0] = load(step.carry_in + carry_of(b));
        else if (step.previous) before.v[0] = load_columns(step.previous + row * step.ld_previous + at, units - at);
        const Gradients<V, kV> of = C::gradients(gate, V{{load(y + at)}}, before, V{{load(dh + at)}}, inner);
        for (int j = 0; j < kV; ++j) {
            if (C::kPasses[j] != Pass::kUnchanged) store(d + j * hp + at, of.gate[j].v[0]);
            else store(gates.vector(b, j), cleared(of.gate[j].v[0], lanes_before_end<T>(units - at)));
        }
        if constexpr (kV > 1) store(by + at, of.before.v[0]);
    }
    for (int j = 0; j < kV; ++j)
        if (C::kPasses[j] != Pass::kUnchanged && j != reset_gate<C>())
            differentiate_gate<kV>(activation_of<C>(p, j), gates, pre, j, units, step.mine, d + j * hp, y);
}

// The gradients that (r h_{s-1}) U_h passes on to r and h_{s-1} (GRU with reset_after=False); its dA is that of gate 0.
template <class C, class T>
void gradient_of_candidate(const RnnBackward<T>& p, const BackwardStep<T>& step, const BackwardScratch<T>& scratch) {
    constexpr Index kP = kLanes<T>;
    constexpr int kV = C::kInfo.vectors;
    const Index hp = blocks_of<T>(p.units) * kP, units = p.units;
    T *da = scratch.da, *product = scratch.product, *d = scratch.temporary, *temporary = d + hp;
    for (Index i = 0; i < p.rows; ++i) {
        const GateRow<kV, T> gates(step.gates, p.saved.gates_at, i);
        for (Index at = 0; at < hp; at += kP) store(da + i * hp + at, load(gates.vector(at / kP, C::kG)));
    }
    operations().gemm({da, hp, p.rows, 1, hp, 0, p.weights.candidate, nullptr, units, product, hp, nullptr,
                       Activation::kLinear, false});
    for (Index i = 0; i < p.rows; ++i) {
        T* reset = p.reset_states + i * p.reset_row + step.s * units;
        if (p.in.mask && !p.in.mask[i * p.in.mask_row + step.time]) {
            for (Index u = 0; u < units; ++u) reset[u] = T(0);
            continue;
        }
        const GateRow<kV, T> gate(step.gates, p.saved.gates_at, i);
        const GateRow<kV, const T> pre(step.z, p.saved.gates_at, i);
        const T* previous = step.previous ? step.previous + i * step.ld_previous : nullptr;
        const T* scale = p.in.state_scale
                             ? p.in.state_scale + (p.in.scale_copies > 1 ? 2 : 0) * p.in.scale_copy + i * units
                             : nullptr;
        for (Index u = 0; u < units; ++u) {
            const T r = gate(C::kR, u), factor = scale ? scale[u] : T(1);
            const T entered = previous ? previous[u] * factor : T(0);
            d[u] = product[i * hp + u] * entered;
            reset[u] = r * entered;
            // Not times a factor of 1: whether that product is rounded would depend on the optimizer.
            if (scale) scratch.direct[i * hp + u] += product[i * hp + u] * r * factor;
            else scratch.direct[i * hp + u] += product[i * hp + u] * r;
        }
        differentiate_gate<kV>(p.options.recurrent_activation, gate, pre, C::kR, units, step.mine, d, temporary);
    }
}

// `step.mine` is all unit blocks where an activation spans a row, and in a cell with a candidate.
template <class C, class T>
void gradient_rows(const RnnBackward<T>& p, const BackwardStep<T>& step, const BackwardScratch<T>& scratch) {
    for_unmasked_rows<C>(p, step, scratch, [&](Index row) { gradient_row<C>(p, step, scratch, row); });
    if constexpr (kHasCandidate<C>) gradient_of_candidate<C>(p, step, scratch);
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
