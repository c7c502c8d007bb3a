// LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000), rec the recurrent activation:
//   i, f, o = rec(b + x W + h U),  g = act(b + x W + h U),  c = f c_{t-1} + i g,  h = o act(c)
//
// Kept for backward: i, f, g, o in the place where dA will stand, and in the slots of carry c and behind it act(c).
#pragma once

#include "../kernels/scan_backward.hpp"
#include "../kernels/scan_forward.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

struct Lstm {
    static constexpr CellInfo kInfo = info(Cell::kLstm);
    static constexpr bool kDirect = false;
    enum { kI, kF, kG, kO, kV };
    static bool fused(Activation activation, Activation recurrent) {
        return activation == Activation::kTanh && recurrent == Activation::kSigmoid;
    }

    template <class T>
    static const T* reads(const BackwardStep<T>&) {
        return nullptr;
    }

    template <class T, int kRows, int kCols>
    PYRNN_INLINE
    static void forward(const RnnForward<T>& p, const ForwardStep<T>& step, Vec<T> (&acc)[kRows][kCols], Index row,
                        Index block) {
        constexpr Index kP = kLanes<T>;
        const Index ld_state = p.state_row;
        constexpr int kBlocks = kCols / kV;
        side_by_side<kRows * kBlocks>([&](auto first, auto count) __attribute__((always_inline)) {
            constexpr int kFirst = decltype(first)::value, kCount = decltype(count)::value;
            const auto row_of = [&](int n) { return row + (kFirst + n) / kBlocks; };
            const auto block_of = [&](int n) { return block + (kFirst + n) % kBlocks; };
            const auto carry_of = [&](int n) { return row_of(n) * p.carry_at.row + block_of(n) * p.carry_at.block; };
            const auto gate = [&](int j) {
                Several<T, kCount> z;
#pragma GCC unroll 16
                for (int n = 0; n < kCount; ++n) z.v[n] = acc[(kFirst + n) / kBlocks][(kFirst + n) % kBlocks * kV + j];
                return z;
            };
            const auto i = vector_sigmoid(gate(kI)), f = vector_sigmoid(gate(kF)), g = vector_tanh(gate(kG));
            Several<T, kCount> c;
#pragma GCC unroll 16
            for (int n = 0; n < kCount; ++n) {
                c.v[n] = f.v[n] * load(step.carry_in + carry_of(n)) + rounded<T>(i.v[n] * g.v[n]);
                store(step.carry_out + carry_of(n), c.v[n]);
            }
            const auto o = vector_sigmoid(gate(kO)), y = vector_tanh(c);
#pragma GCC unroll 16
            for (int n = 0; n < kCount; ++n) {
                const Index at = block_of(n) * kP;
                store_columns(step.state + row_of(n) * ld_state + at, o.v[n] * y.v[n], p.units - at);
            }
            if (!step.gates) return;
#pragma GCC unroll 16
            for (int n = 0; n < kCount; ++n) {
                T* kept = step.gates + row_of(n) * step.gates_at.row + block_of(n) * step.gates_at.block;
                store(kept + kI * kP, i.v[n]), store(kept + kF * kP, f.v[n]), store(kept + kG * kP, g.v[n]),
                    store(kept + kO * kP, o.v[n]);
                store(step.carry_out + carry_of(n) + kP, y.v[n]);
            }
        });
    }

    template <class T>
    static void forward_rows(const RnnForward<T>& p, const ForwardStep<T>& step) {
        constexpr Index kP = kLanes<T>;
        const Index hp = blocks_of<T>(p.units) * kP;
        T* temporary = p.scratch + 10 * p.rows * hp;
        for (Index r = 0; r < p.rows; ++r) {
            const GateRow<kV, T> gates(step.gates, step.gates_at, r);
            T* h = step.state + r * p.state_row;
            for (int j = 0; j < kV; ++j)
                activate_gate<kV>(j == kG ? p.activation : p.recurrent_activation, gates, j, p.units, temporary);
            for (Index b = 0; b < blocks_of<T>(p.units); ++b) {
                const Index carry = r * p.carry_at.row + b * p.carry_at.block;
                const Vec<T> held = load(gates.vector(b, kF)) * load(step.carry_in + carry);
                const Vec<T> c = held + rounded<T>(load(gates.vector(b, kI)) * load(gates.vector(b, kG)));
                store(step.carry_out + carry, c), store(temporary + b * kP, c);
            }
            activate(p.activation, temporary, p.units, temporary, p.units, 1, p.units);
            for (Index b = 0; p.gates && b < blocks_of<T>(p.units); ++b)
                store(step.carry_out + r * p.carry_at.row + b * p.carry_at.block + kP, load(temporary + b * kP));
            for (Index b = 0; b < blocks_of<T>(p.units); ++b)
                store_columns(h + b * kP, load(gates.vector(b, kO)) * load(temporary + b * kP), p.units - b * kP);
        }
    }

    template <class T, int kRows, int kBlocks>
    PYRNN_INLINE
    static void backward(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>& running,
                         Vec<T> (&dh)[kRows][kBlocks], Index row, Index block) {
        constexpr Index kP = kLanes<T>;
        const Index hp = blocks_of<T>(p.units) * kP;
        Lanes<T> lanes[kBlocks];
#pragma GCC unroll 4
        for (int b = 0; b < kBlocks; ++b) lanes[b] = lanes_before_end<T>(p.units - (block + b) * kP);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
            for (int b = 0; b < kBlocks; ++b) {
                const Index carry = (row + r) * p.carry_at.row + (block + b) * p.carry_at.block;
                T* gates = step.gates + (row + r) * p.gates_at.row + (block + b) * p.gates_at.block;
                T* carried = running.carry + (row + r) * hp + (block + b) * kP;
                const Vec<T> i = load(gates + kI * kP), f = load(gates + kF * kP), g = load(gates + kG * kP);
                const Vec<T> o = load(gates + kO * kP), c_in = load(step.carry_in + carry);
                const Vec<T> y = load(step.carry_out + carry + kP);
                const Vec<T> dc = load(carried) + dh[r][b] * o * (T(1) - y * y);
                store(gates + kI * kP, cleared(dc * g * (i * (T(1) - i)), lanes[b]));
                store(gates + kF * kP, cleared(dc * c_in * (f * (T(1) - f)), lanes[b]));
                store(gates + kG * kP, cleared(dc * i * (T(1) - g * g), lanes[b]));
                store(gates + kO * kP, cleared(dh[r][b] * y * (o * (T(1) - o)), lanes[b]));
                store(carried, dc * f);
            }
        }
    }

    template <class T>
    static void backward_rows(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>& running) {
        constexpr Index kP = kLanes<T>;
        const Index hp = blocks_of<T>(p.units) * kP, units = p.units;
        T *y = p.scratch + 10 * p.rows * hp, *dy = y + hp, *dc = y + 2 * hp, *d = y + 3 * hp, *c = y + 4 * hp,
          *temporary = y + 5 * hp;
        for_kept_rows<Lstm>(p, step, running, [&](Index r) {
            const GateRow<kV, T> gates(step.gates, p.gates_at, r);
            const GateRow<kV, const T> z(step.z, p.gates_at, r);
            T *dh = running.dh + r * hp, *carried = running.carry + r * hp;
            const Index kept = r * p.carry_at.row;
            for (Index b = 0, at = 0; at < hp; ++b, at += kP) {
                const T* slot = step.carry_out + kept + b * p.carry_at.block;
                store(c + at, load(slot)), store(y + at, load(slot + kP));
                store(dy + at, load(dh + at) * load(gates.vector(b, kO)));
                store(dc + at, Vec<T>{});
            }
            derivative_row(p.activation, y, c, dy, dc, units);
            for (Index b = 0, at = 0; at < hp; ++b, at += kP) {
                const Vec<T> dc_all = load(dc + at) + load(carried + at);
                store(d + at, load(dh + at) * load(y + at));
                store(y + at, dc_all * load(gates.vector(b, kI)));   // of g
                store(dy + at, dc_all * load(gates.vector(b, kG)));  // of i
                store(carried + at, dc_all * load(gates.vector(b, kF)));
                store(dc + at, dc_all * load(step.carry_in + kept + b * p.carry_at.block));  // of f
            }
            differentiate_gate<kV>(p.recurrent_activation, gates, z, kO, units, d, temporary);
            differentiate_gate<kV>(p.activation, gates, z, kG, units, y, temporary);
            differentiate_gate<kV>(p.recurrent_activation, gates, z, kI, units, dy, temporary);
            differentiate_gate<kV>(p.recurrent_activation, gates, z, kF, units, dc, temporary);
        });
    }
};

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
