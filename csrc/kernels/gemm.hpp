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

// Rows of the tallest tile of so many columns. With 32 registers: 14 x 2, 8 x 3, 6 x 4 beside the columns of weights and a
// broadcast, and 16 x 1, whose broadcasts fill both load ports. With 16 registers: 12 x 1, 6 x 2, 3 x 4. Larger ones spill.
template <int kCols>
constexpr int kTileRows = PYRNN_TILE_ROWS == 8 ? (kCols == 1   ? 16
                                                  : kCols == 2 ? 14
                                                  : kCols == 3 ? 8
                                                  : kCols == 4 ? 6
                                                               : 16 / kCols)
                                               : (PYRNN_TILE_ROWS * 2 / kCols > 0 ? PYRNN_TILE_ROWS * 2 / kCols : 1);

template <class T>
PYRNN_INLINE Index blocks_of(Index n) {
    return (n + kLanes<T> - 1) / kLanes<T>;
}

template <class T>
struct Ahead {
    const T* at;
    Index step;
};

// acc[r][b * kVectors + kFirst + g] += a[r][k] * panel[b][k][g] over k, for kBlocks blocks and kCount vectors g of each;
// the vectors of k stand k_stride apart (kCount * P where the panel holds no others).
//
// With kAhead each k asks L2 for weights of a later tile and moves on by ahead.step elements.
//
// The rows of a are addressed from one pointer for every four: lda, 2 lda and 3 lda fit x86's addressing modes, while a
// register for each of 16 rows would not fit and spill into vector registers.
template <int kVectors, int kFirst, int kCount, bool kAhead = false, class T, int kRows, int kCols>
PYRNN_INLINE void accumulate(Vec<T> (&acc)[kRows][kCols], const T* a, Index lda, const T* panel, Index block_stride,
                             Index k_stride, Index k_count, Ahead<T> ahead = {}) {
    constexpr int kBlocks = kCols / kVectors, kGroups = (kRows + 3) / 4;
    const T* group[kGroups];
#pragma GCC unroll 4
    for (int i = 0; i < kGroups; ++i) group[i] = a + 4 * i * lda;
    const Index lda3 = 3 * lda;
    for (Index k = 0; k < k_count; ++k, panel += k_stride) {
        if constexpr (kAhead) {
            __builtin_prefetch(ahead.at, 0, 2);
            ahead.at += ahead.step;
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
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
        for (int c = 0; c < kCols; ++c) store_partial(y + r * ldy + c * kLanes<T>, acc[r][c], n - c * kLanes<T>);
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
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
        for (int c = 0; c < kCols; ++c) acc[r][c] += load_partial(y + r * ldy + c * kLanes<T>, n - c * kLanes<T>);
}

// Calls f.tile<R>(row) over `rows` in tiles of nearly equal height, at most kRows: no short tile at the end, since a tile
// costs some 60 cycles beside its sums. kStep > 1: heights are multiples of it but for the last rows, which keeps code small.
template <int kRows, int kStep, class F>
PYRNN_INLINE void tile_of(Index height, Index row, F& f) {
    if constexpr (kRows > kStep) {
        if (height < kRows) return tile_of<kRows - kStep, kStep>(height, row, f);
    }
    f.template tile<kRows>(row);
    if constexpr (kStep > 1)
        for (row += kRows, height -= kRows; height > 0; --height, ++row) f.template tile<1>(row);
}
template <int kRows, int kStep = 1, class F>
PYRNN_INLINE void for_row_tiles(Index rows, F& f) {
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
// Tiles of at most kRows rows, of even height where they are not short anyway (tall ones share rows so that none is left with
// less than two).
template <int kRows, class F>
PYRNN_INLINE void for_even_tiles(Index rows, F& f) {
    for_row_tiles<kRows, (kRows % 2 == 0 && kRows > 2 ? 2 : 1)>(rows, f);
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
            accumulate<1, 0, 1>(acc, p.a + row * p.lda + s * p.seg_offset, p.lda, panel + s * p.seg_len * kLanes<T>,
                                k_all * kLanes<T>, kLanes<T>, p.seg_len);
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
        for_even_tiles<kTileRows<2>>(p.rows, columns);
    }
    if (block < blocks) {
        GemmColumns<T, 1> columns{p, block, k_all};
        for_even_tiles<kTileRows<1>>(p.rows, columns);
    }
    if (!fused_in_registers(p.activation)) activate(p.activation, p.y, p.ldy, p.y, p.ldy, p.rows, p.n);
}

// Calls f(row of the chunk, its address in the operand).
template <class T, class F>
PYRNN_INLINE void for_rows(const T* from, Index ld, Index sequence_stride, Index rows, Index first, Index count, F f) {
    Index sequence = first / rows, at = first % rows;
    for (Index k = 0; k < count; ++k) {
        f(k, from + sequence * sequence_stride + at * ld);
        if (++at == rows) at = 0, ++sequence;
    }
}

// Rank-1 updates into registers: both operands have the summed index slowest, so nothing is transposed. The tile's place in
// C is asked for before the sum and added to after it, so that it may come from far away meanwhile.
//
// The kCols vectors of a tile stand b_step apart in a row of B and c_step in C. Where C has many rows, a chunk of A is first
// copied into strips as wide as a tile is tall, and B's columns, if its rows are wide, into one piece: rows a power of two
// apart fight for few sets of L1.
//
// The strip for the tile of C's rows [row, row + height) starts at row * strip_pitch(count), its rows `height` apart. The gap
// behind it takes what vectors write beyond the last row, and keeps strips from standing a power of two apart.
constexpr Index strip_pitch(Index count) { return count + kGemmTnGap; }

template <class T, int kCols>
struct GemmTnColumns {
    const GemmTn<T>& p;
    Index first, count;  // rows [first, first + count) of all
    const T* b;          // the tile's first vector in B's first row
    Index b_step;
    const T *strips, *copy;  // or null
    T* c;
    Index c_step;
    const T* next;  // the first vector of the columns that follow, or null

    template <int kRows>
    PYRNN_INLINE static void sum(Vec<T> (&acc)[kRows][kCols], const T* a, Index lda, const T* b, Index ldb, Index b_step, Index n) {
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

    // Of the columns that follow, each tile asks for its share of rows.
    PYRNN_INLINE void ask_for_next(Index from, Index to) const {
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
        if (next) ask_for_next(row * count / p.m, (row + kRows) * count / p.m);
        if (copy) {
            sum(acc, strips + row * strip_pitch(count), kRows, copy, kCols * kLanes<T>, kLanes<T>, count);
        } else {
            Index sequence = first / p.rows, at = first % p.rows;
            for (Index done = 0; done < count; ++sequence, at = 0) {
                const Index n = p.rows - at < count - done ? p.rows - at : count - done;
                const T* from = p.a + sequence * p.a_sequence + at * p.lda + row;
                if (strips) from = strips + row * strip_pitch(count) + done * kRows;
                sum(acc, from, strips ? kRows : p.lda, b + sequence * p.b_sequence + at * p.ldb, p.ldb, b_step, n);
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

// Rows and vectors of columns of C from which on the copies pay.
constexpr Index kCopyRows = 64, kCopyVectors = 16;

// A tile is as tall as the registers allow beside B's vectors and one of A.
template <int kCols>
constexpr int kTnRows = kCols == 1                           ? PYRNN_TILE_ROWS * 2
                        : kCols == 2 && PYRNN_TILE_ROWS == 8 ? 14
                        : kCols == 2                         ? PYRNN_TILE_ROWS * 3 / 2
                                                             : PYRNN_TILE_ROWS;

// Copies one row of A, its pieces to all strips.
template <class T, int kRows>
struct Strips {
    const GemmTn<T>& p;
    Index pitch, k;
    const T* from;
    template <int kHeight>
    void tile(Index row) {
        constexpr int kVectors = (kHeight + kLanes<T> - 1) / kLanes<T>;
        T* to = p.scratch + row * pitch + k * kHeight;
        if (row + kVectors * kLanes<T> <= p.m) {  // whole vectors: what is too much, the next row overwrites
#pragma GCC unroll 16
            for (int v = 0; v < kVectors; ++v) store(to + v * kLanes<T>, load(from + row + v * kLanes<T>));
        } else {
            for (int r = 0; r < kHeight; ++r) to[r] = from[row + r];
        }
    }
};
template <int kRows, class T>
PYRNN_INLINE void copy_strips(const GemmTn<T>& p, Index first, Index count) {
    constexpr Index kRowsAhead = 4;
    for_rows(p.a, p.lda, p.a_sequence, p.rows, first, count, [&](Index k, const T* from) {
        for (Index i = 0; i < p.m; i += kLanes<T>) __builtin_prefetch(from + kRowsAhead * p.lda + i);
        Strips<T, kRows> strips{p, strip_pitch(count), k, from};
        for_row_tiles<kRows>(p.m, strips);
    });
}

template <class T, int kCols>
PYRNN_INLINE void gemm_tn_columns(const GemmTn<T>& p, Index first, Index count, bool strips, Index in, Index b_step, Index next, Index out,
                                  Index c_step) {
    constexpr Index kNarrow = 4;
    const bool copied = strips && p.ldb > kNarrow * kLanes<T>;
    T copy[kGemmTnChunk * kCols * kLanes<T>];
    if (copied)
        for_rows(p.b + in, p.ldb, p.b_sequence, p.rows, first, count, [&](Index k, const T* from) {
#pragma GCC unroll 4
            for (int j = 0; j < kCols; ++j) store(copy + (k * kCols + j) * kLanes<T>, load(from + j * b_step));
        });
    GemmTnColumns<T, kCols> columns{p, first, count, p.b + in, b_step, strips ? p.scratch : nullptr, copied ? copy : nullptr, p.c + out,
                                    c_step, strips ? p.b + next : nullptr};
    for_row_tiles<kTnRows<kCols>>(p.m, columns);
}

template <class T>
void gemm_tn(const GemmTn<T>& p) {
    constexpr Index kP = kLanes<T>;
    const Index total = p.sequences * p.rows;
    const bool strips = p.m >= kCopyRows && p.runs * p.run >= kCopyVectors * kP, threes = p.run == 3 * kP, ones = p.run == kP;
    for (Index first = 0; first < total; first += kGemmTnChunk) {
        if (p.interrupted && p.interrupted()) return;
        const Index count = first + kGemmTnChunk < total ? kGemmTnChunk : total - first;
        if (strips && threes) copy_strips<kTnRows<3>>(p, first, count);
        else if (strips) copy_strips<kTnRows<2>>(p, first, count);
        Index run = 0;
        if (ones)  // two runs make a tile
            for (; run + 2 <= p.runs; run += 2)
                gemm_tn_columns<T, 2>(p, first, count, strips, run * p.run_offset, p.run_offset, (run + 2) * p.run_offset,
                                      run * p.c_offset, p.c_offset);
        for (; run < p.runs; ++run) {
            const Index in = run * p.run_offset, out = run * p.c_offset;
            if (threes) {
                gemm_tn_columns<T, 3>(p, first, count, strips, in, kP, in + p.run_offset, out, kP);
                continue;
            }
            Index column = 0;
            for (; column + 2 * kP <= p.run; column += 2 * kP) {
                const Index next = column + 4 * kP <= p.run ? in + column + 2 * kP : in + p.run_offset;
                gemm_tn_columns<T, 2>(p, first, count, strips, in + column, kP, next, out + column, kP);
            }
            if (column < p.run) gemm_tn_columns<T, 1>(p, first, count, false, in + column, kP, 0, out + column, kP);
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
                for (Index u = 0; u < kP; ++u)
                    for (Index lane = 0; lane < kP; ++lane)
                        panels[u * kP + lane] = lane < lanes && first + u < units ? from[lane * gates * units + u] : T(0);
            }
    }
}

// Adds rows to kCols vectors of sums, in chains that are joined at the end. As many chains for every kCols, so that the bits
// do not depend on how columns are cut.
template <int kCols, class T>
PYRNN_INLINE void add_columns(T* sum, const T* rows, Index ld, Index count, Index sequence, Index sequences) {
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
    for (; i + 4 * kLanes<T> <= np; i += 4 * kLanes<T>) add_columns<4>(sum + i, rows + i, ld, count, sequence, sequences);
    for (; i + 2 * kLanes<T> <= np; i += 2 * kLanes<T>) add_columns<2>(sum + i, rows + i, ld, count, sequence, sequences);
    for (; i < np; i += kLanes<T>) add_columns<1>(sum + i, rows + i, ld, count, sequence, sequences);
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
