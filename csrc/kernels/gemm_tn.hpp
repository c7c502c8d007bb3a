// The product of weight gradients, C += A^T B: a sum over batch rows and steps.
#pragma once

#include "tile.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

// Calls f(k, address of the operand's row first + k) for `count` rows.
template <class T, class F>
PYRNN_INLINE
void for_rows(const T* from, Index ld, Index sequence_stride, Index rows, Index first, Index count, F f) {
    Index at = first % rows;
    from += first / rows * sequence_stride + at * ld;
    const Index next_sequence = sequence_stride - (rows - 1) * ld;
    for (Index k = 0; k < count; ++k) {
        f(k, from);
        if (++at == rows) at = 0, from += next_sequence;
        else from += ld;
    }
}

// Rank-1 updates into registers: the summed index is the slowest of both operands, so nothing is transposed. The tile's
// elements of C are prefetched before the sum and added to after it, so they arrive in the meantime.
//
// The kCols vectors of a tile are b_step apart in a row of B and c_step in C. If C has many rows, kGemmTnRows rows of A
// are first copied into columns as wide as a tile is tall, and B's columns, if its rows are wide, into one contiguous
// array: rows a power of two apart compete for few sets of L1.
//
// The copy for the tile of C's rows [row, row + height) starts at row * copy_pitch(count), its rows `height` apart. The
// gap after it takes what vectors write beyond the last row, and keeps copies from being a power of two apart.
constexpr Index copy_pitch(Index count) { return count + kGemmTnGap; }

template <class T, int kCols>
struct GemmTnColumns {
    const GemmTn<T>& p;
    Index first, count;  // rows [first, first + count) of all
    const T* b;          // the tile's first vector in B's first row
    Index b_step;
    const T *a_copies, *b_copy;  // or null
    T* c;
    Index c_step;
    const T* next;  // the first vector of the next columns, or null

    template <int kRows>
    PYRNN_INLINE
    static void sum(Vec<T> (&acc)[kRows][kCols], const T* a, Index lda, const T* b, Index ldb, Index b_step, Index n) {
        for (Index k = 0; k < n; ++k, a += lda, b += ldb) {
            Vec<T> v[kCols];
#pragma GCC unroll 4
            for (int j = 0; j < kCols; ++j) v[j] = load(b + j * b_step);
#pragma GCC unroll 16
            for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
                for (int j = 0; j < kCols; ++j) acc[r][j] += a[r] * v[j];
        }
    }

    // Each tile prefetches the next columns of its fraction of rows.
    PYRNN_INLINE
    void prefetch_next(Index from, Index to) const {
        for_rows(next, p.ldb, p.b_sequence, p.rows, first + from, to - from, [&](Index, const T* row) {
#pragma GCC unroll 4
            for (int j = 0; j < kCols; ++j) __builtin_prefetch(row + j * b_step, 0, 2);
        });
    }

    template <int kRows>
    void tile(Index row) {
        Vec<T> acc[kRows][kCols];
        T* out = c + row * p.ldc;
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
            for (int j = 0; j < kCols; ++j) {
                acc[r][j] = Vec<T>{};
                __builtin_prefetch(out + r * p.ldc + j * c_step, 1);
            }
        if (next) prefetch_next(row * count / p.m, (row + kRows) * count / p.m);
        if (b_copy) {
            sum(acc, a_copies + row * copy_pitch(count), kRows, b_copy, kCols * kLanes<T>, kLanes<T>, count);
        } else {
            Index sequence = first / p.rows, at = first % p.rows;
            for (Index done = 0; done < count; ++sequence, at = 0) {
                const Index n = p.rows - at < count - done ? p.rows - at : count - done;
                const T* from = p.a + sequence * p.a_sequence + at * p.lda + row;
                if (a_copies) from = a_copies + row * copy_pitch(count) + done * kRows;
                sum(acc, from, a_copies ? kRows : p.lda, b + sequence * p.b_sequence + at * p.ldb, p.ldb, b_step, n);
                done += n;
            }
        }
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
            for (int j = 0; j < kCols; ++j) {
                T* to = out + r * p.ldc + j * c_step;
                store(to, load(to) + acc[r][j]);
            }
    }
};

// From this many rows, and vectors of columns, of C the copies pay.
constexpr Index kCopyRows = 64, kCopyVectors = 16;

// A tile is as tall as the registers allow next to B's vectors and one of A: with 16 registers 12 x 1, 6 x 2 and 4 x 3.
template <int kCols>
constexpr int kTnRows = PYRNN_TILE_ROWS != 8 ? 12 / kCols
                        : kCols == 1         ? 16
                        : kCols == 2         ? 14
                                             : 8;

// Copies `count` rows of A, each split between the copies of all tiles. Several at a time, because finding a tile's
// height takes longer than copying a row of it.
constexpr Index kRowsTogether = 8;
template <class T>
struct RowCopies {
    const GemmTn<T>& p;
    Index pitch, k, count;
    const T* from[kRowsTogether];
    template <int kHeight>
    void tile(Index row) {
        constexpr int kVectors = (kHeight + kLanes<T> - 1) / kLanes<T>;
        T* to = p.scratch + row * pitch + k * kHeight;
        if (row + kVectors * kLanes<T> <= p.m) {  // whole vectors: the next row overwrites the excess
            for (Index i = 0; i < count; ++i, to += kHeight)
#pragma GCC unroll 16
                for (int v = 0; v < kVectors; ++v) store(to + v * kLanes<T>, load(from[i] + row + v * kLanes<T>));
        } else {
            for (Index i = 0; i < count; ++i, to += kHeight)
                for (int r = 0; r < kHeight; ++r) to[r] = from[i][row + r];
        }
    }
};
template <int kRows, class T>
PYRNN_INLINE
void copy_rows_of_a(const GemmTn<T>& p, Index first, Index count) {
    constexpr Index kRowsAhead = 4;
    RowCopies<T> copies{p, copy_pitch(count), 0, 0, {}};
    for_rows(p.a, p.lda, p.a_sequence, p.rows, first, count, [&](Index k, const T* from) {
        for (Index i = 0; i < p.m; i += kLanes<T>) __builtin_prefetch(from + kRowsAhead * p.lda + i);
        copies.from[copies.count++] = from;
        if (copies.count < kRowsTogether && k + 1 < count) return;
        for_row_tiles<kRows>(p.m, copies);
        copies.k = k + 1, copies.count = 0;
    });
}

template <class T, int kCols>
PYRNN_INLINE
void gemm_tn_columns(const GemmTn<T>& p, Index first, Index count, bool copies, Index in, Index b_step, Index next,
                     Index out, Index c_step) {
    constexpr Index kNarrow = 4;
    const bool b_copied = copies && p.ldb > kNarrow * kLanes<T>;
    T copy[kGemmTnRows * kCols * kLanes<T>];
    if (b_copied)
        for_rows(p.b + in, p.ldb, p.b_sequence, p.rows, first, count, [&](Index k, const T* from) {
#pragma GCC unroll 4
            for (int j = 0; j < kCols; ++j) store(copy + (k * kCols + j) * kLanes<T>, load(from + j * b_step));
        });
    GemmTnColumns<T, kCols> columns{p,
                                    first,
                                    count,
                                    p.b + in,
                                    b_step,
                                    copies ? p.scratch : nullptr,
                                    b_copied ? copy : nullptr,
                                    p.c + out,
                                    c_step,
                                    copies ? p.b + next : nullptr};
    for_row_tiles<kTnRows<kCols>>(p.m, columns);
}

template <class T>
void gemm_tn(const GemmTn<T>& p) {
    constexpr Index kP = kLanes<T>;
    const Index total = p.sequences * p.rows;
    const bool copies = p.m >= kCopyRows && p.ranges * p.width >= kCopyVectors * kP, threes = p.width == 3 * kP,
               ones = p.width == kP;
    for (Index first = 0; first < total; first += kGemmTnRows) {
        if (p.interrupted && p.interrupted()) return;
        const Index count = first + kGemmTnRows < total ? kGemmTnRows : total - first;
        if (copies && threes) copy_rows_of_a<kTnRows<3>>(p, first, count);
        else if (copies) copy_rows_of_a<kTnRows<2>>(p, first, count);
        Index range = 0;
        if (ones)  // two ranges make a tile
            for (; range + 2 <= p.ranges; range += 2)
                gemm_tn_columns<T, 2>(p, first, count, copies, range * p.range_offset, p.range_offset,
                                      (range + 2) * p.range_offset, range * p.c_offset, p.c_offset);
        for (; range < p.ranges; ++range) {
            const Index in = range * p.range_offset, out = range * p.c_offset;
            if (threes) {
                gemm_tn_columns<T, 3>(p, first, count, copies, in, kP, in + p.range_offset, out, kP);
                continue;
            }
            Index column = 0;
            for (; column + 2 * kP <= p.width; column += 2 * kP) {
                const Index next = column + 4 * kP <= p.width ? in + column + 2 * kP : in + p.range_offset;
                gemm_tn_columns<T, 2>(p, first, count, copies, in + column, kP, next, out + column, kP);
            }
            if (column < p.width) gemm_tn_columns<T, 1>(p, first, count, false, in + column, kP, 0, out + column, kP);
        }
    }
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
