// The time loop forward: a step's tiles start from the bias, take in x_t W and h_{s-1} U and end in Cell::forward.
#pragma once

#include "step_forward.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

// acc += a W over the kCount gates from vector kFirst on. With copy != 0 each gate reads its own copy of a.
template <int kVectors, int kFirst, int kCount, int kGate = 0, class T, int kRows, int kCols>
PYRNN_INLINE
void accumulate_gates(Vec<T> (&acc)[kRows][kCols], const T* a, Index lda, Index copy, const T* panels, Index block,
                      Index k_count, Ahead<T> ahead) {
    constexpr Index kStep = kCount * kLanes<T>;
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
        if (gates) ask_for_output<C, kRows, kBlocks>(p, step, row, block);
        constexpr int kGates = C::kInfo.gates, kU = C::kInfo.u_count;
        const Index blocks = blocks_of<T>(p.units);
        if (step.hoisted) {
#pragma GCC unroll 16
            for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
                for (int c = 0; c < kBlocks * kV; ++c)
                    acc[r][c] = load(step.hoisted + ((row + r) * blocks + block) * kV * kP + c * kP);
        } else {
            start(acc, p.bias ? p.bias + block * kV * kP : nullptr);
            accumulate_gates<kV, 0, kGates>(
                acc, step.x + row * step.ld_x, step.ld_x, p.x_copy, p.w_panels, block, p.features,
                ahead_of<kRows, kBlocks, kGates>(p.streamed, p.w_panels, block, blocks, p.features, row, p.rows));
        }
        if (step.entering)
            accumulate_gates<kV, C::kInfo.u_first, kU>(
                acc, step.entering + row * step.ld_entering, step.ld_entering, step.entering_copy, p.u_panels, block,
                p.units, ahead_of<kRows, kBlocks, kU>(p.streamed, p.u_panels, block, blocks, p.units, row, p.rows));
        if (step.z) write_gates<kV>(acc, step.z + block * p.gates_at.block + row * p.gates_at.row, p.gates_at);
        if (fused) update_tile<C>(p, step, acc, row, block);
        else write_gates<kV>(acc, gates, step.gates_at);
    }
};

// Copies x_t and h_{s-1} to where rows stand an odd number of cache lines apart. In a large layer they often stand a
// multiple of 4096 bytes apart, and the rows of a tile would fight for one set of L1.
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
PYRNN_INLINE
void scale_row(T* out, const T* in, const T* scale, Index n) {
    for (Index i = 0; i < n; ++i) out[i] = in[i] * scale[i];
}

// Masked rows hold h_{s-1} and c_{s-1}; `output`, where there is one, gets zeros for them.
template <class T>
void hold_masked_rows(const RnnForward<T>& p, const ForwardStep<T>& step) {
    for (Index r = 0; r < p.rows; ++r) {
        const bool keep = p.mask[r * p.mask_row + step.time];
        T* h = step.state + r * p.state_row;
        if (!keep) {
            for (Index i = 0; i < p.units; ++i) h[i] = step.held ? step.held[r * step.ld_held + i] : T(0);
            if (p.carry)
                for (Index block = 0; block < blocks_of<T>(p.units); ++block) {
                    const Index at = block * p.carry_at.block + r * p.carry_at.row;
                    store(step.carry_out + at, load(step.carry_in + at));
                }
        }
        if (p.output)
            for (Index i = 0; i < p.units; ++i) p.output[r * p.output_row + step.s * p.units + i] = keep ? h[i] : T(0);
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

// A step of a few rows takes as long as the reading of its weights. W is read once for kHoistedSteps of them instead;
// the sums are the same chains of multiply-adds, so the bits do not change.
template <class T, class C>
void hoist_input(const RnnForward<T>& p, Index first) {
    constexpr int kV = C::kInfo.vectors, kWide = kV == 1 ? 2 : 1;
    const Index blocks = blocks_of<T>(p.units), wide = blocks * kV * kLanes<T>, left = p.steps - first;
    const Index steps = left < kHoistedSteps ? left : kHoistedSteps, time = p.backwards ? p.steps - 1 - first : first;
    for (Index r = 0; r < p.rows; ++r)
        for_blocks<kWide, kV>(blocks, steps, [&](auto width, Index block) {
            return InputTile<T, C, decltype(width)::value>{p,
                                                           p.x + r * p.x_row + time * p.features,
                                                           p.backwards ? -p.features : p.features,
                                                           p.hoisted + r * wide,
                                                           p.rows * wide,
                                                           block};
        });
}

// Whether a tile has nothing to ask but its sums and the cell's step in registers. Tiles of a cell of many vectors are
// lower in a plain scan, so that larger weights would be read more often.
template <class C, class T>
bool is_plain(const RnnForward<T>& p) {
    constexpr Index kPlainWeightBytes = Index{1} << 16;
    const Index weight_bytes = (p.features + p.units) * C::kInfo.gates * p.units * static_cast<Index>(sizeof(T));
    return stays_in_registers<C>(p.activation, p.recurrent_activation) &&
           plain_rows<C::kInfo.vectors>(blocks_of<T>(p.units), p.rows) &&
           (C::kInfo.vectors == 1 || weight_bytes <= kPlainWeightBytes) && p.x_copy == 0 && !p.mask && !p.state_scale &&
           !p.z && !p.gathered && !p.hoisted && !p.streamed;
}

// The time loop of plain tiles. It calls nothing and asks nothing in a tile, so that the compiler keeps addresses in
// registers from step to step: a tile costs some 100 cycles beside its sums otherwise, as much as the activations of a
// small layer.
template <class T, class C, bool kAsks>
void plain_forward(const RnnForward<T>& given, Index first, Index end) {
    const RnnForward<T> p = given;  // a copy: nothing that is written can be a part of it
    constexpr int kV = C::kInfo.vectors, kGates = C::kInfo.gates, kU = C::kInfo.u_count;
    constexpr Index kP = kLanes<T>;
    const Index blocks = blocks_of<T>(p.units), w_block = p.features * kGates * kP, u_block = p.units * kU * kP;
    for (Index s = first; s < end; ++s) {
        const ForwardStep<T> step = forward_step(p, s);
        for_plain_tiles<kV>(
            blocks, p.rows, [&](auto wide, auto height, Index block, Index row) __attribute__((always_inline)) {
                constexpr int kBlocks = decltype(wide)::value, kRows = decltype(height)::value;
                if constexpr (kAsks) ask_for_output<C, kRows, kBlocks>(p, step, row, block);
                Vec<T> acc[kRows][kBlocks * kV];
                start(acc, p.bias ? p.bias + block * kV * kP : nullptr);
                accumulate<kV, 0, kGates>(acc, step.x + row * step.ld_x, step.ld_x, p.w_panels + block * w_block,
                                          w_block, kGates * kP, p.features);
                if (step.held)
                    accumulate<kV, C::kInfo.u_first, kU>(acc, step.held + row * step.ld_held, step.ld_held,
                                                         p.u_panels + block * u_block, u_block, kU * kP, p.units);
                update_tile<C>(p, step, acc, row, block);
            });
    }
}

template <class T, class C>
void scan_forward(const RnnForward<T>& p) {
    if (is_plain<C>(p)) {
        const bool asks = C::kInfo.vectors > 1 && p.gates && exceeds_cache<T, C>(p.rows, p.steps, p.units);
        for (Index s = 0; s < p.steps && !(s > 0 && p.interrupted && p.interrupted()); s += kStepsBetweenAsking) {
            const Index end = s + kStepsBetweenAsking < p.steps ? s + kStepsBetweenAsking : p.steps;
            if (asks) plain_forward<T, C, (C::kInfo.vectors > 1)>(p, s, end);
            else plain_forward<T, C, false>(p, s, end);
        }
        return;
    }
    constexpr int kV = C::kInfo.vectors, kWide = kV == 1 ? 2 : 1;
    // With few rows many blocks of units keep enough sums in flight instead: the panels of more than four often stand a
    // multiple of 4096 bytes apart and fill a set of L1. One step of a stream walks one at a time: L1 then still holds
    // the last of them when the next step turns round.
    constexpr int kWideFewRows = kV == 1 ? 4 : 2, kWideOneStep = kV == 1 ? 8 : 1;
    const Index blocks = blocks_of<T>(p.units), hp = blocks * kLanes<T>;
    const bool fused = stays_in_registers<C>(p.activation, p.recurrent_activation);
    T* scaled = p.scratch;                 // (copies, rows, H)
    T* raw = p.scratch + 4 * p.rows * hp;  // (rows, V Hp), where gates are needed and not kept
    for (Index s = 0; s < p.steps; ++s) {
        if (s % kStepsBetweenAsking == kStepsBetweenAsking - 1 && p.interrupted && p.interrupted()) return;
        ForwardStep<T> step = forward_step(p, s);
        if (!step.gates) step.gates = fused ? nullptr : raw, step.gates_at = Strides{kV * hp, 0, kV * kLanes<T>};
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
        // A few rows are bound by the reading of weights: walked to and fro, what the caches hold of them is of use
        // again.
        const bool reversed = (s % 2 == 1) != p.reversed;
        if (p.rows <= kFewRows && p.steps == 1) for_blocks<kWideOneStep, kV, kFewRows>(blocks, p.rows, tile, reversed);
        else if (p.rows <= kFewRows) for_blocks<kWideFewRows, kV, kFewRows>(blocks, p.rows, tile, reversed);
        else for_blocks<kWide, kV>(blocks, p.rows, tile);
        if (!fused) update_rows<C>(p, step);
        if (p.mask) hold_masked_rows(p, step);
    }
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
