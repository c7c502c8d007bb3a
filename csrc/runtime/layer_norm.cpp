// Layer normalization in blocks of a fixed number of rows, so that the sums of the weights' gradients have the same
// bits at any number of threads.
#include <cstring>

#include "dispatch.hpp"
#include "operations.hpp"
#include "parallel.hpp"

namespace pyrnn {
namespace {

constexpr Index kBlockRows = 256;

// Calls f(block, first row, rows) for every block of `rows`.
template <class F>
void in_blocks(Index rows, F f) {
    parallel_for((rows + kBlockRows - 1) / kBlockRows, [&](Index block) {
        const Index first = block * kBlockRows;
        f(block, first, rows - first < kBlockRows ? rows - first : kBlockRows);
    });
}

template <class T>
T* from(T* array, Index at) {
    return array ? array + at : nullptr;
}

}  // namespace

template <class T>
void layer_norm_forward(const LayerNorm<T>& p, const T* x, T* y, T* normal, T* factor) {
    in_blocks(p.rows, [&](Index, Index first, Index rows) {
        const Index at = first * p.features;
        kernels<T>().layer_norm(x + at, p.gamma, p.beta, y + at, from(normal, at), from(factor, first), rows,
                                p.features, p.epsilon);
    });
}

template <class T>
void layer_norm_backward(const LayerNorm<T>& p, const T* dy, const T* normal, const T* factor, T* dx, T* d_gamma,
                         T* d_beta) {
    const Index n = p.features, blocks = (p.rows + kBlockRows - 1) / kBlockRows;
    // d_gamma and d_beta of each block, one after the other.
    T* const sums = thread_scratch<T, ThreadUse::kSums>(2 * blocks * n);
    std::memset(sums, 0, static_cast<std::size_t>(2 * blocks * n) * sizeof(T));
    in_blocks(p.rows, [&](Index block, Index first, Index rows) {
        const Index at = first * n;
        T* const partial = sums + 2 * block * n;
        kernels<T>().layer_norm_backward(dy + at, normal + at, factor + first, p.gamma, from(dx, at),
                                         d_gamma ? partial : nullptr, d_beta ? partial + n : nullptr, rows, n);
    });
    for (T* const total : {d_gamma, d_beta}) {
        if (!total) continue;
        const T* partial = total == d_gamma ? sums : sums + n;
        std::memset(total, 0, static_cast<std::size_t>(n) * sizeof(T));
        for (Index block = 0; block < blocks; ++block, partial += 2 * n)
            for (Index i = 0; i < n; ++i) total[i] += partial[i];
    }
}

#define PYRNN_INSTANTIATE(T)                                                     \
    template void layer_norm_forward(const LayerNorm<T>&, const T*, T*, T*, T*); \
    template void layer_norm_backward(const LayerNorm<T>&, const T*, const T*, const T*, T*, T*, T*);
PYRNN_INSTANTIATE(float)
PYRNN_INSTANTIATE(double)
#undef PYRNN_INSTANTIATE

}  // namespace pyrnn
