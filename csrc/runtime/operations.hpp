// One entry per operation: whole problems in, shapes checked by the caller. Letters as in abi/problem.hpp.
#pragma once

#include <cstdint>

#include "../abi/cell.hpp"
#include "workspace.hpp"

namespace pyrnn {

// Weights in Keras's layout. initial_carry: only for a cell with two states. input_scale (input_copies, B, F) and
// state_scale (state_copies, B, H): dropout, one copy for all gates or one per gate in Keras's order.
template <class T>
struct Rnn {
    Cell cell;
    Index batch, steps, features, units;
    const T *x, *kernel, *recurrent_kernel, *bias, *initial_state, *initial_carry, *input_scale, *state_scale;
    Index input_copies, state_copies;
    const unsigned char* mask;
    bool backwards, sequences, zero_output_for_mask;
    Activation activation, recurrent_activation;
    Index checkpoint_steps;  // save a state at least this often and compute the rest again; 0: save everything
    std::int64_t version;
};
// Whether backward needs the pre-activations.
template <class T>
bool keeps_preactivations(const Rnn<T>& p) {
    return needs_preactivation(p.activation) || (info(p.cell).gates > 1 && needs_preactivation(p.recurrent_activation));
}

// What a training step saves from forward for backward (RnnSaved in abi/problem.hpp): gates only if the cell has more
// than one vector, carry only if it has two states, z only if an activation needs it; others are null. backward
// overwrites gates. If checkpoint_count() is not 0, the states after each window instead: checkpoints and
// carry_checkpoints (B, count, H).
template <class T>
struct RnnSavedArrays {
    T *states, *gates, *carry, *z, *checkpoints, *carry_checkpoints;
};
template <class T>
Index gates_size(const Rnn<T>&);  // elements of gates, and of z
template <class T>
Index carry_size(const Rnn<T>&);
template <class T>
Index checkpoint_count(const Rnn<T>&);

// saved.states (B, T, H) may be null where only the final states (B, H) are wanted. output: (B, T, H) of sequences, or
// null where it equals the states; else (B, H). final_carry null for a cell with one state.
template <class T>
void rnn_forward(const Rnn<T>&, const RnnSavedArrays<T>&, T* output, T* final_state, T* final_carry, Workspace&);

template <class T>
struct RnnGradients {
    const T *d_output, *d_final_state, *d_final_carry;  // each may be null
    T *d_kernel, *d_recurrent_kernel;
    T *d_bias, *dx, *d_initial_state, *d_initial_carry;  // each may be null
};
template <class T>
void rnn_backward(const Rnn<T>&, const RnnSavedArrays<T>&, const RnnGradients<T>&, Workspace&);

// The kernel's problem for one step of all rows, to be run any number of times: ws holds the packed weights and zero
// states (in.initial_state, and the one slot of carry, which a step updates in place). Before a step the caller sets
// in.x and out.states; after it, it copies the new h to in.initial_state.
template <class T>
RnnForward<T> rnn_step(const Rnn<T>&, Workspace&);
// The same problem for that many other rows, which share the weights: states, which begin at zero, and scratch are in
// `memory`, rnn_step_memory(problem, rows) elements.
template <class T>
Index rnn_step_memory(const RnnForward<T>&, Index rows);
template <class T>
RnnForward<T> rnn_step_of(RnnForward<T>, Index rows, T* memory);

// Windows of `size` steps, `dilation` apart, which begin every `stride` steps. Padding adds zeros before and after x:
// none, enough for ceil(steps / stride) windows, or all before.
enum class Padding { kValid, kSame, kCausal };
struct Windows { Index pad_left, pad_right, out_steps; };
// std::invalid_argument where no window fits or one would reach too far. All sizes are at least 1 and below 2^31.
Windows windows_over(Index steps, Index size, Index stride, Index dilation, Padding);

// A convolution over time; a dense layer has steps = rows, one tap and batch 1.
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

// Pooling over time; x (B, T, C), y (B, out_steps, C). dx is overwritten.
template <class T>
void pool_forward(const Pool&, const T* x, T* y);
template <class T>
void pool_backward(const Pool&, const T* x, const T* dy, T* dx);

// A mask over the scores of attention: element (b, n, q, v) at b * batch + n * head + q * query + v * value, the last
// of which is 1, or 0 for one element for all values.
struct AttentionMask {
    const unsigned char* at;
    Index batch, head, query, value;
};
// Attention of N heads. Letters: Q queries, V values, D depth of queries and keys, E width of the values. query
// (B, Q, N, D), key (B, V, N, D), value (B, V, N, E). Masks as in Weigh (abi/problem.hpp).
template <class T>
struct Attention {
    Index batch, heads, queries, values, depth, width;
    const T *query, *key, *value;
    const T* additive;  // (D): scores are sum(additive tanh(query + key)); null: query key^T
    T scale, penalty;
    AttentionMask masks[kMostScoreMasks];
    int mask_count;
    bool causal, zero_unread;
    const T* factors;  // of dropout (B, N, Q, V), or null
};
// y (B, Q, N, E); weights (B, N, Q, V) before dropout, or null: not wanted.
template <class T>
void attention_forward(const Attention<T>&, T* y, T* weights);
// Of `weights`, in addition to those of y: d_weights (B, N, Q, V), or null. d_additive (D) is null where `additive` is;
// d_scale may be null: not wanted.
template <class T>
struct AttentionGradients {
    const T *dy, *d_weights;
    T *d_query, *d_key, *d_value, *d_additive, *d_scale;
};
template <class T>
void attention_backward(const Attention<T>&, const T* weights, const AttentionGradients<T>&);

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
