// Operations on whole arrays: activations, the squared error, optimizer steps on flat vectors, gathering rows.
#pragma once

#include <cstdint>

#include "../abi/problem.hpp"

namespace pyrnn {

// y = act(x) along the last axis of x (rows, n); dx may not be dy.
template <class T>
void activation_forward(Activation, const T* x, T* y, Index rows, Index n);
template <class T>
void activation_backward(Activation, const T* x, const T* y, const T* dy, T* dx, Index rows, Index n);

// Gated linear unit: y (rows, half) = a * sigmoid(b), x (rows, 2 half) = a | b.
template <class T>
void glu_forward(const T* x, T* y, Index rows, Index half);
template <class T>
void glu_backward(const T* x, const T* dy, T* dx, Index rows, Index half);

// The mean of (p - y)^2 over n numbers, and its gradient with respect to p.
template <class T>
double squared_error(const T* y, const T* p, T* gradient, Index n);

// Optimizer steps on flat vectors (n,) of weights w, gradients g and slots; see kernels/optim.hpp. They run to the end:
// a step that a signal interrupted would leave some weights new and others old.
template <class T>
void sgd_step(T* w, const T* g, T* momentum, Index n, double rate, double momentum_rate, bool nesterov);
template <class T>
void rmsprop_step(T* w, const T* g, T* velocity, T* momentum, T* average, Index n, double rate, double rho,
                  double momentum_rate, double epsilon);
// step counts from 1.
template <class T>
void adam_step(T* w, const T* g, T* momentum, T* velocity, T* largest_velocity, Index n, double rate, double beta_1,
               double beta_2, double epsilon, Index step);

// Row numbers, each checked to be in 0 .. rows - 1 (std::out_of_range).
struct RowNumbers {
    RowNumbers(const std::int64_t* numbers, Index count, Index rows);
    const std::int64_t* at;
    Index count;
};
// to[i] = from[numbers[i]], rows of `length` numbers.
template <class T>
void gather_rows(const T* from, const RowNumbers& numbers, T* to, Index length);
// to (rows, length) = 0, then to[numbers[i]] += from[i].
template <class T>
void scatter_rows(const T* from, const RowNumbers& numbers, T* to, Index rows, Index length);

}  // namespace pyrnn
