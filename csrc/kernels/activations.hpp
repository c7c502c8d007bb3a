// Activations: exp, tanh and sigmoid on vectors (largest errors below, held by tests/test_kernel.py), the others a row
// at a time, and every derivative.
//
// exp: x = n ln2 + r, |r| <= ln2/2, polynomial of r, scaled by 2^n in two steps so that subnormal results and overflow
// come out right. float32 coefficients: Cephes expf (Moshier); float64: Taylor to degree 13 (remainder < 5e-18).
// tanh: Cephes tanhf / tanh below 0.625, 1 - 2 / (exp(2|x|) + 1) above. sigmoid: through exp(-|x|), so that it keeps
// its relative accuracy down to subnormal results. At most 4 ULP each in float32; NaN and infinities as in NumPy.
#pragma once

#include "simd.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

template <class T>
PYRNN_INLINE Vec<T> vector_abs(Vec<T> x) {
    return x < 0 ? -x : x;
}

PYRNN_INLINE Vec<float> pow2(IVec<float> n) { return (Vec<float>)((n + 127) << 23); }
PYRNN_INLINE Vec<double> pow2(IVec<double> n) { return (Vec<double>)((n + 1023) << 52); }

PYRNN_INLINE Vec<float> vector_exp(Vec<float> x, float) {
    constexpr float kMax = 89.0f, kMin = -104.0f, kLog2e = 1.44269504088896341f, kRound = 12582912.0f;
    constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
    x = x > kMax ? splat(kMax) : x;
    x = x < kMin ? splat(kMin) : x;
    Vec<float> shifted = x * kLog2e + kRound;
    IVec<float> n = (IVec<float>)shifted - (IVec<float>)splat(kRound);
    Vec<float> nf = shifted - kRound;
    Vec<float> r = x - nf * kLn2High;
    r = r - nf * kLn2Low;
    Vec<float> p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    IVec<float> half = n >> 1;
    return p * pow2(half) * pow2(n - half);
}

PYRNN_INLINE Vec<double> vector_exp(Vec<double> x, double) {
    constexpr double kMax = 710.0, kMin = -746.0, kLog2e = 1.4426950408889634074, kRound = 6755399441055744.0;
    constexpr double kLn2High = 6.93145751953125e-1, kLn2Low = 1.42860682030941723212e-6;
    x = x > kMax ? splat(kMax) : x;
    x = x < kMin ? splat(kMin) : x;
    Vec<double> shifted = x * kLog2e + kRound;
    IVec<double> n = (IVec<double>)shifted - (IVec<double>)splat(kRound);
    Vec<double> nf = shifted - kRound;
    Vec<double> r = x - nf * kLn2High;
    r = r - nf * kLn2Low;
    Vec<double> p = splat(1.0 / 6227020800.0);
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * (r * r) + r + 1.0;
    IVec<double> half = n >> 1;
    return p * pow2(half) * pow2(n - half);
}

PYRNN_INLINE Vec<float> tanh_near_zero(Vec<float> x) {
    Vec<float> q = x * x;
    Vec<float> p = splat(-5.70498872745e-3f);
    p = p * q + 2.06390887954e-2f;
    p = p * q + -5.37397155531e-2f;
    p = p * q + 1.33314422036e-1f;
    p = p * q + -3.33332819422e-1f;
    return p * q * x + x;
}
PYRNN_INLINE Vec<double> tanh_near_zero(Vec<double> x) {
    Vec<double> q = x * x;
    Vec<double> num = splat(-9.64399179425052238628e-1);
    num = num * q + -9.92877231001918586564e1;
    num = num * q + -1.61468768441708447952e3;
    Vec<double> den = q + 1.12811678491632931402e2;
    den = den * q + 2.23548839060100448583e3;
    den = den * q + 4.84406305325125486048e3;
    return q * (num / den) * x + x;
}

template <class T>
PYRNN_INLINE Vec<T> vector_tanh(Vec<T> x) {
    Vec<T> a = vector_abs<T>(x);
    Vec<T> e = vector_exp(a + a, T(0));
    Vec<T> far = T(1) - T(2) / (e + T(1));
    far = x < 0 ? -far : far;
    return a < T(0.625) ? tanh_near_zero(x) : far;
}

template <class T>
PYRNN_INLINE Vec<T> vector_sigmoid(Vec<T> x) {
    Vec<T> e = vector_exp(-vector_abs<T>(x), T(0));
    Vec<T> r = T(1) / (e + T(1));
    return x < 0 ? e * r : r;
}

template <class T>
PYRNN_INLINE Vec<T> vector_relu(Vec<T> x) {
    return x < 0 ? Vec<T>{} : x;  // NaN stays NaN
}

// The activations that accumulators pass through in registers.
template <class T, int kRows, int kCols>
PYRNN_INLINE void activate_registers(Activation kind, Vec<T> (&acc)[kRows][kCols]) {
    switch (kind) {
        case Activation::kRelu:
#pragma GCC unroll 16
            for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
                for (int c = 0; c < kCols; ++c) acc[r][c] = vector_relu<T>(acc[r][c]);
            break;
        case Activation::kTanh:
#pragma GCC unroll 16
            for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
                for (int c = 0; c < kCols; ++c) acc[r][c] = vector_tanh<T>(acc[r][c]);
            break;
        case Activation::kSigmoid:
#pragma GCC unroll 16
            for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
                for (int c = 0; c < kCols; ++c) acc[r][c] = vector_sigmoid<T>(acc[r][c]);
            break;
        default: break;
    }
}

// d *= act'(y), y rows stride ld of which n columns exist, for the same activations.
template <class T, int kRows, int kCols, class F>
PYRNN_INLINE void multiply_slopes(Vec<T> (&d)[kRows][kCols], const T* y, Index ld, Index n, F slope) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
        for (int c = 0; c < kCols; ++c) {
            const Index left = n - c * kLanes<T>;
            const T* from = y + r * ld + c * kLanes<T>;
            d[r][c] *= slope(left >= kLanes<T> ? load(from) : load_partial(from, left));
        }
}
template <class T, int kRows, int kCols>
PYRNN_INLINE void differentiate_registers(Activation kind, Vec<T> (&d)[kRows][kCols], const T* y, Index ld, Index n) {
    switch (kind) {
        case Activation::kRelu: multiply_slopes(d, y, ld, n, [](Vec<T> v) { return v > 0 ? splat(T(1)) : Vec<T>{}; }); break;
        case Activation::kTanh: multiply_slopes(d, y, ld, n, [](Vec<T> v) { return T(1) - v * v; }); break;
        case Activation::kSigmoid: multiply_slopes(d, y, ld, n, [](Vec<T> v) { return v * (T(1) - v); }); break;
        default: break;
    }
}

// --- scalars, for the activations that are rarely on a hot path ---
inline float libm_exp(float x) { return __builtin_expf(x); }
inline double libm_exp(double x) { return __builtin_exp(x); }
inline float libm_expm1(float x) { return __builtin_expm1f(x); }
inline double libm_expm1(double x) { return __builtin_expm1(x); }
inline float libm_log(float x) { return __builtin_logf(x); }
inline double libm_log(double x) { return __builtin_log(x); }
inline float libm_log1p(float x) { return __builtin_log1pf(x); }
inline double libm_log1p(double x) { return __builtin_log1p(x); }
inline float libm_tanh(float x) { return __builtin_tanhf(x); }
inline double libm_tanh(double x) { return __builtin_tanh(x); }
inline float libm_erf(float x) { return __builtin_erff(x); }
inline double libm_erf(double x) { return __builtin_erf(x); }
inline float libm_sqrt(float x) { return __builtin_sqrtf(x); }
inline double libm_sqrt(double x) { return __builtin_sqrt(x); }

template <class T> constexpr T kSeluAlpha = T(1.6732632423543772848170429916717);
template <class T> constexpr T kSeluScale = T(1.0507009873554804934193349852946);
template <class T> constexpr T kLeakySlope = T(0.2);
template <class T> constexpr T kShrink = T(0.5);
template <class T> constexpr T kSqrtHalf = T(0.70710678118654752440);
template <class T> constexpr T kInvSqrt2Pi = T(0.39894228040143267794);

template <class T>
inline T logistic(T x) {
    T e = libm_exp(x < 0 ? x : -x);
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
}
template <class T>
inline T softplus(T x) {
    return (x > 0 ? x : T(0)) + libm_log1p(libm_exp(x > 0 ? -x : x));
}
template <class T>
inline T clip(T x, T low, T high) {
    return x < low ? low : (x > high ? high : x);
}

template <class T>
inline T scalar_activation(Activation kind, T x) {
    switch (kind) {
        case Activation::kLeakyRelu: return x < 0 ? kLeakySlope<T> * x : x;
        case Activation::kRelu6: return clip(x, T(0), T(6));
        case Activation::kElu:
        case Activation::kCelu: return x < 0 ? libm_expm1(x) : x;
        case Activation::kSelu: return kSeluScale<T> * (x < 0 ? kSeluAlpha<T> * libm_expm1(x) : x);
        case Activation::kSoftplus: return softplus(x);
        case Activation::kSoftsign: return x / (1 + (x < 0 ? -x : x));
        case Activation::kHardSigmoid: return clip(x + 3, T(0), T(6)) / 6;
        case Activation::kHardTanh: return clip(x, T(-1), T(1));
        case Activation::kSparseSigmoid: return clip((x + 1) / 2, T(0), T(1));
        case Activation::kSquareplus: return (x + libm_sqrt(x * x + 4)) / 2;
        case Activation::kSoftShrink: return x > kShrink<T> ? x - kShrink<T> : (x < -kShrink<T> ? x + kShrink<T> : x * 0);
        case Activation::kSparsePlus: return x <= -1 ? T(0) : (x < 1 ? (x + 1) * (x + 1) / 4 : x);
        case Activation::kSilu: return x * logistic(x);
        case Activation::kGelu: return x * (1 + libm_erf(x * kSqrtHalf<T>)) / 2;
        case Activation::kTanhShrink: return x - libm_tanh(x);
        case Activation::kHardSilu: return x * (clip(x + 3, T(0), T(6)) / 6);
        case Activation::kHardShrink: return x > kShrink<T> || x < -kShrink<T> ? x : x * 0;
        case Activation::kMish: return x * libm_tanh(softplus(x));
        case Activation::kLogSigmoid: return -softplus(-x);
        default: return x;
    }
}

// Derivative from the output y, or from the pre-activation z where needs_preactivation(kind).
template <class T>
inline T scalar_derivative(Activation kind, T y, T z) {
    switch (kind) {
        case Activation::kRelu: return y > 0 ? T(1) : T(0);
        case Activation::kTanh: return 1 - y * y;
        case Activation::kSigmoid: return y * (1 - y);
        case Activation::kLeakyRelu: return y > 0 ? T(1) : kLeakySlope<T>;
        case Activation::kRelu6: return y > 0 && y < 6 ? T(1) : T(0);
        case Activation::kElu:
        case Activation::kCelu: return y > 0 ? T(1) : y + 1;
        case Activation::kSelu: return y > 0 ? kSeluScale<T> : y + kSeluScale<T> * kSeluAlpha<T>;
        case Activation::kSoftplus: return -libm_expm1(-y);
        case Activation::kSoftsign: { T d = 1 - (y < 0 ? -y : y); return d * d; }
        case Activation::kExponential: return y;
        case Activation::kHardSigmoid: return y > 0 && y < 1 ? T(1) / 6 : T(0);
        case Activation::kHardTanh: return y > -1 && y < 1 ? T(1) : T(0);
        case Activation::kSparseSigmoid: return y > 0 && y < 1 ? T(0.5) : T(0);
        case Activation::kSquareplus: return (1 + z / libm_sqrt(z * z + 4)) / 2;
        case Activation::kSoftShrink:
        case Activation::kHardShrink: return z > kShrink<T> || z < -kShrink<T> ? T(1) : T(0);
        case Activation::kSparsePlus: return z <= -1 ? T(0) : (z < 1 ? (z + 1) / 2 : T(1));
        case Activation::kSilu: { T s = logistic(z); return s * (1 + z * (1 - s)); }
        case Activation::kGelu:
            return (1 + libm_erf(z * kSqrtHalf<T>)) / 2 + z * kInvSqrt2Pi<T> * libm_exp(-z * z / 2);
        case Activation::kTanhShrink: { T t = libm_tanh(z); return t * t; }
        case Activation::kHardSilu: return z <= -3 ? T(0) : (z >= 3 ? T(1) : (2 * z + 3) / 6);
        case Activation::kMish: {
            T t = libm_tanh(softplus(z));
            return t + z * (1 - t * t) * logistic(z);
        }
        case Activation::kLogSigmoid: return logistic(-z);
        default: return T(1);
    }
}

template <class T>
inline void softmax_row(const T* z, T* y, Index n, bool logarithm) {
    T top = z[0];
    for (Index i = 1; i < n; ++i) top = z[i] > top || z[i] != z[i] ? z[i] : top;
    T sum = 0;
    for (Index i = 0; i < n; ++i) sum += libm_exp(z[i] - top);
    T log_sum = libm_log(sum);
    for (Index i = 0; i < n; ++i) y[i] = logarithm ? z[i] - top - log_sum : libm_exp(z[i] - top) / sum;
}

// Projection onto the simplex (Martins and Astudillo 2016): tau solves sum(max(z - tau, 0)) = 1, by Newton's steps.
// These rise to tau from below and end, after at most n of them, when the support no longer changes.
template <class T>
inline void sparsemax_row(const T* z, T* y, Index n) {
    T sum = 0;
    for (Index i = 0; i < n; ++i) sum += z[i];
    T tau = (sum - 1) / T(n);
    Index last = n;
    for (Index step = 0; step < n; ++step) {
        Index support = 0;
        T total = 0;
        for (Index i = 0; i < n; ++i)
            if (z[i] > tau) { total += z[i]; ++support; }
        if (support == 0) break;
        tau = (total - 1) / T(support);
        if (support == last) break;
        last = support;
    }
    for (Index i = 0; i < n; ++i) y[i] = z[i] <= tau ? T(0) : z[i] - tau;
}

template <class T, class F>
PYRNN_INLINE void map_vectors(const T* z, T* y, Index n, F f) {
    Index i = 0;
    for (; i + kLanes<T> <= n; i += kLanes<T>) store(y + i, f(load(z + i)));
    if (i < n) store_partial(y + i, f(load_partial(z + i, n - i)), n - i);
}

template <class T>
void activate(Activation kind, const T* z, Index ldz, T* y, Index ldy, Index rows, Index n) {
    for (Index r = 0; r < rows; ++r, z += ldz, y += ldy) {
        switch (kind) {
            case Activation::kLinear: if (y != z) std::memcpy(y, z, n * sizeof(T)); break;
            case Activation::kRelu: map_vectors(z, y, n, [](Vec<T> v) { return vector_relu<T>(v); }); break;
            case Activation::kTanh: map_vectors(z, y, n, [](Vec<T> v) { return vector_tanh<T>(v); }); break;
            case Activation::kSigmoid: map_vectors(z, y, n, [](Vec<T> v) { return vector_sigmoid<T>(v); }); break;
            case Activation::kExponential: map_vectors(z, y, n, [](Vec<T> v) { return vector_exp(v, T(0)); }); break;
            case Activation::kSoftmax: softmax_row(z, y, n, false); break;
            case Activation::kLogSoftmax: softmax_row(z, y, n, true); break;
            case Activation::kSparsemax: sparsemax_row(z, y, n); break;
            default: for (Index i = 0; i < n; ++i) y[i] = scalar_activation(kind, z[i]);
        }
    }
}

template <class T>
inline void derivative_row(Activation kind, const T* y, const T* z, const T* dy, T* dz, Index n) {
    switch (kind) {
        case Activation::kLinear: for (Index i = 0; i < n; ++i) dz[i] = dy[i]; break;
        case Activation::kRelu: for (Index i = 0; i < n; ++i) dz[i] = y[i] > 0 ? dy[i] : T(0); break;
        case Activation::kTanh: for (Index i = 0; i < n; ++i) dz[i] = dy[i] * (1 - y[i] * y[i]); break;
        case Activation::kSigmoid: for (Index i = 0; i < n; ++i) dz[i] = dy[i] * (y[i] * (1 - y[i])); break;
        case Activation::kSoftmax: {
            T dot = 0;
            for (Index i = 0; i < n; ++i) dot += dy[i] * y[i];
            for (Index i = 0; i < n; ++i) dz[i] = y[i] * (dy[i] - dot);
            break;
        }
        case Activation::kLogSoftmax: {
            T sum = 0;
            for (Index i = 0; i < n; ++i) sum += dy[i];
            for (Index i = 0; i < n; ++i) dz[i] = dy[i] - libm_exp(y[i]) * sum;
            break;
        }
        case Activation::kSparsemax: {
            T sum = 0;
            Index support = 0;
            for (Index i = 0; i < n; ++i)
                if (y[i] > 0) { sum += dy[i]; ++support; }
            T mean = support ? sum / T(support) : T(0);
            for (Index i = 0; i < n; ++i) dz[i] = y[i] > 0 ? dy[i] - mean : T(0);
            break;
        }
        default: for (Index i = 0; i < n; ++i) dz[i] = dy[i] * scalar_derivative(kind, y[i], z ? z[i] : T(0));
    }
}

template <class T>
void activate_backward(Activation kind, const T* y, const T* z, Index ldy, const T* dy, Index lddy, T* dz, Index lddz,
                       Index rows, Index n) {
    for (Index r = 0; r < rows; ++r)
        derivative_row(kind, y + r * ldy, z ? z + r * ldy : nullptr, dy + r * lddy, dz + r * lddz, n);
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
