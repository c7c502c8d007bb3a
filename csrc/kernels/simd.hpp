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

// Through a type that aliases only numbers: after a store by memcpy the compiler would read all sizes and pointers
// again.
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

// AVX-512 by the compilers' builtins: parsing <immintrin.h> would take longer than many an object does. Everything that
// GCC and Clang name differently is here.
#if defined(__AVX512F__) && PYRNN_VECTOR_BYTES == 64
#define PYRNN_AVX512 1
using Mask = unsigned short;
constexpr int kCurrentRounding = 4;
PYRNN_INLINE
Mask first_lanes(unsigned n) { return static_cast<Mask>(__builtin_ia32_bzhi_si(0xffff, n)); }
#if defined(__clang__)
PYRNN_INLINE
Vec<float> select(Mask lanes, Vec<float> v, Vec<float> other) { return __builtin_ia32_selectps_512(lanes, v, other); }
PYRNN_INLINE
Vec<double> select(Mask lanes, Vec<double> v, Vec<double> other) {
    return __builtin_ia32_selectpd_512(static_cast<unsigned char>(lanes), v, other);
}
// b where either is a NaN.
PYRNN_INLINE
Vec<float> smaller(Vec<float> a, Vec<float> b) { return __builtin_ia32_minps512(a, b, kCurrentRounding); }
PYRNN_INLINE
Vec<float> larger(Vec<float> a, Vec<float> b) { return __builtin_ia32_maxps512(a, b, kCurrentRounding); }
PYRNN_INLINE
Vec<float> permute(Vec<float> v, IVec<float> i) { return __builtin_ia32_permvarsf512(v, i); }
#else
PYRNN_INLINE
Vec<float> select(Mask lanes, Vec<float> v, Vec<float> other) { return __builtin_ia32_movaps512_mask(v, other, lanes); }
PYRNN_INLINE
Vec<double> select(Mask lanes, Vec<double> v, Vec<double> other) {
    return __builtin_ia32_movapd512_mask(v, other, static_cast<unsigned char>(lanes));
}
PYRNN_INLINE
Vec<float> smaller(Vec<float> a, Vec<float> b) {
    return __builtin_ia32_minps512_mask(a, b, b, 0xffff, kCurrentRounding);
}
PYRNN_INLINE
Vec<float> larger(Vec<float> a, Vec<float> b) {
    return __builtin_ia32_maxps512_mask(a, b, b, 0xffff, kCurrentRounding);
}
PYRNN_INLINE
Vec<float> permute(Vec<float> v, IVec<float> i) { return __builtin_shuffle(v, i); }
#endif
#else
#define PYRNN_AVX512 0
#endif
#if defined(__AVX2__) && PYRNN_VECTOR_BYTES == 32
#define PYRNN_AVX2 1
// As above, one instruction instead of a comparison and a blend of three.
PYRNN_INLINE
Vec<float> smaller(Vec<float> a, Vec<float> b) { return __builtin_ia32_minps256(a, b); }
PYRNN_INLINE
Vec<float> larger(Vec<float> a, Vec<float> b) { return __builtin_ia32_maxps256(a, b); }
PYRNN_INLINE
Vec<float> permute(Vec<float> v, IVec<float> i) { return __builtin_ia32_permvarsf256(v, i); }
#else
#define PYRNN_AVX2 0
#endif

// The first n lanes: all if n > P, none if n <= 0. Lanes that are not loaded are 0, or `other`. These functions end
// every tile, and a tile stays in registers only if everything in it is unrolled, so their code must be short: the
// empty asm keeps loops from being vectorized.
#if PYRNN_AVX512
PYRNN_INLINE
Mask some_lanes(Index n) { return first_lanes(n < 0 ? 0 : n > 16 ? 16 : static_cast<unsigned>(n)); }
PYRNN_INLINE
void store_partial(float* p, Vec<float> v, Index n) { __builtin_ia32_storeups512_mask(p, v, some_lanes(n)); }
PYRNN_INLINE
void store_partial(double* p, Vec<double> v, Index n) {
    __builtin_ia32_storeupd512_mask(p, v, static_cast<unsigned char>(some_lanes(n)));
}
PYRNN_INLINE
Vec<float> load_partial(const float* p, Index n) {
    return __builtin_ia32_loadups512_mask(p, Vec<float>{}, some_lanes(n));
}
PYRNN_INLINE
Vec<double> load_partial(const double* p, Index n) {
    return __builtin_ia32_loadupd512_mask(p, Vec<double>{}, static_cast<unsigned char>(some_lanes(n)));
}
PYRNN_INLINE
Vec<float> load_or(const float* p, Index n, float other) {
    return __builtin_ia32_loadups512_mask(p, splat(other), some_lanes(n));
}
PYRNN_INLINE
Vec<double> load_or(const double* p, Index n, double other) {
    return __builtin_ia32_loadupd512_mask(p, splat(other), static_cast<unsigned char>(some_lanes(n)));
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

// The lanes of a row's vector before the row's end, where n > 0 columns are left; `cleared` is v with 0 in the others.
// Beyond the end a vector holds any numbers, such as NaN from infinity times a padded weight, and sums must not include
// them. AVX-512 clears them at no cost in the multiplication that v comes from. The empty asm keeps the compiler from
// generating a tile twice, for full and partial vectors.
#if PYRNN_AVX512
template <class T>
using Lanes = Mask;
template <class T>
PYRNN_INLINE
Lanes<T> lanes_before_end(Index n) {
    Index count = n < kLanes<T> ? n : kLanes<T>;
    __asm__("" : "+r"(count));
    return first_lanes(static_cast<unsigned>(count));
}
PYRNN_INLINE
Vec<float> cleared(Vec<float> v, Lanes<float> lanes) { return select(lanes, v, Vec<float>{}); }
PYRNN_INLINE
Vec<double> cleared(Vec<double> v, Lanes<double> lanes) { return select(lanes, v, Vec<double>{}); }
#else
template <class T>
using Lanes = IVec<T>;
template <class T>
PYRNN_INLINE
Lanes<T> lanes_before_end(Index n) {
    // Part of a longer row of ones, then zeros: the ones end after n lanes.
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

// v, rounded before it is used: keeps a product out of a fused multiply-add. In a b + c d the compiler may fuse either
// product, and not the same one in every tile; results would then depend on how rows are split.
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

// Single instructions of AVX-512: v 2^n for any integral n, min and max that keep a NaN in v, an estimate of 1 / v to
// 14 bits.
#if PYRNN_AVX512
PYRNN_INLINE
Vec<float> times_pow2(Vec<float> v, Vec<float> n) {
    return __builtin_ia32_scalefps512_mask(v, n, v, 0xffff, kCurrentRounding);
}
PYRNN_INLINE
Vec<double> times_pow2(Vec<double> v, Vec<double> n) {
    return __builtin_ia32_scalefpd512_mask(v, n, v, 0xff, kCurrentRounding);
}
PYRNN_INLINE
Vec<float> reciprocal_estimate(Vec<float> v) { return __builtin_ia32_rcp14ps512_mask(v, v, 0xffff); }
#else
PYRNN_INLINE
Vec<float> pow2(IVec<float> n) { return (Vec<float>)((n + 127) << 23); }
PYRNN_INLINE
Vec<double> pow2(IVec<double> n) { return (Vec<double>)((n + 1023) << 52); }
// In two steps, so that subnormal results and overflow are right.
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
#endif
#if PYRNN_AVX512 || PYRNN_AVX2
PYRNN_INLINE
Vec<float> at_most(Vec<float> v, float limit) { return smaller(splat(limit), v); }
PYRNN_INLINE
Vec<float> at_least(Vec<float> v, float limit) { return larger(splat(limit), v); }
#else
PYRNN_INLINE
Vec<float> at_most(Vec<float> v, float limit) { return v > limit ? splat(limit) : v; }
PYRNN_INLINE
Vec<float> at_least(Vec<float> v, float limit) { return v < limit ? splat(limit) : v; }
#endif
PYRNN_INLINE
Vec<double> at_most(Vec<double> v, double limit) { return v > limit ? splat(limit) : v; }
PYRNN_INLINE
Vec<double> at_least(Vec<double> v, double limit) { return v < limit ? splat(limit) : v; }

// table[i mod P] for each lane, where a permutation reads a table of P floats in a register, at a fourth of the cost of
// a multiply-add next to others. PYRNN_LOOKUP is P, or 0 where there is no such permutation.
#if PYRNN_AVX512
#define PYRNN_LOOKUP 16
#elif PYRNN_AVX2
#define PYRNN_LOOKUP 8
#else
#define PYRNN_LOOKUP 0
#endif
#if PYRNN_LOOKUP
PYRNN_INLINE
Vec<float> look_up(const float* table, IVec<float> i) { return permute(load(table), i); }
#endif
PYRNN_INLINE
Vec<float> absolute(Vec<float> v) { return from_bits<float>(bits_of<float>(v) & 0x7fffffff); }
PYRNN_INLINE
Vec<float> with_sign(Vec<float> v, Vec<float> sign) {  // v >= 0
    return from_bits<float>(bits_of<float>(v) | (bits_of<float>(sign) & static_cast<std::int32_t>(0x80000000)));
}

// N vectors that a formula processes together, operation by operation. One vector's operations wait for each other, and
// a core's scheduler holds fewer than a hundred instructions: one vector after the other would leave the ports of the
// multiply-adds idle for a quarter of the time.
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

// a, but not to Clang, which computes a product once, and rounds it, where two fused multiply-adds contain it.
template <class T, int N>
PYRNN_INLINE
Several<T, N> distinct(const Several<T, N>& a) {
#if defined(__clang__)
    return rounded(a);
#else
    return a;
#endif
}

// a / b and 1 / b to 1 ULP for |b| in 2^-126 .. 2^126; beyond, 1 / b may be 0. AVX-512 estimates and corrects: Intel's
// cores divide 16 floats in 16 cycles.
#if PYRNN_AVX512
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

// The first, or last, halves of a and b, element by element in turns.
#if defined(__clang__)
#define PYRNN_SHUFFLED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PYRNN_SHUFFLED(a, b, ...) __builtin_shuffle(a, b, IVec<T>{__VA_ARGS__})
#endif
template <class T>
PYRNN_INLINE
Vec<T> first_in_turns(Vec<T> a, Vec<T> b) {
    if constexpr (kLanes<T> == 2) return PYRNN_SHUFFLED(a, b, 0, 2);
    else if constexpr (kLanes<T> == 4) return PYRNN_SHUFFLED(a, b, 0, 4, 1, 5);
    else if constexpr (kLanes<T> == 8) return PYRNN_SHUFFLED(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    else return PYRNN_SHUFFLED(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
template <class T>
PYRNN_INLINE
Vec<T> last_in_turns(Vec<T> a, Vec<T> b) {
    if constexpr (kLanes<T> == 2) return PYRNN_SHUFFLED(a, b, 1, 3);
    else if constexpr (kLanes<T> == 4) return PYRNN_SHUFFLED(a, b, 2, 6, 3, 7);
    else if constexpr (kLanes<T> == 8) return PYRNN_SHUFFLED(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    else return PYRNN_SHUFFLED(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
#undef PYRNN_SHUFFLED

// Transposes P vectors: lane j of vector i and lane i of vector j change places.
template <class T>
PYRNN_INLINE
void transpose(Vec<T> (&v)[kLanes<T>]) {
    constexpr int kP = kLanes<T>;
#pragma GCC unroll 4
    for (int round = 1; round < kP; round *= 2) {
        Vec<T> mixed[kP];
#pragma GCC unroll 8
        for (int i = 0; i < kP / 2; ++i) {
            mixed[2 * i] = first_in_turns<T>(v[i], v[i + kP / 2]);
            mixed[2 * i + 1] = last_in_turns<T>(v[i], v[i + kP / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < kP; ++i) v[i] = mixed[i];
    }
}

// Lane i is f over all lanes of v[i]. Overwrites v.
template <class T, class F>
PYRNN_INLINE
Vec<T> joined_lanes(Vec<T> (&v)[kLanes<T>], F f) {
#pragma GCC unroll 4
    for (int half = kLanes<T> / 2; half > 0; half /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < half; ++i)
            v[i] = f(first_in_turns<T>(v[i], v[i + half]), last_in_turns<T>(v[i], v[i + half]));
    return v[0];
}

// The sum of the first n lanes.
template <class T>
PYRNN_INLINE
T sum_of(Vec<T> v, Index n = kLanes<T>) {
    T sum = 0;
    for (Index i = 0; i < kLanes<T> && i < n; ++i) sum += v[i];
    return sum;
}

// Calls f(first, lanes) for each vector of a row: full ones, then the rest.
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
