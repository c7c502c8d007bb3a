// One entry an operation, whole problems in, shapes checked by the caller. Letters as in abi/problem.hpp.
#pragma once

#include <cstdint>

#include "../abi/cell.hpp"
#include "workspace.hpp"

namespace pyrnn {

// Weights in Keras's layout. initial_carry: only for a cell with two states. input_scale (input_copies, B, F) and
// state_scale (state_copies, B, H): dropout, one copy for all gates or one a gate in Keras's order.
template <class T>
struct Rnn {
    Cell cell;
    Index batch, steps, features, units;
    const T *x, *kernel, *recurrent_kernel, *bias, *initial_state, *initial_carry, *input_scale, *state_scale;
    Index input_copies, state_copies;
    const unsigned char* mask;
    bool backwards, sequences, zero_output_for_mask;
    Activation activation, recurrent_activation;
    Index checkpoint_steps;  // at least every so many steps a state is kept and the rest computed again; 0: all is kept
    std::int64_t version;
};
// Whether backward needs more of an activation than its result.
template <class T>
bool keeps_preactivations(const Rnn<T>& p) {
    return needs_preactivation(p.activation) || (info(p.cell).gates > 1 && needs_preactivation(p.recurrent_activation));
}

// What a training step keeps from forward for backward (abi/problem.hpp): gates only where the cell has more than one
// vector, carry only where it has two states, z only where an activation needs it. backward overwrites gates. Where
// checkpoint_count() is not 0 it is the states after each of so many pieces of the walk instead: checkpoints and
// carry_checkpoints (B, count, H).
template <class T>
struct RnnKept {
    T *states, *gates, *carry, *z, *checkpoints, *carry_checkpoints;
};
template <class T>
Index gates_size(const Rnn<T>&);  // elements of gates, and of z
template <class T>
Index carry_size(const Rnn<T>&);
template <class T>
Index checkpoint_count(const Rnn<T>&);

// kept.states (B, T, H) may be null where only the final states (B, H) are wanted. output: (B, T, H) of sequences, or
// null where it equals the states; else (B, H). final_carry null for a cell with one state.
template <class T>
void rnn_forward(const Rnn<T>&, const RnnKept<T>&, T* output, T* final_state, T* final_carry, Workspace&);

template <class T>
struct RnnGradients {
    const T *d_output, *d_final_state, *d_final_carry;  // each may be null
    T *d_kernel, *d_recurrent_kernel;
    T *d_bias, *dx, *d_initial_state, *d_initial_carry;  // each may be null
};
template <class T>
void rnn_backward(const Rnn<T>&, const RnnKept<T>&, const RnnGradients<T>&, Workspace&);

// The kernel's problem for one step of all rows, for ever: weights packed into ws, zero states in it (initial_state,
// and the one slot of carry, which a step updates in place); the caller sets x and states and moves the new h to
// initial_state.
template <class T>
RnnForward<T> rnn_step(const Rnn<T>&, Workspace&);

// A convolution over time; a dense layer is one with T = B's rows, K = 1 and batch 1.
template <class T>
struct Conv {
    Index batch, steps, channels, filters, taps, stride, dilation, pad_left, pad_right, out_steps;
    const T *x, *kernel, *bias;
    Activation activation;
    std::int64_t version;
};
template <class T>
void conv_forward(const Conv<T>&, T* y, T* z, Workspace&);
template <class T>
void conv_backward(const Conv<T>&, const T* y, const T* z, const T* dy, T* d_kernel, T* d_bias, T* dx, Workspace&);

// Layer normalization of rows (kernels/layer_norm.hpp); gamma and beta (features) may be null.
template <class T>
struct LayerNorm {
    Index rows, features;
    const T *gamma, *beta;
    T epsilon;
};
// normal (rows, features) and factor (rows), what backward needs, may be null.
template <class T>
void layer_norm_forward(const LayerNorm<T>&, const T* x, T* y, T* normal, T* factor);
// dx, d_gamma and d_beta are overwritten; each may be null.
template <class T>
void layer_norm_backward(const LayerNorm<T>&, const T* dy, const T* normal, const T* factor, T* dx, T* d_gamma,
                         T* d_beta);

}  // namespace pyrnn
