// SimpleRNN: h_t = act(b + x_t W + h_{t-1} U), one block of batch rows through all time steps.
//
// Forward keeps h (and the pre-activations z where act' needs them). Backward, from the last step to the first:
//   dh_t = dL/d(output_t) + (dL/dh carried from t+1),  dA_t = dh_t * act'(h_t),  carried = (dA_t U^T) * state_scale.
// A masked step holds h, so its dA is 0 and what is carried passes it unchanged. Weight gradients and dX are products
// over all steps of dA and stand in runtime/rnn.cpp.
#pragma once

#include "../kernels/gemm.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

template <class T>
struct StepRows {
    const T* x;        // rows T * F apart
    const T* previous; // h_{t-1}, null at a zero initial state
    Index ld_previous;
    T* state;          // h_t
    T* z;
};

template <class T, int kCols>
struct SimpleRnnColumns {
    const RnnForward<T>& p;
    const StepRows<T>& step;
    Index block;

    template <int kRows>
    void tile(Index row) {
        const Index column = block * kLanes<T>, n = p.units - column;
        const Index ldx = p.steps * p.features, ld_state = p.slots * p.units;
        Vec<T> acc[kRows][kCols];
        start(acc, p.bias ? p.bias + column : nullptr);
        accumulate(acc, step.x + row * ldx, ldx, p.w_panels + column * p.features, p.features * kLanes<T>, p.features);
        if (step.previous)
            accumulate(acc, step.previous + row * step.ld_previous, step.ld_previous, p.u_panels + column * p.units,
                       p.units * kLanes<T>, p.units);
        if (step.z) write(acc, step.z + row * p.steps * p.units + column, p.steps * p.units, n);
        activate_registers<T>(p.activation, acc);
        write(acc, step.state + row * ld_state + column, ld_state, n);
    }
};

template <class T>
PYRNN_INLINE void scale_rows(T* out, Index ld_out, const T* in, Index ld_in, const T* scale, Index rows, Index n) {
    for (Index r = 0; r < rows; ++r)
        for (Index i = 0; i < n; ++i) out[r * ld_out + i] = in[r * ld_in + i] * scale[r * n + i];
}

// Masked rows hold h_{t-1}; `output`, where there is one, gets zeros for them.
template <class T>
PYRNN_INLINE void hold_masked_rows(const RnnForward<T>& p, Index time, Index s, const T* held, Index ld_held, T* state) {
    const Index ld_state = p.slots * p.units;
    for (Index r = 0; r < p.rows; ++r) {
        const bool keep = p.mask[r * p.steps + time];
        T* h = state + r * ld_state;
        if (!keep)
            for (Index i = 0; i < p.units; ++i) h[i] = held ? held[r * ld_held + i] : T(0);
        if (p.output)
            for (Index i = 0; i < p.units; ++i) p.output[(r * p.steps + s) * p.units + i] = keep ? h[i] : T(0);
    }
}

template <class T>
void rnn_forward(const RnnForward<T>& p) {
    const Index blocks = blocks_of<T>(p.units), ld_state = p.slots * p.units;
    for (Index s = 0; s < p.steps; ++s) {
        const Index time = p.backwards ? p.steps - 1 - s : s;
        const T* held = s == 0 ? p.initial_state : p.states + ((s - 1) % p.slots) * p.units;
        const Index ld_held = s == 0 ? p.units : ld_state;
        StepRows<T> step{p.x + time * p.features, held, ld_held, p.states + (s % p.slots) * p.units,
                         p.z ? p.z + s * p.units : nullptr};
        if (held && p.state_scale) {
            scale_rows(p.scratch, p.units, held, ld_held, p.state_scale, p.rows, p.units);
            step.previous = p.scratch;
            step.ld_previous = p.units;
        }
        Index block = 0;
        for (; block + 2 <= blocks; block += 2) {
            SimpleRnnColumns<T, 2> columns{p, step, block};
            for_row_tiles(p.rows, columns);
        }
        if (block < blocks) {
            SimpleRnnColumns<T, 1> columns{p, step, block};
            for_row_tiles(p.rows, columns);
        }
        if (!fused_in_registers(p.activation))
            activate(p.activation, step.state, ld_state, step.state, ld_state, p.rows, p.units);
        if (p.mask) hold_masked_rows(p, time, s, held, ld_held, step.state);
    }
}

template <class T>
void rnn_backward(const RnnBackward<T>& p) {
    const Index h = p.units, hp = blocks_of<T>(h) * kLanes<T>, ld_states = p.steps * h, ld_da = p.steps * hp;
    T* carried = p.d_initial;
    T* dh = p.scratch;
    T* product = p.scratch + p.rows * h;
    for (Index i = 0; i < p.rows * h; ++i) carried[i] = p.d_final ? p.d_final[i] : T(0);
    for (Index s = p.steps - 1; s >= 0; --s) {
        const Index time = p.backwards ? p.steps - 1 - s : s;
        const bool has_output = p.d_output && (p.sequences || s == p.steps - 1);
        for (Index r = 0; r < p.rows; ++r) {
            const bool keep = !p.mask || p.mask[r * p.steps + time];
            T* row = dh + r * h;
            for (Index i = 0; i < h; ++i) row[i] = carried[r * h + i];
            if (has_output && (keep || !p.zero_output_for_mask)) {
                const T* d = p.sequences ? p.d_output + (r * p.steps + s) * h : p.d_output + r * h;
                for (Index i = 0; i < h; ++i) row[i] += d[i];
            }
            T* da = p.da + r * ld_da + s * hp;
            if (keep) {
                const Index at = r * ld_states + s * h;
                derivative_row(p.activation, p.states + at, p.z ? p.z + at : nullptr, row, da, h);
            } else {
                for (Index i = 0; i < h; ++i) da[i] = T(0);
            }
            for (Index i = h; i < hp; ++i) da[i] = T(0);
            if (p.mask)
                for (Index i = 0; i < h; ++i) carried[r * h + i] = keep ? T(0) : row[i];
        }
        const bool scaled = p.state_scale != nullptr;
        Gemm<T> back{p.da + s * hp, ld_da, p.rows, 1, h, 0, p.ut_panels, nullptr, h, scaled ? product : carried, h,
                     nullptr, Activation::kLinear, !scaled && p.mask};
        gemm(back);
        if (scaled)
            for (Index i = 0; i < p.rows * h; ++i)
                carried[i] = (p.mask ? carried[i] : T(0)) + product[i] * p.state_scale[i];
    }
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
