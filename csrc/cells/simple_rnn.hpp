// SimpleRNN: h_t = act(b + x_t W + h_{t-1} U).
//
// Backward: dA_t = dh_t * act'(h_t). Nothing but h is kept (and z where act' needs it).
#pragma once

#include "../kernels/scan_backward.hpp"
#include "../kernels/scan_forward.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

struct SimpleRnn {
    static constexpr CellInfo kInfo = info(Cell::kSimpleRnn);
    static constexpr bool kDirect = false;
    static bool fused(Activation activation, Activation) { return fused_in_registers(activation); }
    template <class T>
    static const T* reads(const BackwardStep<T>& step) {
        return step.state;
    }

    template <class T, int kRows, int kBlocks>
    PYRNN_INLINE
    static void forward(const RnnForward<T>& p, const ForwardStep<T>& step, Vec<T> (&acc)[kRows][kBlocks], Index row,
                        Index block) {
        const Index ld_state = p.state_row, column = block * kLanes<T>;
        activate_registers<T>(p.activation, acc);
        write(acc, step.state + row * ld_state + column, ld_state, p.units - column);
    }

    template <class T>
    static void forward_rows(const RnnForward<T>& p, const ForwardStep<T>& step) {
        const Index hp = blocks_of<T>(p.units) * kLanes<T>;
        T* temporary = p.scratch + 10 * p.rows * hp;
        for (Index r = 0; r < p.rows; ++r) {
            const GateRow<1, T> gates(step.gates, step.gates_at, r);
            for (Index b = 0; b * kLanes<T> < p.units; ++b) store(temporary + b * kLanes<T>, load(gates.vector(b, 0)));
            activate(p.activation, temporary, p.units, step.state + r * p.state_row, p.units, 1, p.units);
        }
    }

    template <class T, int kRows, int kBlocks>
    PYRNN_INLINE
    static void backward(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>&,
                         Vec<T> (&dh)[kRows][kBlocks], Index row, Index block) {
        constexpr Index kP = kLanes<T>;
        const Index ld = p.state_row, column = block * kP, n = p.units - column;
        const T* h = step.state + row * ld + column;
        differentiate_registers<T>(p.activation, dh, h, ld, n);
        write_gates<1>(dh, step.gates + row * p.gates_at.row + block * p.gates_at.block, p.gates_at);
    }

    template <class T>
    static void backward_rows(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>& running) {
        constexpr Index kP = kLanes<T>;
        const Index blocks = blocks_of<T>(p.units), hp = blocks * kP;
        T *da = p.scratch + 10 * p.rows * hp, *z = da + hp;
        for_kept_rows<SimpleRnn>(p, step, running, [&](Index r) {
            const GateRow<1, T> gates(step.gates, p.gates_at, r);
            const GateRow<1, const T> pre(step.z, p.gates_at, r);
            if (step.z)
                for (Index b = 0; b < blocks; ++b) store(z + b * kP, load(pre.vector(b, 0)));
            store(da + hp - kP, Vec<T>{});
            derivative_row(p.activation, step.state + r * p.state_row, step.z ? z : nullptr, running.dh + r * hp, da,
                           p.units);
            for (Index b = 0; b < blocks; ++b) store(gates.vector(b, 0), load(da + b * kP));
        });
    }
};

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
