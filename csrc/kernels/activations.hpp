// Activations: exp, tanh and sigmoid on vectors (largest errors below, checked by tests/kernel/test_operations.py), the
// others a row at a time, and every derivative.
//
// exp: x log2(e) = n + r, |r| <= 1/2, e^x = 2^n (1 + r q(r)), where q is (2^r - 1) / r by a polynomial through
// Chebyshev's nodes (relative error 1.3e-8 of degree 5 in float32, 4e-21 of degree 12 in float64). tanh: with t =
// expm1(2x) = 2^n r q + (2^n - 1), tanh x = t / (t + 2): no cancellation, since n = 0 near 0. One polynomial and one
// division for every x. In float32 on AVX-512: 16 polynomials of degree 6 around multiples of 1/2, looked up by
// permutations, since multiply-adds are what a tile waits for: 6 of them instead of 13. sigmoid: 1 / (1 + e^-x), which
// keeps its relative accuracy on both sides; where results are subnormal, e^x. In float32 on AVX-512 e^-x is a power of
// 2^(1/16) out of a table, on AVX2 of 2^(1/8). At most 4 ULP each in float32 (measured: tanh 1.96 on AVX-512 and 3.59
// elsewhere; sigmoid 2.68, on AVX2 2.87, elsewhere 2.43; exponential 1.05); NaN and infinities as in NumPy.
#pragma once

#include <limits>

#include "simd.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
    static constexpr float kMax = 89.0f, kMin = -104.0f;  // beyond: infinity and 0
    static constexpr float kTanhMax = 10.0f;              // beyond: 1
    static constexpr float kSigmoidMax = 88.3f;           // e^x and its inverse are numbers up to here
    static constexpr float kLog2e = 1.44269502f, kLog2eLow = 1.92596299e-8f;
    static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
    static constexpr float kRound =
        12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, which is in the low bits
    static constexpr int kMantissa = 23;
    static constexpr float kPolynomial[] = {1.5453162945e-4f, 1.3390863365e-3f, 9.6180825573e-3f,
                                            5.5503571142e-2f, 2.4022650761e-1f, 6.9314718803e-1f};
};
template <>
struct ExpConstants<double> {
    static constexpr double kMax = 710.0, kMin = -746.0;
    static constexpr double kTanhMax = 20.0;
    static constexpr double kSigmoidMax = 709.4;
    static constexpr double kLog2e = 1.4426950408889634, kLog2eLow = 2.0355273740931033e-17;
    static constexpr double kLn2High = 6.93145751953125e-1, kLn2Low = 1.42860682030941723212e-6;
    static constexpr double kRound = 6755399441055744.0;
    static constexpr int kMantissa = 52;
    static constexpr double kPolynomial[] = {
        1.3716962392737587204e-12, 2.5733568308756891235e-11, 4.4455303091051065886e-10, 7.0548943863483480445e-9,
        1.017808602118547427e-7,   1.3215486815999976975e-6,  1.5252733804051129178e-5,  1.5403530393362755291e-4,
        1.3333558146428446146e-3,  9.6181291076284830543e-3,  5.5504108664821579951e-2,  2.4022650695910071228e-1,
        6.9314718055994530942e-1};
};

// kTimes x log2(e) = n + r; the low bits of `shifted` hold the integer n.
template <class V>
struct Power {
    V shifted, n, r;
};
// Without kExact r is off by up to x times the last bits of log2(e), which tanh does not feel.
template <int kTimes, bool kExact = true, class T, int N>
PYRNN_INLINE
Power<Several<T, N>> power_of_two(const Several<T, N>& x) {
    using K = ExpConstants<T>;
    Power<Several<T, N>> p;
    p.shifted = x * (kTimes * K::kLog2e) + K::kRound;
    p.n = p.shifted - K::kRound;
#if defined(__FMA__) || defined(__aarch64__)
    p.r = distinct(x) * (kTimes * K::kLog2e) - p.n;  // exact but for its last rounding
    if constexpr (kExact || sizeof(T) > sizeof(float)) p.r = x * (kTimes * K::kLog2eLow) + p.r;
#else
    p.r = ((x * T(kTimes) - p.n * K::kLn2High) - p.n * K::kLn2Low) * K::kLog2e;
#endif
    return p;
}
// 2^n for n that leave it a normal number, by integers: on Zen 4 a scaling takes two turns of the multiply-adds' ports.
// Of a NaN it makes some number, but r is NaN then: a formula must use r too.
template <class T, int N>
PYRNN_INLINE
Several<T, N> normal_power(const Power<Several<T, N>>& p) {
    return each(
        [](Vec<T> v) { return from_bits<T>((bits_of<T>(v) << ExpConstants<T>::kMantissa) + bits_of<T>(splat(T(1)))); },
        p.shifted);
}

// q(r) = (2^r - 1) / r.
template <class T, int N>
PYRNN_INLINE
Several<T, N> power_slope(const Several<T, N>& r) {
    using K = ExpConstants<T>;
    Several<T, N> q = r * K::kPolynomial[0] + K::kPolynomial[1];
#pragma GCC unroll 16
    for (std::size_t i = 2; i < sizeof(K::kPolynomial) / sizeof(T); ++i) q = q * r + K::kPolynomial[i];
    return q;
}

template <class T, int N>
PYRNN_INLINE
Several<T, N> clamp(const Several<T, N>& x, T low, T high) {
    return each([=](Vec<T> v) { return at_least(at_most(v, high), low); }, x);
}

template <class T, int N>
PYRNN_INLINE
Several<T, N> vector_exp(const Several<T, N>& x) {
    using K = ExpConstants<T>;
    const auto p = power_of_two<1>(clamp(x, K::kMin, K::kMax));
    return each([](Vec<T> v, Vec<T> n) { return times_pow2(v, n); }, power_slope(p.r) * p.r + T(1), p.n);
}

template <class T, int N>
PYRNN_INLINE
Several<T, N> vector_tanh(const Several<T, N>& x) {
    using K = ExpConstants<T>;
    const auto p = power_of_two<2, false>(clamp(x, -K::kTanhMax, K::kTanhMax));
    const Several<T, N> power = normal_power(p), t = power_slope(p.r) * (p.r * power) + (power - T(1));
    return quotient(t, t + T(2));
}

#if PYRNN_LOOKUP
// Powers of 2^(1 / P) for P lanes, P = 2^kFraction: 2^((n + r) / P) = 2^(n / P) (1 + r q(r)), where n is an integer and
// q a polynomial of degree 2 instead of 5. kPowers holds the bits of 2^(j / P) less j / P of the least exponent: adding
// the integer that holds n, moved to the exponent, gives 2^(n / P).
#if PYRNN_LOOKUP == 16
constexpr int kFraction = 4;
alignas(64) constexpr float kPowers[] = {1.0f,       0.99088687f, 0.9827539f,  0.9756443f, 0.96960354f, 0.9646789f,
                                         0.9609198f, 0.9583778f,  0.95710677f, 0.9571631f, 0.9586054f,  0.96149516f,
                                         0.9658964f, 0.9718761f,  0.97950405f, 0.9888533f};
constexpr float kSlopes[] = {1.355104632e-05f, 0.0009384123259f, 0.0433216989f};
#else
constexpr int kFraction = 3;
alignas(32) constexpr float kPowers[] = {1.0f,         0.982753873f, 0.969603539f, 0.960919797f,
                                         0.957106769f, 0.958605409f, 0.965896428f, 0.979504049f};
constexpr float kSlopes[] = {0.0001084208494f, 0.003754025522f, 0.08664339652f};
#endif
template <int N>
PYRNN_INLINE
Several<float, N> fine_power(const Several<float, N>& shifted) {
    return each(
        [](Vec<float> v) {
            return from_bits<float>((bits_of<float>(v) << (ExpConstants<float>::kMantissa - kFraction)) +
                                    bits_of<float>(look_up(kPowers, bits_of<float>(v))));
        },
        shifted);
}
template <int N>
PYRNN_INLINE
Several<float, N> fine_slope(const Several<float, N>& r) { return (r * kSlopes[0] + kSlopes[1]) * r + kSlopes[2]; }
#endif

#if PYRNN_LOOKUP == 16
// tanh(j / 2 + d) = sum p_k d^k: row k holds p_k for j = 0 .. 15, by minimax fits of least relative error.
alignas(64) constexpr float kTanhTable[7][16] = {
    {0.0f, 0.462117165f, 0.761594176f, 0.905148268f, 0.964027584f, 0.986614287f, 0.995054781f, 0.998177886f,
     0.999329329f, 0.999753237f, 0.999909222f, 0.999966621f, 0.999987721f, 0.99999547f, 0.999998331f, 0.999999404f},
    {1.0f, 0.786448419f, 0.419974357f, 0.180706635f, 0.0706508234f, 0.0265922267f, 0.00986603741f, 0.00364088477f,
     0.00134095072f, 0.000493517437f, 0.000181583237f, 6.68045759e-05f, 2.45765477e-05f, 9.04127683e-06f,
     3.32610944e-06f, 1.2231219e-06f},
    {-1.09722828e-06f, -0.363433421f, -0.319855899f, -0.163569301f, -0.0681101903f, -0.026233051f, -0.00982522778f,
     -0.00363091868f, -0.00134834182f, -0.000500859576f, -0.000186710371f, -7.3783136e-05f, -2.73960086e-05f,
     -6.36196455e-06f, -1.63463665e-06f, -1.63581376e-06f},
    {-0.333270192f, -0.0942925587f, 0.103599966f, 0.087821126f, 0.04210978f, 0.0170209762f, 0.00647990499f,
     0.00241397019f, 0.000892148702f, 0.000328758906f, 0.000121019992f, 4.45307414e-05f, 1.63834775e-05f,
     6.02735417e-06f, 2.21735809e-06f, 1.35469509e-06f},
    {-0.00118369109f, 0.16476351f, 0.0279712845f, -0.0248656459f, -0.01786099f, -0.00818436872f, -0.00283545232f,
     -0.00133997225f, -9.12369214e-05f, 0.000154213019f, 0.000158959127f, 0.000275580242f, 0.00011211641f,
     -0.000117328185f, -7.32775952e-05f, 1.16439569e-08f},
    {0.143084124f, -0.0242329277f, -0.0460906588f, -0.0029702757f, 0.00473138643f, 0.00286143762f, 0.00122566207f,
     0.000474780769f, 0.000178198185f, 6.60330043e-05f, 2.43388586e-05f, 8.96662459e-06f, 3.29699242e-06f,
     1.21250457e-06f, 4.46200573e-07f, -6.88448722e-07f},
    {-0.0369768105f, -0.0507423542f, 0.0157432966f, 0.00628724974f, -0.000411750836f, 0.000731770822f, -0.00399700273f,
     0.00135526073f, -0.00383000029f, -0.00341818272f, -0.00234872103f, -0.00317992829f, -0.00128435867f,
     0.00121894071f, 0.000769649458f, 2.62935089e-07f},
};

template <int N>
PYRNN_INLINE
Several<float, N> vector_tanh(const Several<float, N>& x) {
    constexpr float kLast = 7.5f, kOne = 9.1f;  // the last j / 2; where tanh has become 1
    constexpr float kRound = 6291456.0f;  // 1.5 * 2^22: adding it rounds to a multiple of 1/2, and j is in the low bits
    const auto a = each([](Vec<float> v) { return absolute(v); }, x);
    const auto shifted = each([](Vec<float> v) { return at_most(v, kLast); }, a) + kRound;
    const auto d = each([](Vec<float> v) { return at_most(v, kOne); }, a) - (shifted - kRound);
    const auto p = [&](int k) __attribute__((always_inline)) {
        return each([k](Vec<float> v) { return look_up(kTanhTable[k], bits_of<float>(v)); }, shifted);
    };
    Several<float, N> y = p(6);
#pragma GCC unroll 8
    for (int k = 5; k >= 0; --k) y = y * d + p(k);
    return each([](Vec<float> v, Vec<float> sign) { return with_sign(at_most(v, 1.0f), sign); }, y, x);
}
#endif

// Relative accuracy at both ends, since e^-x keeps its own: no case for the sign. Results that would be subnormal come
// out as 1 / e^kSigmoidMax, a subnormal number, which is 0 where subnormal numbers count as 0 (decision 0001).
template <class T, int N>
PYRNN_INLINE
Several<T, N> vector_sigmoid(const Several<T, N>& x) {
    using K = ExpConstants<T>;
    const auto p = power_of_two<-1>(clamp(x, -K::kSigmoidMax, K::kSigmoidMax));
    const Several<T, N> power = normal_power(p);
    return reciprocal(power_slope(p.r) * (p.r * power) + (power + T(1)));
}

#if PYRNN_LOOKUP
template <int N>
PYRNN_INLINE
Several<float, N> vector_sigmoid(const Several<float, N>& x) {
    using K = ExpConstants<float>;
    constexpr float kTimes = -PYRNN_LOOKUP, kHighest = 60;  // where sigmoid has long been 1
    const auto a = clamp(x, -K::kSigmoidMax, kHighest);
    const auto shifted = a * (kTimes * K::kLog2e) + K::kRound;
    const auto r = a * (kTimes * K::kLog2eLow) + (distinct(a) * (kTimes * K::kLog2e) - (shifted - K::kRound));
    const auto power = fine_power(shifted);
    return reciprocal(fine_slope(r) * (r * power) + (power + 1.0f));
}
#endif

// The same down to the last subnormal number, where sigmoid x is e^x.
template <class T, int N>
PYRNN_INLINE
Several<T, N> vector_sigmoid_subnormal(const Several<T, N>& x) {
    return each([](Vec<T> v, Vec<T> small, Vec<T> y) { return v < 2 - ExpConstants<T>::kSigmoidMax ? small : y; }, x,
                vector_exp(x), vector_sigmoid(x));
}

template <class T, int N>
PYRNN_INLINE
Several<T, N> vector_relu(const Several<T, N>& x) {
    return each([](Vec<T> v) { return v < 0 ? Vec<T>{} : v; }, x);  // NaN stays NaN
}

// acc = f(acc), two vectors at a time: here the compiler finds more order itself, and many side by side would spill.
template <class T, int kRows, int kCols, class F>
PYRNN_INLINE
void map_registers(Vec<T> (&acc)[kRows][kCols], F f) {
    constexpr int kAll = kRows * kCols;
#pragma GCC unroll 16
    for (int i = 0; i + 1 < kAll; i += 2) {
        Vec<T>&a = acc[i / kCols][i % kCols], &b = acc[(i + 1) / kCols][(i + 1) % kCols];
        const Several<T, 2> y = f(Several<T, 2>{{a, b}});
        a = y.v[0], b = y.v[1];
    }
    if constexpr (kAll % 2 == 1) acc[kRows - 1][kCols - 1] = f(Several<T, 1>{{acc[kRows - 1][kCols - 1]}}).v[0];
}

// The activations that accumulators pass through in registers.
template <class T, int kRows, int kCols>
PYRNN_INLINE
void activate_registers(Activation kind, Vec<T> (&acc)[kRows][kCols]) {
    switch (kind) {
        case Activation::kRelu: map_registers<T>(acc, [](const auto& x) { return vector_relu(x); }); break;
        case Activation::kTanh: map_registers<T>(acc, [](const auto& x) { return vector_tanh(x); }); break;
        case Activation::kSigmoid: map_registers<T>(acc, [](const auto& x) { return vector_sigmoid(x); }); break;
        default: break;
    }
}

// d = f(d, y), y rows stride ld of which n columns exist; 0 in the others.
template <class T, int kRows, int kCols, class F>
PYRNN_INLINE
void map_slopes(Vec<T> (&d)[kRows][kCols], const T* y, Index ld, Index n, F f) {
#pragma GCC unroll 8
    for (int c = 0; c < kCols; ++c) {
        const Index left = n - c * kLanes<T>;
        const auto lanes = lanes_before_end<T>(left);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
            const T* from = y + r * ld + c * kLanes<T>;
            d[r][c] = cleared(f(d[r][c], left >= kLanes<T> ? load(from) : load_partial(from, left)), lanes);
        }
    }
}
// d *= act'(y) for the same activations. A unit of relu that gives 0 takes nothing, not even infinity.
template <class T, int kRows, int kCols>
PYRNN_INLINE
void differentiate_registers(Activation kind, Vec<T> (&d)[kRows][kCols], const T* y, Index ld, Index n) {
    switch (kind) {
        case Activation::kRelu: map_slopes(d, y, ld, n, [](Vec<T> g, Vec<T> v) { return v > 0 ? g : Vec<T>{}; }); break;
        case Activation::kTanh: map_slopes(d, y, ld, n, [](Vec<T> g, Vec<T> v) { return g * (T(1) - v * v); }); break;
        case Activation::kSigmoid:
            map_slopes(d, y, ld, n, [](Vec<T> g, Vec<T> v) { return g * (v * (T(1) - v)); });
            break;
        default: map_slopes(d, y, ld, n, [](Vec<T> g, Vec<T>) { return g; }); break;
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
inline T square(T x) {
    return x * x;
}
template <class T>
inline T silu_slope(T x) {
    const T s = logistic(x);
    return s * (1 + x * (1 - s));
}
template <class T>
inline T mish_slope(T x) {
    const T t = libm_tanh(softplus(x));
    return t + x * (1 - t * t) * logistic(x);
}

// The activations that activations.def states for one number.
#define PYRNN_ROW_ACTIVATION(enumerator, name)
#define PYRNN_ACTIVATION(enumerator, name, argument, forward, derivative) \
    case Activation::enumerator: return forward;
template <class T>
inline T scalar_activation(Activation kind, T x) {
    switch (kind) {
#include "../abi/activations.def"
        default: return x;
    }
}
#undef PYRNN_ACTIVATION

// y is its output, x the pre-activation, which is read only where needs_preactivation(kind).
#define PYRNN_ACTIVATION(enumerator, name, argument, forward, derivative) \
    case Activation::enumerator: return derivative;
template <class T>
inline T scalar_derivative(Activation kind, T y, T x) {
    switch (kind) {
#include "../abi/activations.def"
        default: return y;
    }
}
#undef PYRNN_ACTIVATION
#undef PYRNN_ROW_ACTIVATION

// exp(z - top) / sum, or its logarithm; a NaN in a row spreads over it. y may be z.
template <class T>
PYRNN_INLINE
void softmax_row(const T* z, T* y, Index n, bool logarithm) {
    constexpr T kNothing = -std::numeric_limits<T>::infinity();
    const auto exponential = [](Vec<T> v, T top) { return vector_exp(Several<T, 1>{{v - top}}).v[0]; };
    Vec<T> tops = splat(kNothing), sums = {};
    for_vectors<T>(n, [&](Index i, Index lanes) __attribute__((always_inline)) {
        const Vec<T> v = load_or(z + i, lanes, kNothing);
        tops = ((v > tops) | (v != v)) ? v : tops;
    });
    T top = tops[0];
    for (Index i = 1; i < kLanes<T> && i < n; ++i) top = tops[i] > top || tops[i] != tops[i] ? tops[i] : top;
    for_vectors<T>(n, [&](Index i, Index lanes) __attribute__((always_inline)) {
        const Vec<T> e = exponential(load_or(z + i, lanes, kNothing), top);
        sums += e;
        if (!logarithm) put(y + i, e, lanes);
    });
    const T sum = sum_of<T>(sums, n), log_sum = logarithm ? libm_log(sum) : T(0);
    for_vectors<T>(n, [&](Index i, Index lanes) __attribute__((always_inline)) {
        put(y + i, logarithm ? some(z + i, lanes) - top - log_sum : some(y + i, lanes) / sum, lanes);
    });
}
// dz = y (dy - sum(dy y)), or of the logarithm dy - exp(y) sum(dy).
template <class T>
PYRNN_INLINE
void softmax_derivative_row(const T* y, const T* dy, T* dz, Index n, bool logarithm) {
    Vec<T> sums = {};
    for_vectors<T>(n, [&](Index i, Index lanes) __attribute__((always_inline)) {
        sums += logarithm ? some(dy + i, lanes) : some(dy + i, lanes) * some(y + i, lanes);
    });
    const T sum = sum_of<T>(sums, n);
    for_vectors<T>(n, [&](Index i, Index lanes) __attribute__((always_inline)) {
        const Vec<T> v = some(y + i, lanes), d = some(dy + i, lanes);
        put(dz + i, logarithm ? d - vector_exp(Several<T, 1>{{v}}).v[0] * sum : v * (d - sum), lanes);
    });
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
            if (z[i] > tau) {
                total += z[i];
                ++support;
            }
        if (support == 0) break;
        tau = (total - 1) / T(support);
        if (support == last) break;
        last = support;
    }
    const T defined = tau - tau;  // NaN where there is no projection: a NaN or infinity in the row
    for (Index i = 0; i < n; ++i) y[i] = (z[i] <= tau ? T(0) : z[i] - tau) + defined;
}

template <int kCount, class T, class F>
PYRNN_INLINE
Index map_several(const T* z, T* y, Index first, Index n, F f) {
    constexpr Index kP = kLanes<T>;
    for (; first + kCount * kP <= n; first += kCount * kP) {
        Several<T, kCount> x;
#pragma GCC unroll 16
        for (int i = 0; i < kCount; ++i) x.v[i] = load(z + first + i * kP);
        x = f(x);
#pragma GCC unroll 16
        for (int i = 0; i < kCount; ++i) store(y + first + i * kP, x.v[i]);
    }
    return first;
}
template <class T, class F>
PYRNN_INLINE
void map_vectors(const T* z, T* y, Index n, F f) {
    const Index i = map_several<1>(z, y, map_several<4>(z, y, Index{0}, n, f), n, f);
    if (i < n) store_partial(y + i, f(Several<T, 1>{{load_partial(z + i, n - i)}}).v[0], n - i);
}

template <class T>
void activate(Activation kind, const T* z, Index ldz, T* y, Index ldy, Index rows, Index n) {
    for (Index r = 0; r < rows; ++r, z += ldz, y += ldy) {
        switch (kind) {
            case Activation::kLinear:
                if (y != z) std::memcpy(y, z, n * sizeof(T));
                break;
            case Activation::kRelu: map_vectors(z, y, n, [](const auto& x) { return vector_relu(x); }); break;
            case Activation::kTanh: map_vectors(z, y, n, [](const auto& x) { return vector_tanh(x); }); break;
            case Activation::kSigmoid:
                map_vectors(z, y, n, [](const auto& x) { return vector_sigmoid_subnormal(x); });
                break;
            case Activation::kExponential: map_vectors(z, y, n, [](const auto& x) { return vector_exp(x); }); break;
            case Activation::kSoftmax: softmax_row(z, y, n, false); break;
            case Activation::kLogSoftmax: softmax_row(z, y, n, true); break;
            case Activation::kSparsemax: sparsemax_row(z, y, n); break;
            default:
                for (Index i = 0; i < n; ++i) y[i] = scalar_activation(kind, z[i]);
        }
    }
}

template <class T>
inline void derivative_row(Activation kind, const T* y, const T* z, const T* dy, T* dz, Index n) {
    switch (kind) {
        case Activation::kLinear:
            for (Index i = 0; i < n; ++i) dz[i] = dy[i];
            break;
        case Activation::kRelu:
            for (Index i = 0; i < n; ++i) dz[i] = y[i] > 0 ? dy[i] : T(0);
            break;
        case Activation::kTanh:
            for (Index i = 0; i < n; ++i) dz[i] = dy[i] * (1 - y[i] * y[i]);
            break;
        case Activation::kSigmoid:
            for (Index i = 0; i < n; ++i) dz[i] = dy[i] * (y[i] * (1 - y[i]));
            break;
        case Activation::kExponential:
            for (Index i = 0; i < n; ++i) dz[i] = dy[i] * y[i];
            break;
        case Activation::kSoftmax: softmax_derivative_row(y, dy, dz, n, false); break;
        case Activation::kLogSoftmax: softmax_derivative_row(y, dy, dz, n, true); break;
        case Activation::kSparsemax: {
            T sum = 0;
            Index support = 0;
            for (Index i = 0; i < n; ++i)
                if (y[i] > 0) {
                    sum += dy[i];
                    ++support;
                }
            T mean = support ? sum / T(support) : T(0);
            for (Index i = 0; i < n; ++i) dz[i] = y[i] > 0 ? dy[i] - mean : T(0);
            break;
        }
        default:
            for (Index i = 0; i < n; ++i) dz[i] = dy[i] * scalar_derivative(kind, y[i], z ? z[i] : T(0));
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
