// Vectors of one ISA, by the vector extensions of GCC and Clang. Compiled once per ISA; PYRNN_VECTOR_BYTES sets the
// width.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../abi/kernel_table.hpp"

#define PYRNN_INLINE inline __attribute__((always_inline))

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

template <class T>
struct VecOf;
template <>
struct VecOf<float> {
    typedef float V __attribute__((vector_size(PYRNN_VECTOR_BYTES)));
    typedef std::int32_t I __attribute__((vector_size(PYRNN_VECTOR_BYTES)));
    typedef float InMemory __attribute__((vector_size(PYRNN_VECTOR_BYTES), aligned(sizeof(float))));
};
template <>
struct VecOf<double> {
    typedef double V __attribute__((vector_size(PYRNN_VECTOR_BYTES)));
    typedef std::int64_t I __attribute__((vector_size(PYRNN_VECTOR_BYTES)));
    typedef double InMemory __attribute__((vector_size(PYRNN_VECTOR_BYTES), aligned(sizeof(double))));
};
template <class T>
using Vec = typename VecOf<T>::V;
template <class T>
using IVec = typename VecOf<T>::I;
template <class T>
constexpr Index kLanes = PYRNN_VECTOR_BYTES / sizeof(T);

// Through a type that aliases numbers only: after a store by memcpy all sizes and pointers would be read again.
template <class T>
PYRNN_INLINE
Vec<T> load(const T* p) { return *reinterpret_cast<const typename VecOf<T>::InMemory*>(p); }
template <class T>
PYRNN_INLINE
void store(T* p, Vec<T> v) { *reinterpret_cast<typename VecOf<T>::InMemory*>(p) = v; }
template <class T>
PYRNN_INLINE
Vec<T> splat(T x) {
    return x - Vec<T>{};  // keeps the sign of -0.0
}

// The first n lanes, all of them if n > P and none if n <= 0; what is not loaded is 0, or `other`. They stand at the
// end of every tile, and a tile is held in registers only if all that touches it is unrolled, so their code must be
// short: the empty asm keeps loops from being vectorized.
#if defined(__AVX512F__) && PYRNN_VECTOR_BYTES == 64
PYRNN_INLINE
unsigned short first_lanes(Index n) {
    return static_cast<unsigned short>(__builtin_ia32_bzhi_si(0xffff, n < 0    ? 0u
                                                                      : n > 16 ? 16u
                                                                               : static_cast<unsigned>(n)));
}
PYRNN_INLINE
void store_partial(float* p, Vec<float> v, Index n) { __builtin_ia32_storeups512_mask(p, v, first_lanes(n)); }
PYRNN_INLINE
void store_partial(double* p, Vec<double> v, Index n) {
    __builtin_ia32_storeupd512_mask(p, v, static_cast<unsigned char>(first_lanes(n)));
}
PYRNN_INLINE
Vec<float> load_partial(const float* p, Index n) {
    return __builtin_ia32_loadups512_mask(p, Vec<float>{}, first_lanes(n));
}
PYRNN_INLINE
Vec<double> load_partial(const double* p, Index n) {
    return __builtin_ia32_loadupd512_mask(p, Vec<double>{}, static_cast<unsigned char>(first_lanes(n)));
}
PYRNN_INLINE
Vec<float> load_or(const float* p, Index n, float other) {
    return __builtin_ia32_loadups512_mask(p, splat(other), first_lanes(n));
}
PYRNN_INLINE
Vec<double> load_or(const double* p, Index n, double other) {
    return __builtin_ia32_loadupd512_mask(p, splat(other), static_cast<unsigned char>(first_lanes(n)));
}
#else
template <class T>
PYRNN_INLINE
void store_partial(T* p, Vec<T> v, Index n) {
    T lanes[kLanes<T>];
    store(lanes, v);
    for (Index i = 0; i < n && i < kLanes<T>; ++i) {
        p[i] = lanes[i];
        __asm__ volatile("");
    }
}
template <class T>
PYRNN_INLINE
Vec<T> load_or(const T* p, Index n, T other) {
    T lanes[kLanes<T>];
    store(lanes, splat(other));
    for (Index i = 0; i < n && i < kLanes<T>; ++i) {
        lanes[i] = p[i];
        __asm__ volatile("");
    }
    return load(lanes);
}
template <class T>
PYRNN_INLINE
Vec<T> load_partial(const T* p, Index n) { return load_or(p, n, T(0)); }
#endif

// Which lanes of a row's vector lie before its end, where n > 0 columns are left; and v with 0 in the others. Beyond
// the end a vector holds any numbers, such as NaN of infinity times a padded weight: sums must not run over them.
// AVX-512 clears them in the multiplication that v comes from, at no cost. The empty asm keeps the compiler from
// writing a tile twice, for full and partial vectors.
#if defined(__AVX512F__) && PYRNN_VECTOR_BYTES == 64
template <class T>
using Lanes = unsigned short;
template <class T>
PYRNN_INLINE
Lanes<T> lanes_before_end(Index n) {
    Index count = n < kLanes<T> ? n : kLanes<T>;
    __asm__("" : "+r"(count));
    return static_cast<unsigned short>(__builtin_ia32_bzhi_si(0xffff, static_cast<unsigned>(count)));
}
#if defined(__clang__)
PYRNN_INLINE
Vec<float> cleared(Vec<float> v, Lanes<float> lanes) { return __builtin_ia32_selectps_512(lanes, v, Vec<float>{}); }
PYRNN_INLINE
Vec<double> cleared(Vec<double> v, Lanes<double> lanes) {
    return __builtin_ia32_selectpd_512(static_cast<unsigned char>(lanes), v, Vec<double>{});
}
#else
PYRNN_INLINE
Vec<float> cleared(Vec<float> v, Lanes<float> lanes) { return __builtin_ia32_movaps512_mask(v, Vec<float>{}, lanes); }
PYRNN_INLINE
Vec<double> cleared(Vec<double> v, Lanes<double> lanes) {
    return __builtin_ia32_movapd512_mask(v, Vec<double>{}, static_cast<unsigned char>(lanes));
}
#endif
#else
template <class T>
using Lanes = IVec<T>;
template <class T>
PYRNN_INLINE
Lanes<T> lanes_before_end(Index n) {
    // The vector is cut from a row of more, n lanes before where that turns from ones to zeros.
    constexpr Index kP = kLanes<T>, kMostLanes = 8;
    static_assert(kP <= kMostLanes, "the rows are too short");
    static constexpr std::int32_t kNarrow[] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    static constexpr std::int64_t kWide[] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    const Index first = kMostLanes - (n < kP ? n : kP);
    Lanes<T> lanes;
    std::memcpy(&lanes, sizeof(T) == sizeof(float) ? static_cast<const void*>(kNarrow + first) : kWide + first,
                sizeof lanes);
    return lanes;
}
PYRNN_INLINE
Vec<float> cleared(Vec<float> v, Lanes<float> lanes) { return (Vec<float>)((IVec<float>)v & lanes); }
PYRNN_INLINE
Vec<double> cleared(Vec<double> v, Lanes<double> lanes) { return (Vec<double>)((IVec<double>)v & lanes); }
#endif

// v, rounded before it is used: keeps a product out of a fused multiply-add. Of a b + c d the compiler may fuse either
// product, and not the same in every tile; results would then depend on how rows are cut.
template <class T>
PYRNN_INLINE
Vec<T> rounded(Vec<T> v) {
#if defined(__x86_64__)
    __asm__("" : "+v"(v));
#elif defined(__aarch64__)
    __asm__("" : "+w"(v));
#endif
    return v;
}

// Bits of v taken as integers of the same width, and back.
template <class T>
PYRNN_INLINE
IVec<T> bits_of(Vec<T> v) { return (IVec<T>)v; }
template <class T>
PYRNN_INLINE
Vec<T> from_bits(IVec<T> v) { return (Vec<T>)v; }

// What AVX-512 has an instruction for: v 2^n for any integral n, min and max that keep a NaN in v, an estimate of 1 / v
// to 14 bits. The builtins of GCC and Clang, since <immintrin.h> would bring weak symbols along.
#if defined(__AVX512F__) && PYRNN_VECTOR_BYTES == 64
constexpr int kCurrentRounding = 4;
PYRNN_INLINE
Vec<float> times_pow2(Vec<float> v, Vec<float> n) {
    return __builtin_ia32_scalefps512_mask(v, n, v, 0xffff, kCurrentRounding);
}
PYRNN_INLINE
Vec<double> times_pow2(Vec<double> v, Vec<double> n) {
    return __builtin_ia32_scalefpd512_mask(v, n, v, 0xff, kCurrentRounding);
}
PYRNN_INLINE
Vec<float> at_most(Vec<float> v, float limit) {
    return __builtin_ia32_minps512_mask(splat(limit), v, v, 0xffff, kCurrentRounding);
}
PYRNN_INLINE
Vec<float> at_least(Vec<float> v, float limit) {
    return __builtin_ia32_maxps512_mask(splat(limit), v, v, 0xffff, kCurrentRounding);
}
PYRNN_INLINE
Vec<float> reciprocal_estimate(Vec<float> v) { return __builtin_ia32_rcp14ps512_mask(v, v, 0xffff); }
#else
PYRNN_INLINE
Vec<float> pow2(IVec<float> n) { return (Vec<float>)((n + 127) << 23); }
PYRNN_INLINE
Vec<double> pow2(IVec<double> n) { return (Vec<double>)((n + 1023) << 52); }
// In two steps, so that subnormal results and overflow come out right.
PYRNN_INLINE
Vec<float> times_pow2(Vec<float> v, Vec<float> n) {
    const IVec<float> whole = bits_of<float>(n + 12582912.0f) - bits_of<float>(splat(12582912.0f)), half = whole >> 1;
    return v * pow2(half) * pow2(whole - half);
}
PYRNN_INLINE
Vec<double> times_pow2(Vec<double> v, Vec<double> n) {
    const IVec<double> whole = bits_of<double>(n + 6755399441055744.0) - bits_of<double>(splat(6755399441055744.0));
    const IVec<double> half = whole >> 1;
    return v * pow2(half) * pow2(whole - half);
}
PYRNN_INLINE
Vec<float> at_most(Vec<float> v, float limit) { return v > limit ? splat(limit) : v; }
PYRNN_INLINE
Vec<float> at_least(Vec<float> v, float limit) { return v < limit ? splat(limit) : v; }
#endif
PYRNN_INLINE
Vec<double> at_most(Vec<double> v, double limit) { return v > limit ? splat(limit) : v; }
PYRNN_INLINE
Vec<double> at_least(Vec<double> v, double limit) { return v < limit ? splat(limit) : v; }

// Where a permutation reads a table of 16 floats in a register, at a fourth of what a multiply-add costs beside others.
#if defined(__AVX512F__) && PYRNN_VECTOR_BYTES == 64
#define PYRNN_LOOKUP 1
// table[i mod 16] for each lane.
PYRNN_INLINE
Vec<float> look_up(const float* table, IVec<float> i) {
#if defined(__clang__)
    return __builtin_ia32_permvarsf512(load(table), i);
#else
    return __builtin_shuffle(load(table), i);
#endif
}
#else
#define PYRNN_LOOKUP 0
#endif
PYRNN_INLINE
Vec<float> absolute(Vec<float> v) { return from_bits<float>(bits_of<float>(v) & 0x7fffffff); }
PYRNN_INLINE
Vec<float> with_sign(Vec<float> v, Vec<float> sign) {  // v >= 0
    return from_bits<float>(bits_of<float>(v) | (bits_of<float>(sign) & static_cast<std::int32_t>(0x80000000)));
}

// N vectors that go through a formula side by side, operation by operation. One vector's operations wait for each
// other, and the scheduler of a core looks at less than a hundred instructions: written one vector after the other, the
// ports of the multiply-adds stand idle for a quarter of the time.
template <class T, int kCount>
struct Several {
    Vec<T> v[kCount];
};
template <class T, int kCount, class F, class... More>
PYRNN_INLINE
Several<T, kCount> each(F f, const Several<T, kCount>& a, const More&... more) {
    Several<T, kCount> result;
#pragma GCC unroll 16
    for (int i = 0; i < kCount; ++i) result.v[i] = f(a.v[i], more.v[i]...);
    return result;
}
template <class T, int N>
PYRNN_INLINE
Several<T, N> operator+(const Several<T, N>& a, const Several<T, N>& b) {
    return each([](Vec<T> x, Vec<T> y) { return x + y; }, a, b);
}
template <class T, int N>
PYRNN_INLINE
Several<T, N> operator-(const Several<T, N>& a, const Several<T, N>& b) {
    return each([](Vec<T> x, Vec<T> y) { return x - y; }, a, b);
}
template <class T, int N>
PYRNN_INLINE
Several<T, N> operator*(const Several<T, N>& a, const Several<T, N>& b) {
    return each([](Vec<T> x, Vec<T> y) { return x * y; }, a, b);
}
template <class T, int N>
PYRNN_INLINE
Several<T, N> operator+(const Several<T, N>& a, T b) {
    return each([=](Vec<T> x) { return x + b; }, a);
}
template <class T, int N>
PYRNN_INLINE
Several<T, N> operator-(const Several<T, N>& a, T b) {
    return each([=](Vec<T> x) { return x - b; }, a);
}
template <class T, int N>
PYRNN_INLINE
Several<T, N> operator*(const Several<T, N>& a, T b) {
    return each([=](Vec<T> x) { return x * b; }, a);
}
template <class T, int N>
PYRNN_INLINE
Several<T, N> operator-(int a, const Several<T, N>& b) {
    return each([=](Vec<T> x) { return T(a) - x; }, b);
}
template <class T, int N>
PYRNN_INLINE
Several<T, N> rounded(const Several<T, N>& a) {
    return each([](Vec<T> x) { return rounded<T>(x); }, a);
}

// a / b and 1 / b to 1 ULP for |b| in 2^-126 .. 2^126; beyond, 1 / b may be 0. AVX-512 estimates and corrects: Intel's
// cores divide 16 floats in 16 cycles.
#if defined(__AVX512F__) && PYRNN_VECTOR_BYTES == 64
template <class T>
constexpr bool kEstimates = sizeof(T) == sizeof(float);
#else
template <class T>
constexpr bool kEstimates = false;
#endif
template <class T, int N>
PYRNN_INLINE
Several<T, N> quotient(const Several<T, N>& a, const Several<T, N>& b) {
    if constexpr (kEstimates<T>) {
        const Several<T, N> r = each([](Vec<T> x) { return reciprocal_estimate(x); }, b), q = a * r;
        return q + r * (a - b * q);
    } else {
        return each([](Vec<T> x, Vec<T> y) { return x / y; }, a, b);
    }
}
template <class T, int N>
PYRNN_INLINE
Several<T, N> reciprocal(const Several<T, N>& b) {
    const Several<T, N> ones = each([](Vec<T>) { return splat(T(1)); }, b);
    if constexpr (kEstimates<T>) {
        const Several<T, N> r = each([](Vec<T> x) { return reciprocal_estimate(x); }, b);
        return r + r * (ones - b * r);
    } else {
        return quotient(ones, b);
    }
}

// The sum of the first n lanes.
template <class T>
PYRNN_INLINE
T sum_of(Vec<T> v, Index n = kLanes<T>) {
    T sum = 0;
    for (Index i = 0; i < kLanes<T> && i < n; ++i) sum += v[i];
    return sum;
}

// Calls f(first, lanes) for each vector of a row: whole ones, then what is left.
template <class T, class F>
PYRNN_INLINE
void for_vectors(Index n, F f) {
    Index i = 0;
    for (; i + kLanes<T> <= n; i += kLanes<T>) f(i, kLanes<T>);
    if (i < n) f(i, n - i);
}
template <class T>
PYRNN_INLINE
Vec<T> some(const T* p, Index lanes) { return lanes == kLanes<T> ? load(p) : load_partial(p, lanes); }
template <class T>
PYRNN_INLINE
void put(T* p, Vec<T> v, Index lanes) { lanes == kLanes<T> ? store(p, v) : store_partial(p, v, lanes); }

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
