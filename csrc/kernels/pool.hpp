// Pooling over time, channels last. Padding never counts: windows end at the ends of the sequence.
#pragma once

#include "simd.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

struct Window { Index first, last; };

inline Window window_of(const Pool& p, Index out_step) {
    const Index from = out_step * p.stride - p.pad_left, to = from + p.size;
    return {from < 0 ? 0 : from, to > p.steps ? p.steps : to};
}

template <class T>
void pool_forward(const Pool& p, const T* x, T* y) {
    const Index c = p.channels;
    for (Index b = 0; b < p.batch; ++b, x += p.steps * c)
        for (Index o = 0; o < p.out_steps; ++o, y += c) {
            const Window w = window_of(p, o);
            for (Index i = 0; i < c; ++i) y[i] = x[w.first * c + i];
            for (Index t = w.first + 1; t < w.last; ++t)
                for (Index i = 0; i < c; ++i) {
                    const T v = x[t * c + i];
                    y[i] = p.average ? y[i] + v : (v > y[i] || v != v ? v : y[i]);
                }
            if (p.average)
                for (Index i = 0; i < c; ++i) y[i] /= T(w.last - w.first);
        }
}

// dx is zero on entry. The first of equal maxima gets the gradient.
template <class T>
void pool_backward(const Pool& p, const T* x, const T* dy, T* dx) {
    const Index c = p.channels;
    for (Index b = 0; b < p.batch; ++b, x += p.steps * c, dx += p.steps * c)
        for (Index o = 0; o < p.out_steps; ++o, dy += c) {
            const Window w = window_of(p, o);
            for (Index i = 0; i < c; ++i) {
                if (p.average) {
                    for (Index t = w.first; t < w.last; ++t) dx[t * c + i] += dy[i] / T(w.last - w.first);
                    continue;
                }
                Index best = w.first;
                for (Index t = w.first + 1; t < w.last; ++t)
                    if (x[t * c + i] > x[best * c + i] || x[t * c + i] != x[t * c + i]) best = t;
                dx[best * c + i] += dy[i];
            }
        }
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
