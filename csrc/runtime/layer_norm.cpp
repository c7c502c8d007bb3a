// Layer normalization in blocks of a fixed number of rows, so that the sums of the weights' gradients have the same
// bits at any number of threads.
#include <algorithm>
#include <cstring>

#include "dispatch.hpp"
#include "operations.hpp"
#include "parallel.hpp"

namespace pyrnn {
namespace {

// Rows of n numbers in a block: some microseconds' work.
Index block_rows(Index n) {
    constexpr Index kBlockNumbers = Index{1} << 14, kFewest = 16, kMost = 256;
    return std::clamp(kBlockNumbers / (n > 0 ? n : 1), kFewest, kMost);
}

// Calls f(block, first row, rows) for every block of `rows` rows of n numbers.
template <class F>
void in_blocks(Index rows, Index n, F f) {
    const Index each = block_rows(n);
    parallel_for((rows + each - 1) / each, [&](Index block) {
        const Index first = block * each;
        f(block, first, rows - first < each ? rows - first : each);
    });
}

template <class T>
T* from(T* array, Index at) {
    return array ? array + at : nullptr;
}

}  // namespace

template <class T>
void layer_norm_forward(const LayerNorm<T>& p, const T* x, T* y, T* normal, T* factor) {
    in_blocks(p.rows, p.features, [&](Index, Index first, Index rows) {
        const Index at = first * p.features;
        kernels<T>().layer_norm(x + at, p.gamma, p.beta, y + at, from(normal, at), from(factor, first), rows,
                                p.features, p.epsilon);
    });
}

template <class T>
void layer_norm_backward(const LayerNorm<T>& p, const T* dy, const T* normal, const T* factor, T* dx, T* d_gamma,
                         T* d_beta) {
    const Index n = p.features, blocks = (p.rows + block_rows(n) - 1) / block_rows(n);
    // d_gamma and d_beta of each block, one after the other.
    T* const sums = thread_scratch<T, ThreadUse::kSums>(2 * blocks * n);
    std::memset(sums, 0, static_cast<std::size_t>(2 * blocks * n) * sizeof(T));
    in_blocks(p.rows, n, [&](Index block, Index first, Index rows) {
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
