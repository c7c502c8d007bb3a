// Optimizer steps, one pass over the flat vectors of weights, gradients and slots; the formulas are Keras 3's. A gain
// is 1 - beta (or 1 - rho), rounded once: 1 - T(0.999) would be off by 5e-5.
#pragma once

#include "activations.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

template <class T>
void sgd(T* w, const T* g, T* m, Index n, T rate, T momentum, bool nesterov) {
    if (!m) {
        for (Index i = 0; i < n; ++i) w[i] -= rate * g[i];
        return;
    }
    for (Index i = 0; i < n; ++i) {
        m[i] = m[i] * momentum - g[i] * rate;
        w[i] += nesterov ? m[i] * momentum - g[i] * rate : m[i];
    }
}

template <class T>
void rmsprop(T* w, const T* g, T* v, T* m, T* avg, Index n, T rate, T rho, T gain, T momentum, T epsilon) {
    for (Index i = 0; i < n; ++i) {
        v[i] = rho * v[i] + gain * g[i] * g[i];
        T denominator = v[i] + epsilon;
        if (avg) {
            avg[i] = rho * avg[i] + gain * g[i];
            denominator -= avg[i] * avg[i];
        }
        const T step = rate * g[i] / libm_sqrt(denominator);
        if (m) m[i] = momentum * m[i] + step;
        w[i] -= m ? m[i] : step;
    }
}

template <class T>
void adam(T* w, const T* g, T* m, T* v, T* vhat, Index n, T alpha, T gain1, T gain2, T epsilon) {
    for (Index i = 0; i < n; ++i) {
        m[i] += (g[i] - m[i]) * gain1;
        v[i] += (g[i] * g[i] - v[i]) * gain2;
        T second = v[i];
        if (vhat) second = vhat[i] = vhat[i] > v[i] ? vhat[i] : v[i];
        w[i] -= m[i] * alpha / (libm_sqrt(second) + epsilon);
    }
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
