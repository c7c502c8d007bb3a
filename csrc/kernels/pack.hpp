// Packing of weights into panels, and sums of rows.
#pragma once

#include "tile.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

// P rows of `count` elements, of which the first `rows` exist, to `count` vectors with a lane for each row.
template <bool kWhole, class T>
PYRNN_INLINE
void pack_square(T* panels, const T* from, Index stride, Index rows, Index count) {
    constexpr int kP = kLanes<T>;
    Vec<T> v[kP];
#pragma GCC unroll 16
    for (int i = 0; i < kP; ++i)
        v[i] = kWhole ? load(from + i * stride) : i < rows ? load_partial(from + i * stride, count) : Vec<T>{};
    transpose<T>(v);
#pragma GCC unroll 16
    for (int i = 0; i < kP; ++i)
        if (kWhole || i < count) store(panels + i * kP, v[i]);
}

// A matrix whose rows are contiguous: kBlocks vectors of each row at a time.
template <int kBlocks, class T>
PYRNN_INLINE
void pack_rows(T* panels, const T* w, Index k_count, Index n, Index stride) {
    constexpr Index kP = kLanes<T>;
    for (Index k = 0; k < k_count; ++k)
#pragma GCC unroll 8
        for (int b = 0; b < kBlocks; ++b)
            store(panels + (b * k_count + k) * kP, some(w + k * stride + b * kP, n - b * kP < kP ? n - b * kP : kP));
}

template <class T>
void pack(T* panels, const T* w, Index k_count, Index n, Index stride_k, Index stride_n) {
    constexpr Index kP = kLanes<T>;
    constexpr int kBlocks = 4;
    Index column = 0;
    if (stride_n == 1)
        for (; column + kBlocks * kP <= n; column += kBlocks * kP, panels += k_count * kBlocks * kP)
            pack_rows<kBlocks>(panels, w + column, k_count, kBlocks * kP, stride_k);
    for (; column < n; column += kP, panels += k_count * kP) {
        const Index lanes = column + kP < n ? kP : n - column;
        const T* from = w + column * stride_n;
        if (stride_n == 1) {
            pack_rows<1>(panels, from, k_count, lanes, stride_k);
        } else if (stride_k == 1) {
            for (Index k = 0; k < k_count; k += kP) {
                const Index count = k + kP < k_count ? kP : k_count - k;
                if (lanes == kP && count == kP) pack_square<true>(panels + k * kP, from + k, stride_n, kP, kP);
                else pack_square<false>(panels + k * kP, from + k, stride_n, lanes, count);
            }
        } else {
            for (Index k = 0; k < k_count; ++k)
                for (Index lane = 0; lane < kP; ++lane)
                    panels[k * kP + lane] = lane < lanes ? from[k * stride_k + lane * stride_n] : T(0);
        }
    }
}

template <class T>
void pack_gates(T* panels, const T* w, Index rows, Index units, Index gates, Index shift, Index count) {
    constexpr Index kP = kLanes<T>;
    for (Index first = 0; first < units; first += kP)
        for (Index row = 0; row < rows; ++row)
            for (Index g = 0; g < count; ++g, panels += kP) {
                const T* from = w + (row * gates + (g + shift) % gates) * units + first;
                if (first + kP <= units) store(panels, load(from));
                else store(panels, load_partial(from, units - first));
            }
}

template <class T>
void pack_gates_t(T* panels, const T* w, Index rows, Index units, Index gates, Index shift, Index count) {
    constexpr Index kP = kLanes<T>;
    for (Index row = 0; row < rows; row += kP) {
        const Index lanes = row + kP < rows ? kP : rows - row;
        for (Index first = 0; first < units; first += kP)
            for (Index g = 0; g < count; ++g, panels += kP * kP) {
                const T* from = w + (row * gates + (g + shift) % gates) * units + first;
                const Index stride = gates * units, vectors = first + kP < units ? kP : units - first;
                if (lanes == kP && vectors == kP) {
                    pack_square<true>(panels, from, stride, kP, kP);
                    continue;
                }
                pack_square<false>(panels, from, stride, lanes, vectors);
                for (Index u = vectors; u < kP; ++u) store(panels + u * kP, Vec<T>{});
            }
    }
}

// Adds rows to kCols vectors of sums, in chains that are joined at the end. The number of chains is the same for every
// kCols, so that the bits do not depend on how columns are split.
template <int kCols, class T>
PYRNN_INLINE
void add_columns(T* sum, const T* rows, Index ld, Index count, Index sequence, Index sequences) {
    constexpr int kChains = 4;
    Vec<T> acc[kChains][kCols] = {};
    for (Index s = 0; s < sequences; ++s, rows += sequence) {
        Index r = 0;
        for (; r + kChains <= count; r += kChains)
#pragma GCC unroll 8
            for (int chain = 0; chain < kChains; ++chain)
#pragma GCC unroll 8
                for (int c = 0; c < kCols; ++c) acc[chain][c] += load(rows + (r + chain) * ld + c * kLanes<T>);
        for (; r < count; ++r)
#pragma GCC unroll 8
            for (int c = 0; c < kCols; ++c) acc[0][c] += load(rows + r * ld + c * kLanes<T>);
    }
#pragma GCC unroll 8
    for (int c = 0; c < kCols; ++c) {
        Vec<T> total = acc[0][c];
#pragma GCC unroll 8
        for (int chain = 1; chain < kChains; ++chain) total += acc[chain][c];
        store(sum + c * kLanes<T>, load(sum + c * kLanes<T>) + total);
    }
}

template <class T>
void add_rows(T* sum, const T* rows, Index ld, Index count, Index sequence, Index sequences, Index np) {
    Index i = 0;
    for (; i + 4 * kLanes<T> <= np; i += 4 * kLanes<T>)
        add_columns<4>(sum + i, rows + i, ld, count, sequence, sequences);
    for (; i + 2 * kLanes<T> <= np; i += 2 * kLanes<T>)
        add_columns<2>(sum + i, rows + i, ld, count, sequence, sequences);
    for (; i < np; i += kLanes<T>) add_columns<1>(sum + i, rows + i, ld, count, sequence, sequences);
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
