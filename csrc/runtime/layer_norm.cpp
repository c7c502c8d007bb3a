// Layer normalization: rows in pieces of a fixed size, so that the sums of the weights' gradients keep their bits.
#include <cstring>

#include "dispatch.hpp"
#include "operations.hpp"
#include "parallel.hpp"

namespace pyrnn {
namespace {

constexpr Index kPieceRows = 256;

// Calls f(piece, first row, rows) for every piece of `rows`.
template <class F>
void in_pieces(Index rows, F f) {
    parallel_for((rows + kPieceRows - 1) / kPieceRows, [&](Index piece) {
        const Index first = piece * kPieceRows;
        f(piece, first, rows - first < kPieceRows ? rows - first : kPieceRows);
    });
}

template <class T>
T* from(T* array, Index at) {
    return array ? array + at : nullptr;
}

}  // namespace

template <class T>
void layer_norm_forward(const LayerNorm<T>& p, const T* x, T* y, T* normal, T* factor) {
    in_pieces(p.rows, [&](Index, Index first, Index rows) {
        const Index at = first * p.features;
        kernels<T>().layer_norm(x + at, p.gamma, p.beta, y + at, from(normal, at), from(factor, first), rows,
                                p.features, p.epsilon);
    });
}

template <class T>
void layer_norm_backward(const LayerNorm<T>& p, const T* dy, const T* normal, const T* factor, T* dx, T* d_gamma,
                         T* d_beta) {
    const Index n = p.features, pieces = (p.rows + kPieceRows - 1) / kPieceRows;
    // d_gamma and d_beta of each piece, side by side.
    T* const sums = thread_scratch<T, ThreadUse::kSums>(2 * pieces * n);
    std::memset(sums, 0, static_cast<std::size_t>(2 * pieces * n) * sizeof(T));
    in_pieces(p.rows, [&](Index piece, Index first, Index rows) {
        const Index at = first * n;
        T* const own = sums + 2 * piece * n;
        kernels<T>().layer_norm_backward(dy + at, normal + at, factor + first, p.gamma, from(dx, at),
                                         d_gamma ? own : nullptr, d_beta ? own + n : nullptr, rows, n);
    });
    for (T* const total : {d_gamma, d_beta}) {
        if (!total) continue;
        const T* part = total == d_gamma ? sums : sums + n;
        std::memset(total, 0, static_cast<std::size_t>(n) * sizeof(T));
        for (Index piece = 0; piece < pieces; ++piece, part += 2 * n)
            for (Index i = 0; i < n; ++i) total[i] += part[i];
    }
}

#define PYRNN_INSTANTIATE(T)                                                     \
    template void layer_norm_forward(const LayerNorm<T>&, const T*, T*, T*, T*); \
    template void layer_norm_backward(const LayerNorm<T>&, const T*, const T*, const T*, T*, T*, T*);
PYRNN_INSTANTIATE(float)
PYRNN_INSTANTIATE(double)
#undef PYRNN_INSTANTIATE

}  // namespace pyrnn
