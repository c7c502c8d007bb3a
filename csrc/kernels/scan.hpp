// The time loop of every recurrent layer: tiles of rows x units through the input and recurrent products and, without
// leaving registers, through the cell's step. The cells (cells/*.hpp) say what a step does; this file says where data lies.
//
// Forward, step s:   acc (V vectors a unit block) = bias + x_t W + h_{s-1} U,   then Cell::forward
// Backward, step s:  dh = d output_s + dA_{s+1} U^T + what passed by U,         then Cell::backward, which leaves dA_s
//
// A cell gives, for the activations that it can do in registers (Cell::fused):
//   forward(acc, ...)   on the accumulators of a row and unit block
//   backward(dh, ...)
// and for all others the same on whole rows in memory, forward_rows and backward_rows; kDirect, whether some of dh reaches
// h_{s-1} without passing U (then backward leaves it in running.direct); and reads(step), the h that backward reads, or null.
#pragma once

#include "gemm.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

constexpr int kSide = PYRNN_TILE_ROWS == 8 ? 3 : 2;

template <int kValue>
struct Constant {
    static constexpr int value = kValue;
};

// Calls f(Constant<first>, Constant<count>) over kCount vectors of a tile, at most kSide side by side (Several): more than fit
// into registers beside the rest of the tile would go through memory.
template <int kCount, int kFirst = 0, class F>
PYRNN_INLINE void side_by_side(const F& f) {
    constexpr int kLeft = kCount - kFirst, kGroups = (kLeft + kSide - 1) / kSide, kTaken = (kLeft + kGroups - 1) / kGroups;
    f(Constant<kFirst>{}, Constant<kTaken>{});
    if constexpr (kTaken < kLeft) side_by_side<kCount, kFirst + kTaken>(f);
}

template <class T>
PYRNN_INLINE Vec<T> load_columns(const T* p, Index n) {
    return n >= kLanes<T> ? load(p) : load_partial(p, n);
}
template <class T>
PYRNN_INLINE void store_columns(T* p, Vec<T> v, Index n) {
    n >= kLanes<T> ? store(p, v) : store_partial(p, v, n);
}

template <class T>
PYRNN_INLINE void copy_rows(T* out, Index ld_out, const T* in, Index ld_in, Index rows, Index n) {
    for (Index r = 0; r < rows; ++r)
        for (Index i = 0; i < n; ++i) out[r * ld_out + i] = in[r * ld_in + i];
}

// Where step s of a block of rows finds its data; rows stand at the strides of the problem.
template <class T>
struct ForwardStep {
    Index s, time;
    const T *x, *hoisted;  // hoisted: bias + x_t W, (rows, V Hp), where it is there already
    Index ld_x;
    const T *held, *entering;  // h_{s-1}, and as it enters U (copies of it where recurrent dropout differs by gate); or null
    Index ld_held, ld_entering, entering_copy;
    T* state;
    const T* carry_in;
    T* carry_out;
    T *gates, *z;
    Strides gates_at;  // those of z are the problem's
};

// The weights that a tile of `block` asks for: its share, by rows, of the next panels, or of the first, which the next step
// begins with. Spread evenly over its sums: more at a time would hold up the loads of the tile itself. Null where the weights
// stay in L2.
template <int kRows, int kWide, int kVectors, class T>
PYRNN_INLINE Ahead<T> ahead_of(bool streamed, const T* panels, Index block, Index blocks, Index k_count, Index row, Index rows) {
    constexpr Index kWidth = kVectors * kLanes<T>;
    if (!streamed) return {nullptr, 0};
    const Index next = block + 2 * kWide <= blocks ? block + kWide : 0;
    return {panels + next * k_count * kWidth + k_count * kWide * kWidth * row / rows, (kWide * kWidth * kRows + rows - 1) / rows};
}

// Asks for what the end of a tile will read and write, kCount vectors in each of kBlocks unit blocks of a row: what training
// keeps is more than L2 holds but for the smallest layers, and a store that misses waits for L3.
template <int kBlocks, int kCount, class T>
PYRNN_INLINE void prefetch_row(const T* row, const Strides& at) {
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b)
#pragma GCC unroll 4
        for (int c = 0; c < kCount; ++c) __builtin_prefetch(row + b * at.block + c * kLanes<T>, 0, 2);
}

// Writes kVectors accumulators for each row and unit block.
template <int kVectors, class T, int kRows, int kCols>
PYRNN_INLINE void write_gates(const Vec<T> (&acc)[kRows][kCols], T* gates, const Strides& at) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
        for (int c = 0; c < kCols; ++c)
            store(gates + r * at.row + c / kVectors * at.block + c % kVectors * kLanes<T>, acc[r][c]);
}

// acc += a W over the kCount gates from vector kFirst on. With copy != 0 each gate reads its own copy of a.
template <int kVectors, int kFirst, int kCount, int kGate = 0, class T, int kRows, int kCols>
PYRNN_INLINE void accumulate_gates(Vec<T> (&acc)[kRows][kCols], const T* a, Index lda, Index copy, const T* panels, Index block,
                                   Index k_count, Ahead<T> ahead) {
    constexpr Index kStep = kCount * kLanes<T>;
    const T* panel = panels + block * k_count * kStep;
    if (copy == 0) {
        if (ahead.at) accumulate<kVectors, kFirst, kCount, true>(acc, a, lda, panel, k_count * kStep, kStep, k_count, ahead);
        else accumulate<kVectors, kFirst, kCount>(acc, a, lda, panel, k_count * kStep, kStep, k_count);
        return;
    }
    if constexpr (kGate < kCount) {
        accumulate<kVectors, kFirst + kGate, 1>(acc, a + kGate * copy, lda, panel + kGate * kLanes<T>, k_count * kStep, kStep,
                                                k_count);
        if constexpr (kGate + 1 < kCount)
            accumulate_gates<kVectors, kFirst, kCount, kGate + 1>(acc, a, lda, copy, panels, block, k_count, ahead);
    }
}

template <class T, class C, int kBlocks>
struct ForwardTile {
    const RnnForward<T>& p;
    const ForwardStep<T>& step;
    bool fused;
    Index block;

    template <int kRows>
    void tile(Index row) {
        constexpr int kV = C::kInfo.vectors;
        constexpr Index kP = kLanes<T>;
        Vec<T> acc[kRows][kBlocks * kV];
        T* gates = step.gates ? step.gates + block * step.gates_at.block + row * step.gates_at.row : nullptr;
        if (gates)
            for (Index r = row; r < row + kRows; ++r) {
                prefetch_row<kBlocks, kV>(gates + (r - row) * step.gates_at.row, step.gates_at);
                if (p.carry) prefetch_row<kBlocks, 2>(step.carry_out + r * p.carry_at.row + block * p.carry_at.block, p.carry_at);
                prefetch_row<kBlocks, 1>(step.state + r * p.slots * p.units + block * kP, Strides{0, 0, kP});
            }
        constexpr int kGates = C::kInfo.gates, kU = C::kInfo.u_count;
        const Index blocks = blocks_of<T>(p.units);
        if (step.hoisted) {
#pragma GCC unroll 16
            for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
                for (int c = 0; c < kBlocks * kV; ++c) acc[r][c] = load(step.hoisted + ((row + r) * blocks + block) * kV * kP + c * kP);
        } else {
            start(acc, p.bias ? p.bias + block * kV * kP : nullptr);
            accumulate_gates<kV, 0, kGates>(acc, step.x + row * step.ld_x, step.ld_x, p.x_copy, p.w_panels, block, p.features,
                                            ahead_of<kRows, kBlocks, kGates>(p.streamed, p.w_panels, block, blocks, p.features, row, p.rows));
        }
        if (step.entering)
            accumulate_gates<kV, C::kInfo.u_first, kU>(acc, step.entering + row * step.ld_entering, step.ld_entering,
                                                       step.entering_copy, p.u_panels, block, p.units,
                                                       ahead_of<kRows, kBlocks, kU>(p.streamed, p.u_panels, block, blocks, p.units, row, p.rows));
        if (step.z) write_gates<kV>(acc, step.z + block * p.gates_at.block + row * p.gates_at.row, p.gates_at);
        if (fused) C::forward(p, step, acc, row, block);
        else write_gates<kV>(acc, gates, step.gates_at);
    }
};

// Runs the tile that run(Constant<kWide>, block) makes over all unit blocks: kWide at a time, then half as many, and so on;
// from the last to the first if `reversed`. Tiles are as tall as the registers allow, at most kMostRows.
template <int kWide, int kVectors, int kMostRows = 16, class Run>
PYRNN_INLINE void for_blocks(Index blocks, Index rows, const Run& run, bool reversed = false, Index block = 0) {
    constexpr int kFit = kTileRows<kWide * kVectors>, kRows = kFit < kMostRows ? kFit : kMostRows;
    const Index count = (blocks - block) / kWide, rest = block + count * kWide;
    if constexpr (kWide > 1)
        if (reversed) for_blocks<kWide / 2, kVectors, kMostRows>(blocks, rows, run, reversed, rest);
    for (Index i = 0; i < count; ++i) {
        auto tile = run(Constant<kWide>{}, block + (reversed ? count - 1 - i : i) * kWide);
        for_even_tiles<kRows>(rows, tile);
    }
    if constexpr (kWide > 1)
        if (!reversed) for_blocks<kWide / 2, kVectors, kMostRows>(blocks, rows, run, reversed, rest);
}

// Copies x_t and h_{s-1} to where rows stand an odd number of cache lines apart. In a large layer they often stand a multiple
// of 4096 bytes apart, and the rows of a tile would fight for one set of L1.
template <class T>
void gather(const RnnForward<T>& p, ForwardStep<T>& step) {
    const auto copy = [&](const T*& from, Index& ld, Index n, T* to) {
        const Index ld_to = gathered_width(n, kLanes<T>);
        copy_rows(to, ld_to, from, ld, p.rows, n);
        from = to, ld = ld_to;
    };
    if (p.x_copy == 0) copy(step.x, step.ld_x, p.features, p.gathered);
    if (step.entering && step.entering_copy == 0)
        copy(step.entering, step.ld_entering, p.units, p.gathered + p.rows * gathered_width(p.features, kLanes<T>));
}

template <class T>
PYRNN_INLINE void scale_row(T* out, const T* in, const T* scale, Index n) {
    for (Index i = 0; i < n; ++i) out[i] = in[i] * scale[i];
}

// Masked rows hold h_{s-1} and c_{s-1}; `output`, where there is one, gets zeros for them.
template <class T>
void hold_masked_rows(const RnnForward<T>& p, const ForwardStep<T>& step) {
    const Index ld_state = p.slots * p.units;
    for (Index r = 0; r < p.rows; ++r) {
        const bool keep = p.mask[r * p.steps + step.time];
        T* h = step.state + r * ld_state;
        if (!keep) {
            for (Index i = 0; i < p.units; ++i) h[i] = step.held ? step.held[r * step.ld_held + i] : T(0);
            if (p.carry)
                for (Index block = 0; block < blocks_of<T>(p.units); ++block) {
                    const Index at = block * p.carry_at.block + r * p.carry_at.row;
                    store(step.carry_out + at, load(step.carry_in + at));
                }
        }
        if (p.output)
            for (Index i = 0; i < p.units; ++i) p.output[(r * p.steps + step.s) * p.units + i] = keep ? h[i] : T(0);
    }
}

// bias + x_t W of one row of the batch: the tile's rows are time steps.
template <class T, class C, int kBlocks>
struct InputTile {
    const RnnForward<T>& p;
    const T* x;
    Index ld;
    T* to;
    Index ld_to, block;

    template <int kRows>
    void tile(Index row) {
        constexpr int kV = C::kInfo.vectors;
        constexpr Index kP = kLanes<T>;
        Vec<T> acc[kRows][kBlocks * kV];
        start(acc, p.bias ? p.bias + block * kV * kP : nullptr);
        accumulate_gates<kV, 0, C::kInfo.gates>(acc, x + row * ld, ld, 0, p.w_panels, block, p.features, Ahead<T>{});
        write_gates<kV>(acc, to + row * ld_to + block * kV * kP, Strides{ld_to, 0, kV * kP});
    }
};

// A step of a few rows takes as long as the reading of its weights. W is read once for kHoistedSteps of them instead; the sums
// are the same chains of multiply-adds, so the bits do not change.
template <class T, class C>
void hoist_input(const RnnForward<T>& p, Index first) {
    constexpr int kV = C::kInfo.vectors, kWide = kV == 1 ? 2 : 1;
    const Index blocks = blocks_of<T>(p.units), wide = blocks * kV * kLanes<T>, left = p.steps - first;
    const Index steps = left < kHoistedSteps ? left : kHoistedSteps, time = p.backwards ? p.steps - 1 - first : first;
    for (Index r = 0; r < p.rows; ++r)
        for_blocks<kWide, kV>(blocks, steps, [&](auto width, Index block) {
            return InputTile<T, C, decltype(width)::value>{p, p.x + (r * p.steps + time) * p.features, p.backwards ? -p.features : p.features,
                                                           p.hoisted + r * wide, p.rows * wide, block};
        });
}

template <class T, class C>
void scan_forward(const RnnForward<T>& p) {
    constexpr int kV = C::kInfo.vectors, kWide = kV == 1 ? 2 : 1;
    // With few rows many blocks of units keep enough sums in flight instead. One step of a stream walks one at a time: L1 then
    // still holds the last of them when the next step turns round.
    constexpr int kWideFewRows = 8 / kV, kWideOneStep = kV == 1 ? 8 : 1;
    const Index blocks = blocks_of<T>(p.units), hp = blocks * kLanes<T>, ld_state = p.slots * p.units;
    const bool fused = C::fused(p.activation, p.recurrent_activation);
    T* scaled = p.scratch;                    // (copies, rows, H)
    T* raw = p.scratch + 4 * p.rows * hp;     // (rows, V Hp), where gates are needed and not kept
    for (Index s = 0; s < p.steps; ++s) {
        if (s % kStepsBetweenAsking == kStepsBetweenAsking - 1 && p.interrupted && p.interrupted()) return;
        ForwardStep<T> step{};
        step.s = s;
        step.time = p.backwards ? p.steps - 1 - s : s;
        step.x = p.x + step.time * p.features, step.ld_x = p.steps * p.features;
        step.held = s == 0 ? p.initial_state : p.states + ((s - 1) % p.slots) * p.units;
        step.ld_held = s == 0 ? p.units : ld_state;
        step.entering = step.held, step.ld_entering = step.ld_held;
        step.state = p.states + (s % p.slots) * p.units;
        if (p.carry) {
            step.carry_in = p.carry + (s % p.carry_slots) * p.carry_at.step;
            step.carry_out = p.carry + ((s + 1) % p.carry_slots) * p.carry_at.step;
        }
        step.gates = p.gates ? p.gates + s * p.gates_at.step : (fused ? nullptr : raw);
        step.gates_at = p.gates ? p.gates_at : Strides{kV * hp, 0, kV * kLanes<T>};
        step.z = p.z ? p.z + s * p.gates_at.step : nullptr;
        if (step.held && p.state_scale) {
            for (Index copy = 0; copy < p.scale_copies; ++copy)
                for (Index r = 0; r < p.rows; ++r)
                    scale_row(scaled + (copy * p.rows + r) * p.units, step.held + r * step.ld_held,
                              p.state_scale + copy * p.scale_copy + r * p.units, p.units);
            step.entering = scaled, step.ld_entering = p.units;
            step.entering_copy = p.scale_copies > 1 ? p.rows * p.units : 0;
        }
        if (p.gathered) gather(p, step);
        if (p.hoisted) {
            if (s % kHoistedSteps == 0) hoist_input<T, C>(p, s);
            step.hoisted = p.hoisted + s % kHoistedSteps * p.rows * kV * hp;
        }
        const auto tile = [&](auto wide, Index block) {
            return ForwardTile<T, C, decltype(wide)::value>{p, step, fused, block};
        };
        // A few rows are bound by the reading of weights: walked to and fro, what the caches hold of them is of use again.
        const bool reversed = (s % 2 == 1) != p.reversed;
        if (p.rows <= kFewRows && p.steps == 1) for_blocks<kWideOneStep, kV, kFewRows>(blocks, p.rows, tile, reversed);
        else if (p.rows <= kFewRows) for_blocks<kWideFewRows, kV, kFewRows>(blocks, p.rows, tile, reversed);
        else for_blocks<kWide, kV>(blocks, p.rows, tile);
        if (!fused) C::forward_rows(p, step);
        if (p.mask) hold_masked_rows(p, step);
    }
}

template <class T>
struct BackwardStep {
    Index s, time;
    bool product, direct;        // whether dA_{s+1} exists; whether `direct` holds something
    const T* d_output;
    Index ld_output;
    const T *held;               // h_{s-1}, or null: zero
    Index ld_held;
    const T *state, *carry_in, *carry_out;
    T* gates;
    const T* z;
};

// The running gradients of a block of rows, (rows, Hp) each: of h beside what goes through U, and of c.
template <class T>
struct Running {
    T *direct, *carry, *dh;
};

// A part of the sum dA_{s+1} U^T: over the unit blocks [first, end) of dA.
struct Span {
    Index first, end;
};

// acc += that part for the kRows x kBlocks tile, each gate scaled where recurrent dropout says so (then the span is whole). On
// the way ask(r) is called once for each row of the tile.
template <class C, class T, int kRows, int kBlocks, class Ask>
PYRNN_INLINE void recurrent_product(const RnnBackward<T>& p, Vec<T> (&acc)[kRows][kBlocks], const T* da, Index row, Index block,
                                    const Span& span, const Ask& ask) {
    constexpr Index kP = kLanes<T>, kV = C::kInfo.vectors, kU = C::kInfo.u_count, kRun = kU * kP;
    const Index blocks = blocks_of<T>(p.units), k_all = blocks * kRun, column = block * kP;
    const T* panel = p.ut_panels + block * k_all * kP;
    const Index ld_da = p.gates_at.row;
    da += row * ld_da + C::kInfo.u_first * kP;
    if (!p.state_scale || p.scale_copies == 1) {
        Ahead<T> ahead = ahead_of<kRows, kBlocks, 1>(p.streamed, p.ut_panels, block, blocks, k_all, row, p.rows);
        if (ahead.at) ahead.at += span.first * kRun * ahead.step;
        const Index width = span.end - span.first, runs = kU == kV && p.gates_at.block == kV * kP ? 1 : width;
        const Index run = width / runs * kRun;
        const T *from = da + span.first * p.gates_at.block, *weights = panel + span.first * kRun * kP;
        for (Index i = 0; i < runs; ++i, from += p.gates_at.block, weights += run * kP) {
            for (Index r = i; r < kRows; r += runs) ask(r);
            if (ahead.at) accumulate<1, 0, 1, true>(acc, from, ld_da, weights, k_all * kP, kP, run, ahead);
            else accumulate<1, 0, 1>(acc, from, ld_da, weights, k_all * kP, kP, run);
            if (ahead.at) ahead.at += run * ahead.step;
        }
        if (!p.state_scale) return;
    }
    const Index n = p.units - column;
    for (Index g = 0; g < (p.scale_copies == 1 ? 1 : kU); ++g) {
        Vec<T> part[kRows][kBlocks];
        if (p.scale_copies == 1) {
#pragma GCC unroll 16
            for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
                for (int b = 0; b < kBlocks; ++b) part[r][b] = acc[r][b];
        } else {
            start(part, static_cast<const T*>(nullptr));
            for (Index b = 0; b < blocks; ++b)
                accumulate<1, 0, 1>(part, da + b * p.gates_at.block + g * kP, ld_da, panel + (b * kU + g) * kP * kP, k_all * kP, kP, kP);
        }
        const T* scale = p.state_scale + g * p.scale_copy + row * p.units + column;
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
            for (int b = 0; b < kBlocks; ++b) {
                const Vec<T> scaled = rounded<T>(part[r][b] * load_columns(scale + r * p.units + b * kP, n - b * kP));
                acc[r][b] = g == 0 ? scaled : acc[r][b] + scaled;
            }
    }
}

template <class T, class C, int kBlocks>
struct BackwardTile {
    const RnnBackward<T>& p;
    const BackwardStep<T>& step;
    const Running<T>& running;
    bool fused;
    Span span;
    Index block;

    template <int kRows>
    void tile(Index row) {
        constexpr Index kP = kLanes<T>;
        const Index column = block * kP, blocks = blocks_of<T>(p.units), hp = blocks * kP, n = p.units - column;
        T* const sum = running.dh + row * hp + column;
        Vec<T> dh[kRows][kBlocks];
        start(dh, static_cast<const T*>(nullptr));
        if (span.first > 0) add_existing(dh, sum, hp, kBlocks * kP);
        // What the next step will read and write: asked for row by row during the product, so that it does not hold up the weights.
        const auto ask = [&](Index r) __attribute__((always_inline)) {
            if (step.s < 2 || span.end < blocks) return;
            const Index at = row + r, units = p.units;
            prefetch_row<kBlocks, C::kInfo.vectors>(step.gates + at * p.gates_at.row + block * p.gates_at.block - p.gates_at.step, p.gates_at);
            if (const T* h = C::reads(step)) prefetch_row<kBlocks, 1>(h + at * p.steps * units + column - units, Strides{0, 0, kP});
            if (p.carry) prefetch_row<kBlocks, 2>(step.carry_in + at * p.carry_at.row + block * p.carry_at.block - p.carry_at.step, p.carry_at);
            if (p.sequences && step.d_output) prefetch_row<kBlocks, 1>(step.d_output + at * step.ld_output + column - units, Strides{0, 0, kP});
        };
        if (step.product) recurrent_product<C>(p, dh, step.gates + p.gates_at.step, row, block, span, ask);
        if (span.end < blocks) return write(dh, sum, hp, kBlocks * kP);
        if (step.direct) add_existing(dh, running.direct + row * hp + column, hp, kBlocks * kP);
        if (step.d_output) {
            const T* d = step.d_output + row * step.ld_output + column;
            if (p.mask && p.zero_output_for_mask) {
#pragma GCC unroll 16
                for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
                    for (int b = 0; b < kBlocks; ++b)
                        if (p.mask[(row + r) * p.steps + step.time])
                            dh[r][b] += load_columns(d + r * step.ld_output + b * kP, n - b * kP);
            } else {
                add_existing(dh, d, step.ld_output, n);
            }
        }
        if (fused && !p.mask) C::backward(p, step, running, dh, row, block);
        else write(dh, sum, hp, kBlocks * kP);
    }
};

// Calls step_row(row) for every row that is not masked; a masked one passes dh on and has no dA.
template <class C, class T, class F>
PYRNN_INLINE void for_kept_rows(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>& running, F step_row) {
    constexpr Index kWidth = C::kInfo.vectors * kLanes<T>;
    const Index blocks = blocks_of<T>(p.units), hp = blocks * kLanes<T>;
    for (Index r = 0; r < p.rows; ++r) {
        T* direct = running.direct + r * hp;
        if (p.mask && !p.mask[r * p.steps + step.time]) {
            for (Index block = 0; block < blocks; ++block)
                std::memset(step.gates + block * p.gates_at.block + r * p.gates_at.row, 0, kWidth * sizeof(T));
            std::memcpy(direct, running.dh + r * hp, static_cast<std::size_t>(hp) * sizeof(T));
        } else {
            std::memset(direct, 0, static_cast<std::size_t>(hp) * sizeof(T));
            step_row(r);
        }
    }
}

// One row of kept gates, or of their pre-activations, across the unit blocks.
template <int kVectors, class T>
struct GateRow {
    GateRow(T* gates, const Strides& at, Index row) : first(gates ? gates + row * at.row : nullptr), block_stride(at.block) {}
    T* first;  // or null
    Index block_stride;
    PYRNN_INLINE T* vector(Index block, int j) const { return first + block * block_stride + j * kLanes<T>; }
    PYRNN_INLINE T& operator()(int j, Index unit) const { return vector(unit / kLanes<T>, j)[unit % kLanes<T>]; }
};

// An activation over gate j of a row.
template <int kVectors, class T>
void activate_gate(Activation kind, const GateRow<kVectors, T>& gates, int j, Index units, T* temporary) {
    constexpr Index kP = kLanes<T>;
    const Index blocks = blocks_of<T>(units);
    for (Index b = 0; b < blocks; ++b) store(temporary + b * kP, load(gates.vector(b, j)));
    activate(kind, temporary, units, temporary, units, 1, units);
    for (Index b = 0; b < blocks; ++b) store(gates.vector(b, j), load(temporary + b * kP));
}
// dz = dy * act'(y, z): dy, dz and the two temporaries are rows of Hp; y is read from gate j of `gates` before dz goes there.
template <int kVectors, class T>
void differentiate_gate(Activation kind, const GateRow<kVectors, T>& gates, const GateRow<kVectors, const T>& z, int j, Index units,
                        const T* dy, T* temporary) {
    constexpr Index kP = kLanes<T>;
    const Index blocks = blocks_of<T>(units), hp = blocks * kP;
    T *y = temporary, *pre = temporary + hp, *dz = temporary + 2 * hp;
    for (Index b = 0; b < blocks; ++b) {
        store(y + b * kP, load(gates.vector(b, j)));
        if (z.first) store(pre + b * kP, load(z.vector(b, j)));
        store(dz + b * kP, Vec<T>{});
    }
    derivative_row(kind, y, z.first ? pre : nullptr, dy, dz, units);
    for (Index b = 0; b < blocks; ++b) store(gates.vector(b, j), load(dz + b * kP));
}

// Steps under a mask whose activations could have stayed in registers.
template <class T, class C>
void finish_masked_rows(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>& running) {
    constexpr Index kP = kLanes<T>;
    const Index blocks = blocks_of<T>(p.units);
    for_kept_rows<C>(p, step, running, [&](Index r) {
        for (Index block = 0; block < blocks; ++block) {
            Vec<T> dh[1][1] = {{load(running.dh + (r * blocks + block) * kP)}};
            C::backward(p, step, running, dh, r, block);
        }
    });
}

template <class T, class C>
void scan_backward(const RnnBackward<T>& p) {
    constexpr Index kP = kLanes<T>, kV = C::kInfo.vectors;
    const Index blocks = blocks_of<T>(p.units), h = p.units, hp = blocks * kP, ld_states = p.steps * h;
    const bool fused = C::fused(p.activation, p.recurrent_activation);
    const Running<T> running{p.scratch, p.scratch + p.rows * hp, p.scratch + 2 * p.rows * hp};
    std::memset(p.scratch, 0, static_cast<std::size_t>(2 * p.rows * hp) * sizeof(T));
    if (p.d_final_state) copy_rows(running.direct, hp, p.d_final_state, h, p.rows, h);
    if (p.d_final_carry) copy_rows(running.carry, hp, p.d_final_carry, h, p.rows, h);
    const bool keeps_direct = C::kDirect || p.mask || !fused;
    // dA_{s+1} is read again for every pair of unit blocks: of a large layer so much at a time as stays in L2 beside the weights.
    constexpr Index kSpanBytes = Index{1} << 19;
    const Index block_bytes = p.rows * kV * kP * static_cast<Index>(sizeof(T)), fitting = kSpanBytes / block_bytes + 1;
    const Index width = p.streamed && !p.state_scale && fitting < blocks ? fitting : blocks;
    for (Index s = p.steps - 1; s >= -1; --s) {
        if (s % kStepsBetweenAsking == kStepsBetweenAsking - 1 && p.interrupted && p.interrupted()) return;
        BackwardStep<T> step{};
        step.s = s;
        step.time = p.backwards ? p.steps - 1 - s : s;
        step.product = s + 1 < p.steps;
        step.direct = step.product ? keeps_direct : p.d_final_state != nullptr;
        step.gates = p.gates + s * p.gates_at.step;
        if (s >= 0) {
            if (p.d_output && (p.sequences || s == p.steps - 1)) {
                step.d_output = p.sequences ? p.d_output + s * h : p.d_output;
                step.ld_output = p.sequences ? p.steps * h : h;
            }
            step.held = s == 0 ? p.initial_state : p.states + (s - 1) * h;
            step.ld_held = s == 0 ? h : ld_states;
            step.state = p.states + s * h;
            if (p.carry) step.carry_in = p.carry + s * p.carry_at.step, step.carry_out = p.carry + (s + 1) * p.carry_at.step;
            step.z = p.z ? p.z + s * p.gates_at.step : nullptr;
        }
        const bool in_registers = fused && s >= 0;
        const RnnBackward<T>& q = p;
        const Index piece = step.product ? width : blocks;
        for (Index first = 0; first < blocks; first += piece) {
            const Span span{first, first + piece < blocks ? first + piece : blocks};
            for_blocks<2, 1>(blocks, p.rows, [&](auto wide, Index block) {
                return BackwardTile<T, C, decltype(wide)::value>{q, step, running, in_registers, span, block};
            });
        }
        if (s < 0) break;
        if (!fused) C::backward_rows(p, step, running);
        else if (p.mask) finish_masked_rows<T, C>(p, step, running);
    }
    copy_rows(p.d_initial_state, h, running.dh, hp, p.rows, h);
    if (p.carry) copy_rows(p.d_initial_carry, h, running.carry, hp, p.rows, h);
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
