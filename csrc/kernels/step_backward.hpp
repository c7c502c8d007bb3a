// A step backward: where its data lies, and the cell between loads and stores.
#pragma once

#include "scan.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

template <class T>
struct BackwardStep {
    Index s, time;
    bool product, direct;  // whether dA_{s+1} exists; whether `direct` holds something
    const T* d_output;
    Index ld_output;
    const T* held;  // h_{s-1}, or null: zero
    Index ld_held;
    const T *state, *carry_in, *carry_out;
    T* gates;
    const T* z;
};

// The running gradients of a block of rows, (rows, Hp) each: of h beside what goes through U, and of c.
template <class T>
struct Running {
    T *direct, *carry, *dh;
};

template <class C, class T>
PYRNN_INLINE
BackwardStep<T> backward_step(const RnnBackward<T>& p, Index s, bool keeps_direct) {
    BackwardStep<T> step{};
    step.s = s;
    step.time = p.backwards ? p.steps - 1 - s : s;
    step.product = p.continues || s + 1 < p.steps;
    step.direct = step.product ? keeps_direct : p.d_final_state != nullptr;
    step.gates = p.gates + s * p.gates_at.step;
    if (s < 0) return step;
    if (p.d_output && (p.sequences || s == p.steps - 1)) {
        step.d_output = p.sequences ? p.d_output + s * p.units : p.d_output;
        step.ld_output = p.d_output_row;
    }
    step.held = s == 0 ? p.initial_state : p.states + (s - 1) * p.units;
    step.ld_held = s == 0 ? p.initial_row : p.state_row;
    step.state = p.states + s * p.units;
    if (p.carry) step.carry_in = p.carry + s * p.carry_at.step, step.carry_out = p.carry + (s + 1) * p.carry_at.step;
    step.z = p.z ? p.z + s * p.gates_at.step : nullptr;
    return step;
}

// Calls step_row(row) for every row that is not masked; a masked one passes dh on and has no dA.
template <class C, class T, class F>
PYRNN_INLINE
void for_kept_rows(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>& running, F step_row) {
    constexpr Index kWidth = C::kInfo.vectors * kLanes<T>;
    const Index blocks = blocks_of<T>(p.units), hp = blocks * kLanes<T>;
    for (Index r = 0; r < p.rows; ++r) {
        T* direct = running.direct + r * hp;
        if (p.mask && !p.mask[r * p.mask_row + step.time]) {
            for (Index block = 0; block < blocks; ++block)
                std::memset(step.gates + block * p.gates_at.block + r * p.gates_at.row, 0, kWidth * sizeof(T));
            std::memcpy(direct, running.dh + r * hp, static_cast<std::size_t>(hp) * sizeof(T));
        } else {
            std::memset(direct, 0, static_cast<std::size_t>(hp) * sizeof(T));
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
    return step.s > 0 ? step.held : nullptr;  // the initial state has a stride of its own
}

// A cell's step backward at the end of a tile, from dh to dA.
template <class C, class T, int kRows, int kBlocks>
PYRNN_INLINE
void gradient_tile(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>& running,
                   Vec<T> (&dh)[kRows][kBlocks], Index row, Index block) {
    constexpr Index kP = kLanes<T>;
    constexpr int kV = C::kInfo.vectors;
    if constexpr (kV == 1) {
        differentiate_registers<T>(p.activation, dh, step.state + row * p.state_row + block * kP, p.state_row,
                                   p.units - block * kP);
        write_gates<1>(dh, step.gates + row * p.gates_at.row + block * p.gates_at.block, p.gates_at);
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
                const Index carry = (row + r) * p.carry_at.row + (block + b) * p.carry_at.block, at = (block + b) * kP;
                T* gates = step.gates + (row + r) * p.gates_at.row + (block + b) * p.gates_at.block;
                const auto by = [&]() __attribute__((always_inline)) {
                    return (kCarries<C> ? running.carry : running.direct) + (row + r) * hp + at;
                };
                V gate[kV], before{}, y;
#pragma GCC unroll 4
                for (int j = 0; j < kV; ++j) gate[j].v[0] = rounded<T>(load(gates + j * kP));
                if constexpr (kCarries<C>) {
                    before.v[0] = load(step.carry_in + carry), y.v[0] = load(step.carry_out + carry + kP);
                } else {
                    y = gate[0];
                    if (step.held) before.v[0] = load_columns(step.held + (row + r) * step.ld_held + at, p.units - at);
                }
                const V d{{rounded<T>(dh[r][b])}};
                V inner = C::slope(gate, d) * (1 - y * y);
                if constexpr (kCarries<C>) inner = V{{load(by())}} + inner;
                else inner.v[0] = cleared(inner.v[0], lanes[b]);
                const Gradient<V, kV> of = C::gradient(gate, y, before, d, inner);
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

// The same for a row in memory: gradients of the gates in rows `d` of Hp.
template <class C, class T>
void gradient_row(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>& running, Index row) {
    constexpr Index kP = kLanes<T>;
    constexpr int kV = C::kInfo.vectors;
    using V = Several<T, 1>;
    const Index blocks = blocks_of<T>(p.units), hp = blocks * kP, units = p.units;
    T *d = p.scratch + 10 * p.rows * hp, *y = d + 4 * hp, *x = y + hp, *dy = x + hp, *dx = dy + hp;
    const GateRow<kV, T> gates(step.gates, p.gates_at, row);
    const GateRow<kV, const T> pre(step.z, p.gates_at, row);
    const T* dh = running.dh + row * hp;
    T* by = (kCarries<C> ? running.carry : running.direct) + row * hp;
    const auto carry_of = [&](Index b) { return row * p.carry_at.row + b * p.carry_at.block; };
    for (Index b = 0, at = 0; b < blocks; ++b, at += kP) {
        V gate[kV];
        gates.load_block(b, gate);
        if constexpr (kCarries<C>) {
            store(x + at, load(step.carry_out + carry_of(b))), store(y + at, load(step.carry_out + carry_of(b) + kP));
        } else {
            store(y + at, kV > 1 ? gate[0].v[0] : load_columns(step.state + row * p.state_row + at, units - at));
            if (pre.first) store(x + at, load(pre.vector(b, 0)));
        }
        store(dy + at, C::slope(gate, V{{load(dh + at)}}).v[0]), store(dx + at, Vec<T>{});
    }
    derivative_row(p.activation, y, kCarries<C> || pre.first ? x : nullptr, dy, dx, units);
    for (Index b = 0, at = 0; b < blocks; ++b, at += kP) {
        V gate[kV], before{}, inner{{load(dx + at)}};
        gates.load_block(b, gate);
        if constexpr (kCarries<C>) inner = inner + V{{load(by + at)}}, before.v[0] = load(step.carry_in + carry_of(b));
        else if (step.held) before.v[0] = load_columns(step.held + row * step.ld_held + at, units - at);
        const Gradient<V, kV> of = C::gradient(gate, V{{load(y + at)}}, before, V{{load(dh + at)}}, inner);
        for (int j = 0; j < kV; ++j) {
            if (C::kPasses[j] != Pass::kNone) store(d + j * hp + at, of.gate[j].v[0]);
            else store(gates.vector(b, j), cleared(of.gate[j].v[0], lanes_before_end<T>(units - at)));
        }
        if constexpr (kV > 1) store(by + at, of.before.v[0]);
    }
    for (int j = 0; j < kV; ++j)
        if (C::kPasses[j] != Pass::kNone && j != reset_gate<C>())
            differentiate_gate<kV>(activation_of<C>(p, j), gates, pre, j, units, d + j * hp, y);
}

// What the candidate of a GRU with reset_after=False passes on through (r h_{s-1}) U_h, whose dA is that of gate 0.
template <class C, class T>
void gradient_of_candidate(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>& running) {
    constexpr Index kP = kLanes<T>;
    constexpr int kV = C::kInfo.vectors;
    const Index hp = blocks_of<T>(p.units) * kP, units = p.units;
    T *da = p.scratch + 8 * p.rows * hp, *product = p.scratch + 9 * p.rows * hp;
    T *d = p.scratch + 10 * p.rows * hp, *temporary = d + hp;
    for (Index i = 0; i < p.rows; ++i) {
        const GateRow<kV, T> gates(step.gates, p.gates_at, i);
        for (Index at = 0; at < hp; at += kP) store(da + i * hp + at, load(gates.vector(at / kP, C::kG)));
    }
    gemm<T>({da, hp, p.rows, 1, hp, 0, p.candidate_t_panels, nullptr, units, product, hp, nullptr, Activation::kLinear,
             false});
    for (Index i = 0; i < p.rows; ++i) {
        T* reset = p.reset_states + i * p.reset_row + step.s * units;
        if (p.mask && !p.mask[i * p.mask_row + step.time]) {
            for (Index u = 0; u < units; ++u) reset[u] = T(0);
            continue;
        }
        const GateRow<kV, T> gate(step.gates, p.gates_at, i);
        const GateRow<kV, const T> pre(step.z, p.gates_at, i);
        const T* held = step.held ? step.held + i * step.ld_held : nullptr;
        const T* scale =
            p.state_scale ? p.state_scale + (p.scale_copies > 1 ? 2 : 0) * p.scale_copy + i * units : nullptr;
        for (Index u = 0; u < units; ++u) {
            const T r = gate(C::kR, u), factor = scale ? scale[u] : T(1);
            const T entered = held ? held[u] * factor : T(0);
            d[u] = product[i * hp + u] * entered;
            reset[u] = r * entered;
            running.direct[i * hp + u] += product[i * hp + u] * r * factor;
        }
        differentiate_gate<kV>(p.recurrent_activation, gate, pre, C::kR, units, d, temporary);
    }
}

template <class C, class T>
void gradient_rows(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>& running) {
    for_kept_rows<C>(p, step, running, [&](Index row) { gradient_row<C>(p, step, running, row); });
    if constexpr (kHasCandidate<C>) gradient_of_candidate<C>(p, step, running);
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
