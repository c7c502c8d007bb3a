// The micro-kernel: tiles of accumulators in registers, from which every matrix product is made.
//
// A tile is R rows x N vectors of columns held in registers:
//
//        panel 0      panel 1            panels[blk][k][P]: one vector a k, blocks K * P apart
//     +------------+------------+
//   r | acc[r][0]  | acc[r][1]  |   += a[r][k] * panel[k]      (a broadcast of a, one fused multiply-add)
//     +------------+------------+
//
// Every result is the same chain of multiply-adds over k whatever the tile, so rows give the same bits in any blocking.
#pragma once

#include "activations.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

// Rows of the tallest tile of kCols columns. With 32 registers: 14 x 2, 8 x 3, 6 x 4, which leave room for the weights
// and a broadcast, and 16 x 1, whose broadcasts fill both load ports. With 16 registers: 12 x 1, 6 x 2, 3 x 4. Larger
// ones spill.
template <int kCols>
constexpr int kTileRows = PYRNN_TILE_ROWS == 8 ? (kCols == 1   ? 16
                                                  : kCols == 2 ? 14
                                                  : kCols == 3 ? 8
                                                  : kCols == 4 ? 6
                                                               : 16 / kCols)
                                               : (PYRNN_TILE_ROWS * 2 / kCols > 0 ? PYRNN_TILE_ROWS * 2 / kCols : 1);

template <class T>
PYRNN_INLINE
Index blocks_of(Index n) { return (n + kLanes<T> - 1) / kLanes<T>; }

// Whether this object has tiles of every height and loops of their own for frequent cases (cmake/isas.cmake); without
// them it takes a third of the time to compile.
constexpr bool kEveryTile = PYRNN_EVERY_TILE;

// Memory that each k asks L2 for, `step` elements further each time.
template <class T>
struct Ahead {
    const T* at;
    Index step;
};

// acc[r][b * kVectors + kFirst + g] += a[r][k] * panel[b][k][g] over k, for kBlocks blocks and kCount vectors g of
// each; the vectors of k are k_stride apart (kCount * P if the panel holds no others).
//
// With kAhead each k asks L2 for weights of a later tile and moves on by ahead.step elements; with 2 for other memory
// too.
//
// The rows of a are addressed from one pointer for every four: lda, 2 lda and 3 lda fit x86's addressing modes, while a
// register for each of 16 rows would not fit and spill into vector registers.
template <int kVectors, int kFirst, int kCount, int kAhead = 0, class T, int kRows, int kCols>
PYRNN_INLINE
void accumulate(Vec<T> (&acc)[kRows][kCols], const T* a, Index lda, const T* panel, Index block_stride, Index k_stride,
                Index k_count, Ahead<T> ahead = {}, Ahead<T> other = {}) {
    constexpr int kBlocks = kCols / kVectors, kGroups = (kRows + 3) / 4;
    const T* group[kGroups];
#pragma GCC unroll 4
    for (int i = 0; i < kGroups; ++i) group[i] = a + 4 * i * lda;
    const Index lda3 = 3 * lda;
    for (Index k = 0; k < k_count; ++k, panel += k_stride) {
        if constexpr (kAhead > 0) {
            __builtin_prefetch(ahead.at, 0, 2);
            ahead.at += ahead.step;
        }
        if constexpr (kAhead > 1) {
            __builtin_prefetch(other.at, 0, 2);
            other.at += other.step;
        }
        Vec<T> w[kBlocks * kCount];
#pragma GCC unroll 8
        for (int b = 0; b < kBlocks; ++b)
#pragma GCC unroll 4
            for (int g = 0; g < kCount; ++g) w[b * kCount + g] = load(panel + b * block_stride + g * kLanes<T>);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
            const T* row = group[r / 4];
            const T value = r % 4 == 0 ? row[0] : r % 4 == 1 ? row[lda] : r % 4 == 2 ? row[2 * lda] : row[lda3];
#pragma GCC unroll 8
            for (int b = 0; b < kBlocks; ++b)
#pragma GCC unroll 4
                for (int g = 0; g < kCount; ++g) acc[r][b * kVectors + kFirst + g] += value * w[b * kCount + g];
        }
#pragma GCC unroll 4
        for (int i = 0; i < kGroups; ++i) ++group[i];
    }
}

template <class T, int kRows, int kCols>
PYRNN_INLINE
void start(Vec<T> (&acc)[kRows][kCols], const T* bias) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
        for (int c = 0; c < kCols; ++c) acc[r][c] = bias ? load(bias + c * kLanes<T>) : Vec<T>{};
}

// Writes the first `n` columns of the tile.
template <class T, int kRows, int kCols>
PYRNN_INLINE
void write(const Vec<T> (&acc)[kRows][kCols], T* y, Index ldy, Index n) {
    if (n >= kCols * kLanes<T>) {
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
            for (int c = 0; c < kCols; ++c) store(y + r * ldy + c * kLanes<T>, acc[r][c]);
        return;
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
        for (int c = 0; c < kCols; ++c) store_partial(y + r * ldy + c * kLanes<T>, acc[r][c], n - c * kLanes<T>);
}

template <class T, int kRows, int kCols>
PYRNN_INLINE
void add_existing(Vec<T> (&acc)[kRows][kCols], const T* y, Index ldy, Index n) {
    if (n >= kCols * kLanes<T>) {
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
            for (int c = 0; c < kCols; ++c) acc[r][c] += load(y + r * ldy + c * kLanes<T>);
        return;
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
        for (int c = 0; c < kCols; ++c) acc[r][c] += load_partial(y + r * ldy + c * kLanes<T>, n - c * kLanes<T>);
}

// Calls f.tile<R>(row) over `rows` where R is a power of two, at most kRows: any, or 8, 4 and 1.
template <int kRows, class F>
PYRNN_INLINE
void for_few_tiles(Index rows, F& f, Index row = 0) {
    constexpr int kHeight = kRows >= 16 && kEveryTile ? 16 : kRows >= 8 ? 8 : kRows >= 4 ? 4 : kRows >= 2 ? 2 : 1;
    for (; row + kHeight <= rows; row += kHeight) f.template tile<kHeight>(row);
    if constexpr (kHeight > 1) for_few_tiles<(kEveryTile || kHeight == 8 ? kHeight / 2 : 1)>(rows, f, row);
}

// Calls f.tile<R>(row) over `rows` in tiles of nearly equal height, at most kRows: no short tile at the end, since a
// tile costs some 60 cycles more than its sums. kStep > 1: heights are multiples of it except in the last rows, which
// keeps code small.
template <int kRows, int kStep, class F>
PYRNN_INLINE
void tile_of(Index height, Index row, F& f) {
    if constexpr (kRows > kStep) {
        if (height < kRows) return tile_of<kRows - kStep, kStep>(height, row, f);
    }
    f.template tile<kRows>(row);
    if constexpr (kStep > 1)
        for (row += kRows, height -= kRows; height > 0; --height, ++row) f.template tile<1>(row);
}
template <int kRows, int kStep, class F>
PYRNN_INLINE
void for_equal_tiles(Index rows, F& f) {
    if constexpr (kStep > 1) {
        if (rows < kStep) {
            for (Index row = 0; row < rows; ++row) f.template tile<1>(row);
            return;
        }
    }
    const Index tiles = (rows + kRows - 1) / kRows;
    Index first = 0;
    for (Index t = 1; t <= tiles; ++t) {
        const Index end = t == tiles ? rows : (t * rows / tiles + kStep - 1) / kStep * kStep;
        tile_of<kRows, kStep>(end - first, first, f);
        first = end;
    }
}
template <int kRows, int kStep = 1, class F>
PYRNN_INLINE
void for_row_tiles(Index rows, F& f) {
    if constexpr (kEveryTile) for_equal_tiles<kRows, kStep>(rows, f);
    else for_few_tiles<kRows>(rows, f);
}
// Tiles of at most kRows rows, of even height where they are not short anyway (tall ones share rows so that none is
// left with less than two).
template <int kRows, class F>
PYRNN_INLINE
void for_even_tiles(Index rows, F& f) { for_row_tiles<kRows, (kRows % 2 == 0 && kRows > 2 ? 2 : 1)>(rows, f); }

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
