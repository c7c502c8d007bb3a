// Mean squared error, the most common loss: value and gradient in one pass.
#pragma once

#include "simd.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

// d = factor (p - y), element by element; returns the sum of (p - y)^2.
template <class T>
T squared_error(const T* y, const T* p, T* d, Index n, T factor) {
    Vec<T> sum = {};
    for_vectors<T>(n, [&](Index i, Index lanes) __attribute__((always_inline)) {
        const Vec<T> error = some(p + i, lanes) - some(y + i, lanes);
        sum += error * error;
        put(d + i, error * factor, lanes);
    });
    return sum_of<T>(sum);
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
