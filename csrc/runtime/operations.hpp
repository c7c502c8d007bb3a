// One entry an operation, whole problems in, shapes checked by the caller. Letters as in abi/problem.hpp.
#pragma once

#include <cstdint>

#include "workspace.hpp"

namespace pyrnn {

template <class T>
struct Rnn {
    Index batch, steps, features, units;
    const T *x, *kernel, *recurrent_kernel, *bias, *initial_state, *input_scale, *state_scale;
    const unsigned char* mask;
    bool backwards, sequences, zero_output_for_mask;
    Activation activation;
    std::int64_t version;
};

// states (B, T, H), or null: then only final_state (B, H) is kept. output (B, T, H) or null where it equals states.
template <class T>
void rnn_forward(const Rnn<T>&, T* states, T* z, T* output, T* final_state, Workspace&);

template <class T>
struct RnnGradients {
    const T *states, *z, *d_output, *d_final;
    T *d_kernel, *d_recurrent_kernel, *d_bias, *dx, *d_initial;  // dx may be null
};
template <class T>
void rnn_backward(const Rnn<T>&, const RnnGradients<T>&, Workspace&);

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

}  // namespace pyrnn
