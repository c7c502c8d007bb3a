// The contract of a cell (cells/*.hpp): values in, values out. The scan does all loads, stores, masks and scratch.
//
// V is a pack of vectors (Several in simd.hpp), gate[] the cell's vectors of one unit block. `before` is what the cell
// carries from step to step: c_{t-1} in a cell with two states, h_{t-1} otherwise. Forward:
//   1. gate[j] = the activation that kPasses[j] names, of bias + x W + h U
//   2. y = activation(C::inner(gate, before)); in a cell with two states, C::inner is c_t
//   3. h_t = C::output<kBounded>(gate, y, before), kBounded: the activations are tanh and sigmoid
// Training saves the gates. A cell with two states also saves c and y; in other cells y replaces gate 0.
//
// Backward, from dh:
//   1. dx = C::gradient_of_y(gate, dh) * activation'; in a cell with two states, plus dc of the next step
//   2. C::gradients(gate, y, before, dh, dx): the gradient of each gate, and the part of `before`'s that bypasses U
//   3. dA[j] = the gradient of gate j times the derivative of its activation
//
// kLast is a gate that only C::output reads. It passes its activation last, so that it needs no register before.
#pragma once

#include "simd.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

enum class Pass { kUnchanged, kRecurrentActivation, kActivation };

template <class V, int kVectors>
struct Gradients {
    V gate[kVectors], before;
};

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
