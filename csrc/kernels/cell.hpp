// What a cell (cells/*.hpp) says of itself, values in, values out; the scan does all loads, stores, masks and scratch.
//
// A step of a cell, for the vectors `gate` of one unit block, `before` being what it carries from step to step (c of a
// cell with two states, else h):
//   1. gate[j] = recurrent activation, activation or nothing, as kPasses[j] says
//   2. x = C::inner(gate, before), y = activation(x)
//   3. h = C::output<bounded>(gate, y, before); bounded: the activations are tanh and sigmoid
// In a cell with two states, c = x. Training saves the gates and, in a cell with two states, c and y; in others y
// replaces gate 0.
//
// And back, from dh:
//   1. dx = C::slope(gate, dh) * activation'(x) (+ dc of the step after, with two states)
//   2. C::gradient(gate, y, before, dh, dx): the gradient of each gate, and what reaches `before` without passing U
//   3. dA[j] = that * derivative of the activation that kPasses[j] names
#pragma once

#include "simd.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

enum class Pass { kNone, kRecurrent, kMain };

template <class V, int kVectors>
struct Gradient {
    V gate[kVectors], before;
};

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
