// Layer normalization along the last axis: y = gamma (x - mean) / sqrt(variance + epsilon) + beta, row by row.
//
// x, y, normal, dy, dx: (rows, n), dense. gamma, beta: (n), each may be null. Backward needs normal (rows, n), which is
// (x - mean) factor, and factor (rows), which is 1 / sqrt(variance + epsilon).
#pragma once

#include "activations.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

// normal and factor may be null if backward will not follow.
template <class T>
void layer_norm(const T* x, const T* gamma, const T* beta, T* y, T* normal, T* factor, Index rows, Index n, T epsilon) {
    const T share = T(1) / T(n);
    for (Index r = 0; r < rows; ++r, x += n, y += n) {
        Vec<T> sum = {};
        for_vectors<T>(n, [&](Index i, Index lanes) { sum += some(x + i, lanes); });
        const T mean = sum_of<T>(sum) * share;
        Vec<T> squares = {};
        Index i = 0;
        for (; i + kLanes<T> <= n; i += kLanes<T>) {
            const Vec<T> centred = load(x + i) - mean;
            squares += centred * centred;
        }
        T square = sum_of<T>(squares);
        for (; i < n; ++i) square += (x[i] - mean) * (x[i] - mean);
        const T scale = T(1) / libm_sqrt(square * share + epsilon);
        for_vectors<T>(n, [&](Index at, Index lanes) {
            Vec<T> v = (some(x + at, lanes) - mean) * scale;
            if (normal) put(normal + at, v, lanes);
            if (gamma) v *= some(gamma + at, lanes);
            if (beta) v += some(beta + at, lanes);
            put(y + at, v, lanes);
        });
        if (normal) normal += n;
        if (factor) *factor++ = scale;
    }
}

// d_gamma and d_beta (n) are added to, dx is overwritten; each may be null.
template <class T>
void layer_norm_backward(const T* dy, const T* normal, const T* factor, const T* gamma, T* dx, T* d_gamma, T* d_beta,
                         Index rows, Index n) {
    const T share = T(1) / T(n);
    for (Index r = 0; r < rows; ++r, dy += n, normal += n) {
        Vec<T> sum = {}, along = {};
        for_vectors<T>(n, [&](Index i, Index lanes) {
            const Vec<T> g = some(dy + i, lanes), x = some(normal + i, lanes), product = g * x;
            if (d_gamma) put(d_gamma + i, some(d_gamma + i, lanes) + product, lanes);
            if (d_beta) put(d_beta + i, some(d_beta + i, lanes) + g, lanes);
            if (gamma) {
                const Vec<T> weight = some(gamma + i, lanes);
                sum += g * weight;
                along += product * weight;
            } else {
                sum += g;
                along += product;
            }
        });
        if (!dx) continue;
        const T mean = sum_of<T>(sum) * share, tilt = sum_of<T>(along) * share;
        for_vectors<T>(n, [&](Index i, Index lanes) {
            Vec<T> g = some(dy + i, lanes);
            if (gamma) g *= some(gamma + i, lanes);
            put(dx + i, (g - mean - some(normal + i, lanes) * tilt) * factor[r], lanes);
        });
        dx += n;
    }
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
