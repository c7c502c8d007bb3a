// Enumerators, names and properties of the activations, from activations.def.
#pragma once

namespace pyrnn {

#define PYRNN_ROW_ACTIVATION(enumerator, name) enumerator,
#define PYRNN_ACTIVATION(enumerator, name, argument, forward, derivative) enumerator,
enum class Activation : int {
#include "activations.def"
    kCount
};
#undef PYRNN_ROW_ACTIVATION
#undef PYRNN_ACTIVATION

enum class DerivativeOf { kOutput, kInput };
struct ActivationInfo {
    const char* name;
    DerivativeOf derivative_of;
};
#define PYRNN_ROW_ACTIVATION(enumerator, name) {name, DerivativeOf::kOutput},
#define PYRNN_ACTIVATION(enumerator, name, argument, forward, derivative) {name, DerivativeOf::argument},
constexpr ActivationInfo kActivations[] = {
#include "activations.def"
};
#undef PYRNN_ROW_ACTIVATION
#undef PYRNN_ACTIVATION

constexpr bool needs_preactivation(Activation a) {
    return kActivations[static_cast<int>(a)].derivative_of == DerivativeOf::kInput;
}
// Whether accumulators pass through it in registers. Others are computed on the finished rows while those are in L1.
constexpr bool fused_in_registers(Activation a) { return a <= Activation::kSigmoid; }
// Whether an element of the result depends on the whole row.
constexpr bool spans_row(Activation a) {
    return a == Activation::kSoftmax || a == Activation::kLogSoftmax || a == Activation::kSparsemax;
}

}  // namespace pyrnn
