// SimpleRNN: h_t = act(b + x_t W + h_{t-1} U).
//
// Backward: dA_t = dh_t * act'(h_t). Nothing but h is kept (and z where act' needs it).
#pragma once

#include "../kernels/scan.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

struct SimpleRnn {
    static constexpr CellInfo kInfo = info(Cell::kSimpleRnn);
    static constexpr bool kDirect = false;
    static bool fused(Activation activation, Activation) { return fused_in_registers(activation); }

    template <class T, int kRows, int kBlocks>
    PYRNN_INLINE static void forward(const RnnForward<T>& p, const ForwardStep<T>& step, Vec<T> (&acc)[kRows][kBlocks], Index row,
                                     Index column) {
        const Index ld_state = p.slots * p.units;
        activate_registers<T>(p.activation, acc);
        write(acc, step.state + row * ld_state + column, ld_state, p.units - column);
    }

    template <class T>
    static void forward_rows(const RnnForward<T>& p, const ForwardStep<T>& step) {
        activate(p.activation, step.gates, step.ld_gates, step.state, p.slots * p.units, p.rows, p.units);
    }

    template <class T, int kRows, int kBlocks>
    PYRNN_INLINE static void backward(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>&,
                                      Vec<T> (&dh)[kRows][kBlocks], Index row, Index column) {
        constexpr Index kP = kLanes<T>;
        const Index ld = p.steps * p.units, n = p.units - column;
        const T* h = step.state + row * ld + column;
        differentiate_registers<T>(p.activation, dh, h, ld, n);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
            for (int b = 0; b < kBlocks; ++b) store(step.gates + (row + r) * step.ld_gates + column + b * kP, dh[r][b]);
    }

    template <class T>
    static void backward_rows(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>& running) {
        const Index hp = blocks_of<T>(p.units) * kLanes<T>;
        for_kept_rows<SimpleRnn>(p, step, running, [&](Index r) {
            T* da = step.gates + r * step.ld_gates;
            derivative_row(p.activation, step.state + r * p.steps * p.units, step.z ? step.z + r * step.ld_gates : nullptr,
                           running.dh + r * hp, da, p.units);
            for (Index i = p.units; i < hp; ++i) da[i] = T(0);
        });
    }
};

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
