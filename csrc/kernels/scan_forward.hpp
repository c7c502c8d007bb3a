// The time loop forward: a step's tiles start from the bias, add x_t W and h_{s-1} U and end in update_tile.
#pragma once

#include "step_forward.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

// acc += a W over kCount gates of the kOf in the panels, from vector kFirst on. With copy != 0 each gate reads its own
// copy of a.
template <int kVectors, int kFirst, int kCount, int kOf = kCount, int kGate = 0, class T, int kRows, int kCols>
PYRNN_INLINE
void accumulate_gates(Vec<T> (&acc)[kRows][kCols], const T* a, Index lda, Index copy, const T* panels, Index block,
                      Index k_count, Ahead<T> ahead) {
    constexpr Index kStep = kOf * kLanes<T>;
    const T* panel = panels + block * k_count * kStep;
    if (copy == 0) {
        if (ahead.at)
            accumulate<kVectors, kFirst, kCount, true>(acc, a, lda, panel, k_count * kStep, kStep, k_count, ahead);
        else accumulate<kVectors, kFirst, kCount>(acc, a, lda, panel, k_count * kStep, kStep, k_count);
        return;
    }
    if constexpr (kGate < kCount) {
        accumulate<kVectors, kFirst + kGate, 1>(acc, a + kGate * copy, lda, panel + kGate * kLanes<T>, k_count * kStep,
                                                kStep, k_count);
        if constexpr (kGate + 1 < kCount)
            accumulate_gates<kVectors, kFirst, kCount, kOf, kGate + 1>(acc, a, lda, copy, panels, block, k_count,
                                                                       ahead);
    }
}

// Members of few rows pass h on in memory that nothing else is near to. Asks for what the others have in their caches.
template <class T>
void enter_states(const RnnForward<T>& p, ForwardStep<T>& step, const UnitBlocks& mine) {
    constexpr Index kP = kLanes<T>;
    if (step.s > 0)
        step.entering = p.exchange + (step.s - 1) % 2 * exchange_step(p.rows, p.units), step.ld_entering = p.units;
    if (!step.entering) return;
    const Index first = mine.first * kP, end = first + units_in<T>(mine, p.units);
    for (Index r = 0; r < p.rows; ++r) {
        const T* from = step.entering + r * step.ld_entering;
        for (Index i = 0; i < first; i += kP) __builtin_prefetch(from + i);
        for (Index i = end; i < p.units; i += kP) __builtin_prefetch(from + i);
    }
}
template <class T>
PYRNN_INLINE
T* left_states(const RnnForward<T>& p, const ForwardStep<T>& step, Index block) {
    return p.exchange + step.s % 2 * exchange_step(p.rows, p.units) + block * kLanes<T>;
}
// The others have read these lines, so writing to them takes as long as reading theirs.
template <int kRows, int kBlocks, class T>
PYRNN_INLINE
void prefetch_leaving(const RnnForward<T>& p, const ForwardStep<T>& step, Index row, Index block) {
    T* const to = left_states(p, step, block) + row * p.units;
    for (int r = 0; r < kRows; ++r)
        for (int b = 0; b < kBlocks; ++b) __builtin_prefetch(to + r * p.units + b * kLanes<T>, 1);
}
template <class T>
PYRNN_INLINE
void leave_states(const RnnForward<T>& p, const ForwardStep<T>& step, Index row, Index rows, const UnitBlocks& mine) {
    copy_rows(left_states(p, step, mine.first) + row * p.units, p.units,
              step.state + row * p.out.state_row + mine.first * kLanes<T>, p.out.state_row, rows,
              units_in<T>(mine, p.units));
}

template <class T, class C, int kBlocks>
struct ForwardTile {
    const RnnForward<T>& p;
    const ForwardStep<T>& step;
    bool fused;
    Index block;
    T* sums;            // of the rows from `waiting` on (kMostWaiting, kBlocks, V, P), where they may wait
    Index waiting = 0;  // the first row whose sums wait for the cell's update
    static constexpr bool kMayWait = kSumsInMemory && kBlocks <= kWideTile<C>;
    static constexpr Index kTallest = kForwardRows<C, kBlocks>;  // the rows of the next tile, at most

    // acc += the products of W and U with the kCount gates from kGate on, into the vectors from kVector on.
    template <int kVectors, int kVector, int kGate, int kCount, int kRows, int kCols>
    PYRNN_INLINE
    void add_input(Vec<T> (&acc)[kRows][kCols], Index row) const {
        constexpr int kGates = C::kInfo.gates;
        accumulate_gates<kVectors, kVector, kCount, kGates>(
            acc, step.x + row * step.ld_x + kGate * p.in.x_copy, step.ld_x, p.in.x_copy,
            p.weights.w + kGate * kLanes<T>, block, p.features,
            ahead_of<kRows, kBlocks, kGates, kGate, kCount>(p.options.streamed, p.weights.w, block, step.mine,
                                                            p.features, row, p.rows));
    }
    template <int kVectors, int kVector, int kGate, int kCount, int kRows, int kCols>
    PYRNN_INLINE
    void add_recurrent(Vec<T> (&acc)[kRows][kCols], Index row) const {
        constexpr int kU = C::kInfo.u_count;
        if (!step.entering) return;
        accumulate_gates<kVectors, kVector, kCount, kU>(
            acc, step.entering + row * step.ld_entering + kGate * step.entering_copy, step.ld_entering,
            step.entering_copy, p.weights.u + kGate * kLanes<T>, block, p.units,
            ahead_of<kRows, kBlocks, kU, kGate, kCount>(p.options.streamed, p.weights.u, block, step.mine, p.units, row,
                                                        p.rows));
    }

    // The sums of a tile to memory (rows, unit blocks, V, P), kAtOnce vectors at a time from kFirst on.
    template <int kRows, int kFirst = 0>
    PYRNN_INLINE
    void make_sums(T* sums, Index row) const {
        constexpr Index kP = kLanes<T>;
        constexpr int kV = C::kInfo.vectors, kCount = kAtOnce<C>, kU = C::kInfo.u_count;
        const T* bias = p.weights.bias ? p.weights.bias + (block * kV + kFirst) * kP : nullptr;
        Vec<T> acc[kRows][kBlocks * kCount];
        start(acc, bias);
        add_input<kCount, 0, kFirst, kCount>(acc, row);
        T* to = sums + kFirst * kP;
        if constexpr (C::kInfo.u_first == 0) {
            add_recurrent<kCount, 0, kFirst, kCount>(acc, row);
            write_gates<kCount>(acc, to, Strides{kBlocks * kV * kP, 0, kV * kP});
            if constexpr (kFirst + kCount < kV) make_sums<kRows, kFirst + kCount>(sums, row);
        } else {
            static_assert(C::kInfo.u_first == 1 && kBlocks == 1, "the first vector has no h U");
            write_gates<kCount>(acc, to, Strides{kV * kP, 0, 0});
            __asm__ volatile("" : : : "memory");  // the next sums start from memory: else GCC keeps some there
            Vec<T> more[kRows][kU];
#pragma GCC unroll 16
            for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
                for (int j = 0; j < kU; ++j)
                    more[r][j] = j + 1 < kCount ? load(to + (r * kV + j + 1) * kP)
                                 : bias         ? load(bias + kCount * kP)
                                                : Vec<T>{};
            add_recurrent<kU, 0, 0, kU>(more, row);
            write_gates<kU>(more, to + kP, Strides{kV * kP, 0, 0});
        }
    }

    // bias + x_t W in registers.
    template <int kRows, int kCols>
    PYRNN_INLINE
    void start_sums(Vec<T> (&acc)[kRows][kCols], Index row) const {
        constexpr int kV = C::kInfo.vectors;
        constexpr Index kP = kLanes<T>;
        if (step.hoisted) {
#pragma GCC unroll 16
            for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
                for (int c = 0; c < kCols; ++c)
                    acc[r][c] = load(step.hoisted + ((row + r) * blocks_of<T>(p.units) + block) * kV * kP + c * kP);
        } else {
            start(acc, p.weights.bias ? p.weights.bias + block * kV * kP : nullptr);
            add_input<kV, 0, 0, C::kInfo.gates>(acc, row);
        }
    }

    // Where the rows of the tile begin.
    T* gates_of(Index row) const {
        return step.gates ? step.gates + block * step.gates_at.block + row * step.gates_at.row : nullptr;
    }
    T* z_of(Index row) const {
        return step.z ? step.z + block * p.saved.gates_at.block + row * p.saved.gates_at.row : nullptr;
    }

    // Within the time loop GCC keeps counters and weights of a tile with many vectors in memory.
    template <int kRows>
    __attribute__((noinline)) void make_sums_apart(T* to, Index row) const {
        make_sums<kRows>(to, row);
    }

    // The cell's update of the rows whose sums wait, before `end`.
    PYRNN_INLINE
    void update_waiting(Index end) {
        if (waiting < end) update_sums<C, kBlocks>(p, step, sums, end - waiting, waiting, block);
        waiting = end;
    }

    template <int kRows>
    void tile(Index row) {
        constexpr int kV = C::kInfo.vectors, kCols = kBlocks * kV;
        if (step.gates) prefetch_output<C, kRows, kBlocks>(p, step, row, block);
        if constexpr (kMayWait && kRows > kFewRows) {
            T* const to = sums + (row - waiting) * kCols * kLanes<T>;
            if constexpr (kV == 1) make_sums<kRows>(to, row);
            else make_sums_apart<kRows>(to, row);
            if (step.z) copy_gates<kRows, kCols, kV>(z_of(row), to, p.saved.gates_at);
            if (!fused) copy_gates<kRows, kCols, kV>(gates_of(row), to, step.gates_at), waiting = row + kRows;
            else if (const Index end = row + kRows; end == p.rows || end + kTallest > waiting + kMostWaiting)
                update_waiting(end);
        } else {
            if constexpr (kMayWait) update_waiting(row), waiting = row + kRows;
            Vec<T> acc[kRows][kCols];
            start_sums(acc, row);
            add_recurrent<kV, C::kInfo.u_first, 0, C::kInfo.u_count>(acc, row);
            if (step.z) write_gates<kV>(acc, z_of(row), p.saved.gates_at);
            if (step.leaves) prefetch_leaving<kRows, kBlocks>(p, step, row, block);
            if (fused) update_tile<C>(p, step, acc, row, block);
            else write_gates<kV>(acc, gates_of(row), step.gates_at);
            if (step.leaves) leave_states(p, step, row, kRows, UnitBlocks{block, block + kBlocks});
        }
    }
};

// Copies x_t and h_{s-1} to rows an odd number of cache lines apart. In a large layer rows are often a multiple of 4096
// bytes apart, and the rows of a tile would compete for one set of L1.
template <class T>
void gather(const RnnForward<T>& p, ForwardStep<T>& step) {
    const auto copy = [&](const T*& from, Index& ld, Index n, T* to) {
        const Index ld_to = gathered_width(n, kLanes<T>);
        copy_rows(to, ld_to, from, ld, p.rows, n);
        from = to, ld = ld_to;
    };
    if (p.in.x_copy == 0) copy(step.x, step.ld_x, p.features, p.gathered);
    if (step.entering && step.entering_copy == 0)
        copy(step.entering, step.ld_entering, p.units, p.gathered + p.rows * gathered_width(p.features, kLanes<T>));
}

template <class T>
PYRNN_INLINE
void scale_row(T* out, const T* in, const T* scale, Index n) {
    for (Index i = 0; i < n; ++i) out[i] = in[i] * scale[i];
}

// Masked rows keep h_{s-1} and c_{s-1}; `output`, if not null, gets zeros for them.
template <class T>
void restore_masked_rows(const RnnForward<T>& p, const ForwardStep<T>& step, const UnitBlocks& mine) {
    const Index first = mine.first * kLanes<T>, end = first + units_in<T>(mine, p.units);
    for (Index r = 0; r < p.rows; ++r) {
        const bool keep = p.in.mask[r * p.in.mask_row + step.time];
        T* h = step.state + r * p.out.state_row;
        if (!keep) {
            for (Index i = first; i < end; ++i) h[i] = step.previous ? step.previous[r * step.ld_previous + i] : T(0);
            if (p.saved.carry)
                for (Index block = mine.first; block < mine.end; ++block) {
                    const Index at = block * p.saved.carry_at.block + r * p.saved.carry_at.row;
                    store(step.carry_out + at, load(step.carry_in + at));
                }
        }
        if (p.out.output)
            for (Index i = first; i < end; ++i)
                p.out.output[r * p.out.output_row + step.s * p.units + i] = keep ? h[i] : T(0);
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
        start(acc, p.weights.bias ? p.weights.bias + block * kV * kP : nullptr);
        accumulate_gates<kV, 0, C::kInfo.gates>(acc, x + row * ld, ld, 0, p.weights.w, block, p.features, Ahead<T>{});
        write_gates<kV>(acc, to + row * ld_to + block * kV * kP, Strides{ld_to, 0, kV * kP});
    }
};

// A step of a few rows takes as long as reading its weights. So W is read once for kHoistedSteps steps; the sums are
// the same chains of multiply-adds, so the bits do not change.
template <class T, class C>
void hoist_input(const RnnForward<T>& p, Index first, const UnitBlocks& mine) {
    constexpr int kV = C::kInfo.vectors, kWide = kWideTile<C>;
    const Index blocks = blocks_of<T>(p.units), wide = blocks * kV * kLanes<T>, left = p.steps - first;
    const Index steps = left < kHoistedSteps ? left : kHoistedSteps,
                time = p.options.backwards ? p.steps - 1 - first : first;
    for (Index r = 0; r < p.rows; ++r)
        for_blocks<kWide, kV>(
            mine.end, steps,
            [&](auto width, Index block) {
                return InputTile<T, C, decltype(width)::value>{p,
                                                               p.in.x + r * p.in.x_row + time * p.features,
                                                               p.options.backwards ? -p.features : p.features,
                                                               p.hoisted + r * wide,
                                                               p.rows * wide,
                                                               block};
            },
            false, mine.first);
}

// Whether a tile needs only its products and the cell's update in registers. Tiles of a cell of many vectors are lower
// in a plain scan, so larger weights would be read more often.
template <class C, class T>
bool is_plain(const RnnForward<T>& p) {
    constexpr Index kPlainWeightBytes = Index{1} << 16;
    const Index weight_bytes = (p.features + p.units) * C::kInfo.gates * p.units * static_cast<Index>(sizeof(T));
    return stays_in_registers<C>(p.options.activation, p.options.recurrent_activation) &&
           plain_rows<C::kInfo.vectors>(blocks_of<T>(p.units), p.rows) &&
           (C::kInfo.vectors == 1 || weight_bytes <= kPlainWeightBytes) && p.in.x_copy == 0 && !p.in.mask &&
           !p.in.state_scale && !p.saved.z && !p.gathered && !p.hoisted && !p.options.streamed && !p.member.next_step;
}

// The time loop of plain tiles. A tile calls nothing and tests nothing, so that the compiler keeps addresses in
// registers from step to step. Otherwise a tile costs some 100 cycles in addition to its sums, as much as the
// activations of a small layer.
template <class T, class C, bool kPrefetches>
void plain_forward(const RnnForward<T>& p, Index first, Index end) {
    constexpr int kV = C::kInfo.vectors, kGates = C::kInfo.gates, kU = C::kInfo.u_count;
    constexpr Index kP = kLanes<T>;
    const Index blocks = blocks_of<T>(p.units), w_block = p.features * kGates * kP, u_block = p.units * kU * kP;
    for (Index s = first; s < end; ++s) {
        const ForwardStep<T> step = forward_step(p, s);
        for_plain_tiles<kV>(
            blocks, p.rows, [&](auto wide, auto height, Index block, Index row) __attribute__((always_inline)) {
                constexpr int kBlocks = decltype(wide)::value, kRows = decltype(height)::value;
                if constexpr (kPrefetches) prefetch_output<C, kRows, kBlocks>(p, step, row, block);
                Vec<T> acc[kRows][kBlocks * kV];
                start(acc, p.weights.bias ? p.weights.bias + block * kV * kP : nullptr);
                accumulate<kV, 0, kGates>(acc, step.x + row * step.ld_x, step.ld_x, p.weights.w + block * w_block,
                                          w_block, kGates * kP, p.features);
                if (step.previous)
                    accumulate<kV, C::kInfo.u_first, kU>(acc, step.previous + row * step.ld_previous, step.ld_previous,
                                                         p.weights.u + block * u_block, u_block, kU * kP, p.units);
                update_tile<C>(p, step, acc, row, block);
            });
    }
}

template <class T, class C>
void scan_forward(const RnnForward<T>& p) {
    if (kPlainForward && is_plain<C>(p)) {
        const bool prefetches = C::kInfo.vectors > 1 && p.saved.gates && exceeds_cache<T, C>(p.rows, p.steps, p.units);
        for (Index s = 0; s < p.steps && !(s > 0 && p.options.interrupted && p.options.interrupted());
             s += kStepsBetweenChecks) {
            const Index end = s + kStepsBetweenChecks < p.steps ? s + kStepsBetweenChecks : p.steps;
            if (prefetches) plain_forward<T, C, (C::kInfo.vectors > 1)>(p, s, end);
            else plain_forward<T, C, false>(p, s, end);
        }
        return;
    }
    constexpr int kV = C::kInfo.vectors, kWide = kWideTile<C>;
    // With few rows many unit blocks keep enough sums in flight instead. At most four: panels are often a multiple of
    // 4096 bytes apart and fill a set of L1. One step of a stream takes one unit block at a time: L1 then still holds
    // the last of them when the next step goes the other way.
    constexpr int kWideFewRows = kV == 1 ? 4 : 2, kWideOneStep = kV == 1 ? 8 : 1;
    const Index blocks = blocks_of<T>(p.units), hp = blocks * kLanes<T>;
    const bool fused = stays_in_registers<C>(p.options.activation, p.options.recurrent_activation);
    const ForwardScratch<T> scratch(p.scratch, p.rows, hp);
    alignas(PYRNN_VECTOR_BYTES) T sums[kSumsInMemory ? kMostWaiting * kWide * kV * kLanes<T> : 1];
    UnitBlocks mine{0, blocks};
    for (Index s = next_step(p, -1, mine); s < p.steps; s = next_step(p, s, mine)) {
        if (s % kStepsBetweenChecks == kStepsBetweenChecks - 1 && p.options.interrupted && p.options.interrupted())
            return;
        ForwardStep<T> step = forward_step(p, s);
        step.mine = mine;
        if (p.exchange) enter_states(p, step, mine), step.leaves = fused && !p.in.mask;
        if (!step.gates)
            step.gates = fused ? nullptr : scratch.gates, step.gates_at = Strides{kV * hp, 0, kV * kLanes<T>};
        if (step.previous && p.in.state_scale) {
            for (Index copy = 0; copy < p.in.scale_copies; ++copy)
                for (Index r = 0; r < p.rows; ++r)
                    scale_row(scratch.scaled + (copy * p.rows + r) * p.units, step.entering + r * step.ld_entering,
                              p.in.state_scale + copy * p.in.scale_copy + r * p.units, p.units);
            step.entering = scratch.scaled, step.ld_entering = p.units;
            step.entering_copy = p.in.scale_copies > 1 ? p.rows * p.units : 0;
        }
        if (p.gathered) gather(p, step);
        if (p.hoisted) {
            if (s % kHoistedSteps == 0) hoist_input<T, C>(p, s, mine);
            step.hoisted = p.hoisted + s % kHoistedSteps * p.rows * kV * hp;
        }
        const auto tile = [&](auto wide, Index block) {
            return ForwardTile<T, C, decltype(wide)::value>{p, step, fused, block, sums};
        };
        // A few rows are bound by reading weights: going to and fro reuses those that the caches still hold.
        const bool reversed = (s % 2 == 1) != p.options.reversed;
        if (kEveryTile && p.rows <= kFewRows && p.steps == 1)
            for_blocks<kWideOneStep, kV, kFewRows>(blocks, p.rows, tile, reversed);
        else if (p.rows <= kFewRows)
            for_blocks<kWideFewRows, kV, kEveryTile ? kFewRows : 1>(mine.end, p.rows, tile, reversed, mine.first);
        else for_blocks<kWide, kV, 16, kForwardRows<C, kWide>>(mine.end, p.rows, tile, false, mine.first);
        if (!fused) update_rows<C>(p, step, mine);
        if (p.in.mask) restore_masked_rows(p, step, mine);
        if (p.exchange && !step.leaves) leave_states(p, step, 0, p.rows, mine);
    }
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
