// What the time loops forward and backward share (scan_forward.hpp, scan_backward.hpp). Tiles of rows x units go
// through the input and recurrent products and, without leaving registers, through the cell's update (cell.hpp):
//
// Forward, step s:   acc (V vectors per unit block) = bias + x_t W + h_{s-1} U,    then update_tile
// Backward, step s:  dh = d output_s + dA_{s+1} U^T + what bypasses U,             then gradient_tile, which writes
// dA_s
//
// Activations that registers have no code for run over whole rows in memory instead (update_rows, gradient_rows).
#pragma once

#include "cell.hpp"
#include "tile.hpp"

namespace pyrnn {

extern const Kernels<PYRNN_SCALAR> PYRNN_OPERATIONS;

namespace PYRNN_ISA_NAMESPACE {
namespace {

// The kernels of operations.cpp: a copy of them in each cell's object would take as long to compile as half its tiles.
PYRNN_INLINE
const Kernels<PYRNN_SCALAR>& operations() { return PYRNN_OPERATIONS; }

template <int kValue>
struct Constant {
    static constexpr int value = kValue;
};

constexpr int kSide = PYRNN_TILE_ROWS == 8 ? 3 : 2;

// Calls f(Constant<first>, Constant<count>) over kCount vectors of a tile, at most kSide at once (Several): more would
// not fit into registers next to the rest of the tile.
template <int kCount, int kFirst = 0, class F>
PYRNN_INLINE
void side_by_side(const F& f) {
    constexpr int kLeft = kCount - kFirst, kGroups = (kLeft + kSide - 1) / kSide,
                  kTaken = (kLeft + kGroups - 1) / kGroups;
    f(Constant<kFirst>{}, Constant<kTaken>{});
    if constexpr (kTaken < kLeft) side_by_side<kCount, kFirst + kTaken>(f);
}

template <class T>
PYRNN_INLINE
Vec<T> load_columns(const T* p, Index n) { return n >= kLanes<T> ? load(p) : load_partial(p, n); }
template <class T>
PYRNN_INLINE
void store_columns(T* p, Vec<T> v, Index n) { n >= kLanes<T> ? store(p, v) : store_partial(p, v, n); }

template <class T>
PYRNN_INLINE
void copy_rows(T* out, Index ld_out, const T* in, Index ld_in, Index rows, Index n) {
    for (Index r = 0; r < rows; ++r)
        for (Index i = 0; i < n; ++i) out[r * ld_out + i] = in[r * ld_in + i];
}

// The weights that a tile of `block` prefetches: its rows' fraction of the next of `mine`, or of the first, with which
// the next step begins; and of these the fraction of the kCount vectors from kFirst on. They are spread evenly over its
// sums: more at a time would delay the loads of the tile itself. Null where the weights stay in L2.
template <int kRows, int kWide, int kVectors, int kFirst = 0, int kCount = kVectors, class T>
PYRNN_INLINE
Ahead<T> ahead_of(bool streamed, const T* panels, Index block, const UnitBlocks& mine, Index k_count, Index row,
                  Index rows) {
    constexpr Index kWidth = kVectors * kLanes<T>, kTaken = kWide * kCount * kLanes<T>;
    if (!kEveryTile || !streamed) return {nullptr, 0};
    const Index next = block + 2 * kWide <= mine.end ? block + kWide : mine.first;
    return {panels + next * k_count * kWidth + k_count * kWide * kFirst * kLanes<T> + k_count * kTaken * row / rows,
            (kTaken * kRows + rows - 1) / rows};
}

// Prefetches what the end of a tile will read and write: kCount vectors in each of kBlocks unit blocks of a row. What
// training saves exceeds L2 except in the smallest layers, and a store that misses waits for L3.
template <int kBlocks, int kCount, class T>
PYRNN_INLINE
void prefetch_row(const T* row, const Strides& at) {
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b)
#pragma GCC unroll 4
        for (int c = 0; c < kCount; ++c) __builtin_prefetch(row + b * at.block + c * kLanes<T>, 0, 2);
}

// With 16 registers a tile has 12 sums, too few for all vectors of a unit and enough rows. So a tile makes the sums of
// kAtOnce vectors of a unit at a time, and they wait in memory, in L1, for the cell's update, which then has all
// registers. The x W of a GRU fills the first three of its four vectors, h U the last three: a tile has three at a
// time. Such tiles have no plain scan.
constexpr bool kSumsInMemory = PYRNN_TILE_ROWS == 6, kPlainForward = kEveryTile && !kSumsInMemory;
constexpr Index kMostWaiting = 24;  // rows whose sums wait together, so that there are fewer changes to the update
// Unit blocks of a tile, but of few rows.
template <class C>
constexpr int kWideTile = C::kInfo.vectors == 1 ? 2 : 1;
template <class C>
constexpr int kAtOnce = C::kInfo.vectors == 1   ? 1
                        : C::kInfo.u_first == 0 ? 2
                                                : C::kInfo.gates;
template <class C, int kWide>
constexpr int kForwardRows = kTileRows<kWide*(kSumsInMemory ? kAtOnce<C> : C::kInfo.vectors)>;

// Writes kVectors accumulators for each row and unit block.
template <int kVectors, class T, int kRows, int kCols>
PYRNN_INLINE
void write_gates(const Vec<T> (&acc)[kRows][kCols], T* gates, const Strides& at) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
        for (int c = 0; c < kCols; ++c)
            store(gates + r * at.row + c / kVectors * at.block + c % kVectors * kLanes<T>, acc[r][c]);
}

// The same from sums in memory, (kRows, kCols, P).
template <int kRows, int kCols, int kVectors, class T>
PYRNN_INLINE
void copy_gates(T* gates, const T* sums, const Strides& at) {
    for (int r = 0; r < kRows; ++r)
        for (int c = 0; c < kCols; ++c)
            store(gates + r * at.row + c / kVectors * at.block + c % kVectors * kLanes<T>,
                  load(sums + (r * kCols + c) * kLanes<T>));
}

// Runs the tile that run(Constant<kWide>, block) returns over all unit blocks: kWide at a time, then half as many, and
// so on; from the last to the first if `reversed`. Tiles are as tall as the registers allow, at most kMostRows.
template <int kWide, int kVectors, int kMostRows = 16, int kFit = kTileRows<kWide * kVectors>, class Run>
PYRNN_INLINE
void for_blocks(Index blocks, Index rows, const Run& run, bool reversed = false, Index block = 0) {
    constexpr int kRows = kFit < kMostRows ? kFit : kMostRows, kRest = kTileRows<(kWide + 1) / 2 * kVectors>;
    const Index count = (blocks - block) / kWide, rest = block + count * kWide;
    if constexpr (kWide > 1)
        if (reversed) for_blocks<kWide / 2, kVectors, kMostRows, kRest>(blocks, rows, run, reversed, rest);
    for (Index i = 0; i < count; ++i) {
        auto tile = run(Constant<kWide>{}, block + (reversed ? count - 1 - i : i) * kWide);
        // One vector at a time is what remains after pairs, so few heights are enough.
        if constexpr (kWide * kVectors == 1) for_few_tiles<kRows>(rows, tile);
        else for_even_tiles<kRows>(rows, tile);
    }
    if constexpr (kWide > 1)
        if (!reversed) for_blocks<kWide / 2, kVectors, kMostRows, kRest>(blocks, rows, run, reversed, rest);
}

// The tiles of a plain scan (scan_forward.hpp, scan_backward.hpp) are of one height, a power of two that divides most
// batches; with 16 registers of three heights, because 4 x 2 sums are too few to hide a multiply-add's latency.
template <int kCols, int kRows = 16>
constexpr int plain_height() {
    if constexpr (kRows > kTileRows<kCols>) return plain_height<kCols, kRows / 2>();
    else return kRows;
}
constexpr Index kThreeHeights[] = {6, 5, 5}, kThreeRows = 16;
template <int kCols>
constexpr bool kInThreeHeights = PYRNN_TILE_ROWS == 6 && kCols == 2;
template <int kCols>
constexpr Index kPlainRows = kInThreeHeights<kCols> ? kThreeRows : plain_height<kCols>();
template <int kVectors>
bool plain_rows(Index blocks, Index rows) {
    constexpr int kWide = kVectors == 1 ? 2 : 1;
    return rows % kPlainRows<kWide * kVectors> == 0 && (blocks % kWide == 0 || rows % kPlainRows<kVectors> == 0);
}
// Calls tile(Constant<unit blocks>, Constant<rows>, first unit block, first row) for each.
template <int kVectors, class F>
PYRNN_INLINE
void for_plain_tiles(Index blocks, Index rows, const F& tile) {
    constexpr int kWide = kVectors == 1 ? 2 : 1, kCols = kWide * kVectors, kLone = plain_height<kVectors>();
    constexpr int kHeight = kInThreeHeights<kCols> ? kThreeHeights[0] : plain_height<kCols>();
    Index block = 0;
    for (; block + kWide <= blocks; block += kWide)
        for (Index row = 0; row < rows; row += kPlainRows<kCols>) {
            tile(Constant<kWide>{}, Constant<kHeight>{}, block, row);
            if constexpr (kInThreeHeights<kCols>) {
                constexpr Index kFirst = kThreeHeights[0], kSecond = kThreeHeights[1];
                tile(Constant<kWide>{}, Constant<kSecond>{}, block, row + kFirst);
                tile(Constant<kWide>{}, Constant<kThreeHeights[2]>{}, block, row + kFirst + kSecond);
            }
        }
    if constexpr (kWide > 1)
        if (block < blocks)
            for (Index row = 0; row < rows; row += kLone) tile(Constant<1>{}, Constant<kLone>{}, block, row);
}

// Whether what training saves of a block of rows exceeds the L2 cache left by everything else.
template <class T, class C>
bool exceeds_cache(Index rows, Index steps, Index units) {
    constexpr Index kSavedBytes = Index{1} << 19, kVectors = C::kInfo.vectors > 1 ? C::kInfo.vectors + 2 : 2;
    return rows * steps * blocks_of<T>(units) * kVectors * static_cast<Index>(sizeof(Vec<T>)) > kSavedBytes;
}

// Whether a cell carries c next to h; whether part of dh reaches h_{s-1} without passing through U; whether its
// candidate reads r h_{s-1}, which takes another product after the gates.
template <class C> constexpr bool kCarries = C::kInfo.states == 2;
template <class C> constexpr bool kPassesBy = C::kInfo.vectors > 1 && !kCarries<C>;
template <class C> constexpr bool kHasCandidate = C::kInfo.u_count < C::kInfo.gates;

// Its vector r, whose gradient follows from that product's; or -1.
template <class C>
constexpr int reset_gate() {
    if constexpr (kHasCandidate<C>) return C::kR;
    else return -1;
}

// Whether a cell's activations are computed in registers; others run over whole rows in memory.
template <class C>
bool stays_in_registers(Activation activation, Activation recurrent) {
    if constexpr (C::kInfo.vectors == 1) return fused_in_registers(activation);
    return !kHasCandidate<C> && activation == Activation::kTanh && recurrent == Activation::kSigmoid;
}
// The activation of gate j: its name, and in registers its value and its derivative.
template <class C, class Problem>
Activation activation_of(const Problem& p, int j) {
    return C::kPasses[j] == Pass::kRecurrentActivation ? p.options.recurrent_activation : p.options.activation;
}
template <class C, int kGate, class V>
PYRNN_INLINE
V activated(const V& z) {
    if constexpr (C::kPasses[kGate] == Pass::kRecurrentActivation) return vector_sigmoid(z);
    else if constexpr (C::kPasses[kGate] == Pass::kActivation) return vector_tanh(z);
    else return z;
}
template <class C, int kGate, class V>
PYRNN_INLINE
V differentiated(const V& y, const V& dy) {
    if constexpr (C::kPasses[kGate] == Pass::kRecurrentActivation) return dy * (y * (1 - y));
    else if constexpr (C::kPasses[kGate] == Pass::kActivation) return dy * (1 - y * y);
    else return dy;
}
// Calls f(Constant<j>) for each j.
template <int kCount, int kFirst = 0, class F>
PYRNN_INLINE
void for_each_gate(const F& f) {
    f(Constant<kFirst>{});
    if constexpr (kFirst + 1 < kCount) for_each_gate<kCount, kFirst + 1>(f);
}

// One row of saved gates, or of their pre-activations, across the unit blocks.
template <int kVectors, class T>
struct GateRow {
    GateRow(T* gates, const Strides& at, Index row)
        : first(gates ? gates + row * at.row : nullptr),
          block_stride(at.block) {}
    T* first;  // or null
    Index block_stride;
    PYRNN_INLINE
    T* vector(Index block, int j) const { return first + block * block_stride + j * kLanes<T>; }
    PYRNN_INLINE
    T& operator()(int j, Index unit) const { return vector(unit / kLanes<T>, j)[unit % kLanes<T>]; }
    template <class V>
    PYRNN_INLINE
    void load_block(Index block, V (&gate)[kVectors]) const {
        for (int j = 0; j < kVectors; ++j) gate[j].v[0] = load(vector(block, j));
    }
};

// The units in a range of unit blocks.
template <class T>
PYRNN_INLINE
Index units_in(const UnitBlocks& range, Index units) {
    const Index first = range.first * kLanes<T>, end = range.end * kLanes<T>;
    return (end < units ? end : units) - first;
}

// An activation over gate j of a row.
template <int kVectors, class T>
void activate_gate(Activation kind, const GateRow<kVectors, T>& gates, int j, Index units, const UnitBlocks& mine,
                   T* temporary) {
    constexpr Index kP = kLanes<T>;
    const Index n = units_in<T>(mine, units);
    T* const all = temporary + mine.first * kP;
    for (Index b = mine.first; b < mine.end; ++b) store(temporary + b * kP, load(gates.vector(b, j)));
    operations().activate(kind, all, n, all, n, 1, n);
    for (Index b = mine.first; b < mine.end; ++b) store(gates.vector(b, j), load(temporary + b * kP));
}
// Step s + 1 in the order of computation, or a later one, and the unit blocks to compute in it.
template <class Problem>
PYRNN_INLINE
Index next_step(const Problem& p, Index s, UnitBlocks& mine) {
    return p.member.next_step ? p.member.next_step(p.member, s, mine) : s + 1;
}

// dz = dy * act'(y, z): dy, dz and the two temporaries are rows of Hp; y is read from gate j of `gates` before dz goes
// there.
template <int kVectors, class T>
void differentiate_gate(Activation kind, const GateRow<kVectors, T>& gates, const GateRow<kVectors, const T>& z, int j,
                        Index units, const UnitBlocks& mine, const T* dy, T* temporary) {
    constexpr Index kP = kLanes<T>;
    const Index hp = blocks_of<T>(units) * kP, n = units_in<T>(mine, units), at = mine.first * kP;
    T *y = temporary, *pre = temporary + hp, *dz = temporary + 2 * hp;
    for (Index b = mine.first; b < mine.end; ++b) {
        store(y + b * kP, load(gates.vector(b, j)));
        if (z.first) store(pre + b * kP, load(z.vector(b, j)));
        store(dz + b * kP, Vec<T>{});
    }
    operations().activate_backward(kind, y + at, z.first ? pre + at : nullptr, n, dy + at, n, dz + at, n, 1, n);
    for (Index b = mine.first; b < mine.end; ++b) store(gates.vector(b, j), load(dz + b * kP));
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
