// The micro-kernel and the two matrix products built on it.
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

// Rows of a full tile: 8 x 2 accumulators fill 32 registers, 6 x 2 fill 16.
constexpr int kTileRows = PYRNN_TILE_ROWS;

template <class T>
PYRNN_INLINE Index blocks_of(Index n) {
    return (n + kLanes<T> - 1) / kLanes<T>;
}

template <class T, int kRows, int kCols>
PYRNN_INLINE void accumulate(Vec<T> (&acc)[kRows][kCols], const T* a, Index lda, const T* panel, Index panel_stride,
                             Index k_count) {
    for (Index k = 0; k < k_count; ++k) {
        Vec<T> w[kCols];
#pragma GCC unroll 4
        for (int c = 0; c < kCols; ++c) w[c] = load(panel + c * panel_stride + k * kLanes<T>);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
            for (int c = 0; c < kCols; ++c) acc[r][c] += a[r * lda + k] * w[c];
        }
    }
}

template <class T, int kRows, int kCols>
PYRNN_INLINE void start(Vec<T> (&acc)[kRows][kCols], const T* bias) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
        for (int c = 0; c < kCols; ++c) acc[r][c] = bias ? load(bias + c * kLanes<T>) : Vec<T>{};
}

// Writes the first `n` columns of the tile.
template <class T, int kRows, int kCols>
PYRNN_INLINE void write(const Vec<T> (&acc)[kRows][kCols], T* y, Index ldy, Index n) {
    if (n >= kCols * kLanes<T>) {
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
            for (int c = 0; c < kCols; ++c) store(y + r * ldy + c * kLanes<T>, acc[r][c]);
        return;
    }
    for (int r = 0; r < kRows; ++r) {
        T row[kCols * kLanes<T>];
        for (int c = 0; c < kCols; ++c) store(row + c * kLanes<T>, acc[r][c]);
        for (Index i = 0; i < n; ++i) y[r * ldy + i] = row[i];
    }
}

template <class T, int kRows, int kCols>
PYRNN_INLINE void add_existing(Vec<T> (&acc)[kRows][kCols], const T* y, Index ldy, Index n) {
    if (n >= kCols * kLanes<T>) {
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
            for (int c = 0; c < kCols; ++c) acc[r][c] += load(y + r * ldy + c * kLanes<T>);
        return;
    }
    for (int r = 0; r < kRows; ++r) {
        T row[kCols * kLanes<T>] = {};
        for (Index i = 0; i < n; ++i) row[i] = y[r * ldy + i];
        for (int c = 0; c < kCols; ++c) acc[r][c] += load(row + c * kLanes<T>);
    }
}

// Calls f(row, std::integral rows) over `rows`, full tiles first, then one tile of what is left.
template <int kRows, class F>
PYRNN_INLINE void remainder_rows(Index row, Index left, F& f) {
    if constexpr (kRows > 0) {
        if (left == kRows) f.template tile<kRows>(row);
        else remainder_rows<kRows - 1>(row, left, f);
    }
}
template <class F>
PYRNN_INLINE void for_row_tiles(Index rows, F& f) {
    Index row = 0;
    for (; row + kTileRows <= rows; row += kTileRows) f.template tile<kTileRows>(row);
    remainder_rows<kTileRows - 1>(row, rows - row, f);
}

template <class T, int kCols>
struct GemmColumns {
    const Gemm<T>& p;
    Index block, k_all;

    template <int kRows>
    void tile(Index row) {
        const Index column = block * kLanes<T>, n = p.n - column;
        const T* panel = p.panels + block * k_all * kLanes<T>;
        Vec<T> acc[kRows][kCols];
        start(acc, p.bias ? p.bias + column : nullptr);
        for (Index s = 0; s < p.seg_count; ++s)
            accumulate(acc, p.a + row * p.lda + s * p.seg_offset, p.lda, panel + s * p.seg_len * kLanes<T>,
                       k_all * kLanes<T>, p.seg_len);
        T* y = p.y + row * p.ldy + column;
        if (p.accumulate) add_existing(acc, y, p.ldy, n);
        if (p.z) write(acc, p.z + row * p.ldy + column, p.ldy, n);
        activate_registers<T>(p.activation, acc);
        write(acc, y, p.ldy, n);
    }
};

template <class T>
void gemm(const Gemm<T>& p) {
    const Index blocks = blocks_of<T>(p.n), k_all = p.seg_count * p.seg_len;
    Index block = 0;
    for (; block + 2 <= blocks; block += 2) {
        GemmColumns<T, 2> columns{p, block, k_all};
        for_row_tiles(p.rows, columns);
    }
    if (block < blocks) {
        GemmColumns<T, 1> columns{p, block, k_all};
        for_row_tiles(p.rows, columns);
    }
    if (!fused_in_registers(p.activation)) activate(p.activation, p.y, p.ldy, p.y, p.ldy, p.rows, p.n);
}

// Rank-1 updates into registers: both operands have the summed index slowest, so nothing is transposed.
template <class T, int kCols>
struct GemmTnColumns {
    const GemmTn<T>& p;
    Index column, first, last;

    template <int kRows>
    void tile(Index row) {
        Vec<T> acc[kRows][kCols];
        T* c = p.c + row * p.ldc + column;
        for (int r = 0; r < kRows; ++r)
            for (int j = 0; j < kCols; ++j) acc[r][j] = load(c + r * p.ldc + j * kLanes<T>);
        const T* a = p.a + first * p.lda + row;
        const T* b = p.b + first * p.ldb + column;
        for (Index k = first; k < last; ++k, a += p.lda, b += p.ldb) {
            Vec<T> v[kCols];
#pragma GCC unroll 4
            for (int j = 0; j < kCols; ++j) v[j] = load(b + j * kLanes<T>);
#pragma GCC unroll 16
            for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
                for (int j = 0; j < kCols; ++j) acc[r][j] += a[r] * v[j];
            }
        }
        for (int r = 0; r < kRows; ++r)
            for (int j = 0; j < kCols; ++j) store(c + r * p.ldc + j * kLanes<T>, acc[r][j]);
    }
};

// Rows of A and B summed between two visits of a tile: keeps both operands of a chunk in L1 or L2.
constexpr Index kChunk = 128;

template <class T>
void gemm_tn(const GemmTn<T>& p) {
    const Index blocks = p.np / kLanes<T>;
    for (Index first = 0; first < p.rows; first += kChunk) {
        const Index last = first + kChunk < p.rows ? first + kChunk : p.rows;
        Index block = 0;
        for (; block + 2 <= blocks; block += 2) {
            GemmTnColumns<T, 2> columns{p, block * kLanes<T>, first, last};
            for_row_tiles(p.m, columns);
        }
        if (block < blocks) {
            GemmTnColumns<T, 1> columns{p, block * kLanes<T>, first, last};
            for_row_tiles(p.m, columns);
        }
    }
}

template <class T>
void pack(T* panels, const T* w, Index k_count, Index n, Index stride_k, Index stride_n) {
    for (Index block = 0; block < blocks_of<T>(n); ++block)
        for (Index k = 0; k < k_count; ++k)
            for (Index lane = 0; lane < kLanes<T>; ++lane, ++panels) {
                const Index column = block * kLanes<T> + lane;
                *panels = column < n ? w[k * stride_k + column * stride_n] : T(0);
            }
}

template <class T>
void add_rows(T* sum, const T* rows, Index ld, Index count, Index np) {
    for (Index r = 0; r < count; ++r, rows += ld)
        for (Index i = 0; i < np; i += kLanes<T>) store(sum + i, load(sum + i) + load(rows + i));
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
