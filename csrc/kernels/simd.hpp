// Vectors of one ISA, by the vector extensions of GCC and Clang. Compiled once per ISA; PYRNN_VECTOR_BYTES sets the width.
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
};
template <>
struct VecOf<double> {
    typedef double V __attribute__((vector_size(PYRNN_VECTOR_BYTES)));
    typedef std::int64_t I __attribute__((vector_size(PYRNN_VECTOR_BYTES)));
};
template <class T>
using Vec = typename VecOf<T>::V;
template <class T>
using IVec = typename VecOf<T>::I;
template <class T>
constexpr Index kLanes = PYRNN_VECTOR_BYTES / sizeof(T);

template <class T>
PYRNN_INLINE Vec<T> load(const T* p) {
    Vec<T> v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
template <class T>
PYRNN_INLINE void store(T* p, Vec<T> v) {
    std::memcpy(p, &v, sizeof v);
}
// The first n lanes (0 < n < P).
template <class T>
PYRNN_INLINE void store_partial(T* p, Vec<T> v, Index n) {
    for (Index i = 0; i < n; ++i) p[i] = v[i];
}
template <class T>
PYRNN_INLINE Vec<T> load_partial(const T* p, Index n) {
    Vec<T> v = {};
    for (Index i = 0; i < n; ++i) v[i] = p[i];
    return v;
}
template <class T>
PYRNN_INLINE Vec<T> splat(T x) {
    return x - Vec<T>{};  // keeps the sign of -0.0
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
