// The time loop backward: a step's tiles start from dA_{s+1} U^T, add d output_s and end in gradient_tile.
#pragma once

#include "step_backward.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

// A range of the sum dA_{s+1} U^T: over the unit blocks [first, end) of dA.
struct Span { Index first, end; };

// acc += that range for the kRows x kBlocks tile, each gate scaled under recurrent dropout (then the span is whole).
// Meanwhile prefetch(r) is called once for each row of the tile.
template <class C, class T, int kRows, int kBlocks, class Prefetch>
PYRNN_INLINE
void recurrent_product(const RnnBackward<T>& p, const UnitBlocks& mine, Vec<T> (&acc)[kRows][kBlocks], const T* da,
                       Index row, Index block, const Span& span, const Prefetch& prefetch) {
    constexpr Index kP = kLanes<T>, kV = C::kInfo.vectors, kU = C::kInfo.u_count, kRun = kU * kP;
    const Index blocks = blocks_of<T>(p.units), k_all = blocks * kRun, column = block * kP;
    const T* panel = p.weights.u + block * k_all * kP;
    const Index ld_da = p.saved.gates_at.row;
    da += row * ld_da + C::kInfo.u_first * kP;
    if (!p.in.state_scale || p.in.scale_copies == 1) {
        Ahead<T> ahead = ahead_of<kRows, kBlocks, 1>(p.options.streamed, p.weights.u, block, mine, k_all, row, p.rows);
        if (ahead.at) ahead.at += span.first * kRun * ahead.step;
        const Index width = span.end - span.first, runs = kU == kV && p.saved.gates_at.block == kV * kP ? 1 : width;
        const Index run = width / runs * kRun;
        const T *from = da + span.first * p.saved.gates_at.block, *weights = panel + span.first * kRun * kP;
        for (Index i = 0; i < runs; ++i, from += p.saved.gates_at.block, weights += run * kP) {
            for (Index r = i; r < kRows; r += runs) prefetch(r);
            if (ahead.at) accumulate<1, 0, 1, true>(acc, from, ld_da, weights, k_all * kP, kP, run, ahead);
            else accumulate<1, 0, 1>(acc, from, ld_da, weights, k_all * kP, kP, run);
            if (ahead.at) ahead.at += run * ahead.step;
        }
        if (!p.in.state_scale) return;
    }
    const Index n = p.units - column;
    for (Index g = 0; g < (p.in.scale_copies == 1 ? 1 : kU); ++g) {
        Vec<T> sum[kRows][kBlocks];
        if (p.in.scale_copies == 1) {
#pragma GCC unroll 16
            for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
                for (int b = 0; b < kBlocks; ++b) sum[r][b] = acc[r][b];
        } else {
            start(sum, static_cast<const T*>(nullptr));
            for (Index b = 0; b < blocks; ++b)
                accumulate<1, 0, 1>(sum, da + b * p.saved.gates_at.block + g * kP, ld_da,
                                    panel + (b * kU + g) * kP * kP, k_all * kP, kP, kP);
        }
        const T* scale = p.in.state_scale + g * p.in.scale_copy + row * p.units + column;
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
            for (int b = 0; b < kBlocks; ++b) {
                const Vec<T> scaled = rounded<T>(sum[r][b] * load_columns(scale + r * p.units + b * kP, n - b * kP));
                acc[r][b] = g == 0 ? scaled : acc[r][b] + scaled;
            }
    }
}

// Prefetches what the next step will read and write of a row.
template <class C, int kBlocks, class T>
PYRNN_INLINE
void prefetch_next_step(const RnnBackward<T>& p, const BackwardStep<T>& step, Index row, Index block) {
    constexpr Index kP = kLanes<T>;
    const Index column = block * kP, units = p.units;
    const T* h = saved_state<C>(step);
    prefetch_row<kBlocks, C::kInfo.vectors>(
        step.gates + row * p.saved.gates_at.row + block * p.saved.gates_at.block - p.saved.gates_at.step,
        p.saved.gates_at);
    if (h) prefetch_row<kBlocks, 1>(h + row * p.state_row + column - units, Strides{0, 0, kP});
    if (p.saved.carry)
        prefetch_row<kBlocks, 2>(
            step.carry_in + row * p.saved.carry_at.row + block * p.saved.carry_at.block - p.saved.carry_at.step,
            p.saved.carry_at);
    if (p.sequences && step.d_output)
        prefetch_row<kBlocks, 1>(step.d_output + row * step.ld_output + column - units, Strides{0, 0, kP});
}

template <class T, class C, int kBlocks>
struct BackwardTile {
    const RnnBackward<T>& p;
    const BackwardStep<T>& step;
    const BackwardScratch<T>& scratch;
    bool fused;
    Span span;
    Index block;

    template <int kRows>
    void tile(Index row) {
        constexpr Index kP = kLanes<T>;
        const Index column = block * kP, blocks = blocks_of<T>(p.units), hp = blocks * kP, n = p.units - column;
        T* const sum = scratch.dh + row * hp + column;
        Vec<T> dh[kRows][kBlocks];
        start(dh, static_cast<const T*>(nullptr));
        if (span.first > 0) add_existing(dh, sum, hp, kBlocks * kP);
        // Row by row during the product, so that it does not delay the weights.
        const auto prefetch = [&](Index r) __attribute__((always_inline)) {
            if (step.s >= 2 && span.end == blocks) prefetch_next_step<C, kBlocks>(p, step, row + r, block);
        };
        if (step.product)
            recurrent_product<C>(p, step.mine, dh, step.gates + p.saved.gates_at.step, row, block, span, prefetch);
        if (span.end < blocks) return write(dh, sum, hp, kBlocks * kP);
        if (step.direct) add_existing(dh, scratch.direct + row * hp + column, hp, kBlocks * kP);
        if (step.d_output) {
            const T* d = step.d_output + row * step.ld_output + column;
            if (p.in.mask && p.zero_output_for_mask) {
#pragma GCC unroll 16
                for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
                    for (int b = 0; b < kBlocks; ++b)
                        if (p.in.mask[(row + r) * p.in.mask_row + step.time])
                            dh[r][b] += load_columns(d + r * step.ld_output + b * kP, n - b * kP);
            } else {
                add_existing(dh, d, step.ld_output, n);
            }
        }
        if (fused && !p.in.mask) gradient_tile<C>(p, step, scratch, dh, row, block);
        else write(dh, sum, hp, kBlocks * kP);
    }
};

// Steps under a mask whose activations are computed in registers.
template <class T, class C>
void finish_masked_rows(const RnnBackward<T>& p, const BackwardStep<T>& step, const BackwardScratch<T>& scratch) {
    constexpr Index kP = kLanes<T>;
    const Index blocks = blocks_of<T>(p.units);
    for_unmasked_rows<C>(p, step, scratch, [&](Index r) {
        for (Index block = step.mine.first; block < step.mine.end; ++block) {
            Vec<T> dh[1][1] = {{load(scratch.dh + (r * blocks + block) * kP)}};
            gradient_tile<C>(p, step, scratch, dh, r, block);
        }
    });
}

// As for plain_forward.
template <class C, class T>
bool is_plain(const RnnBackward<T>& p) {
    return stays_in_registers<C>(p.options.activation, p.options.recurrent_activation) &&
           plain_rows<1>(blocks_of<T>(p.units), p.rows) && !p.in.mask && !p.in.state_scale && !p.saved.z &&
           !p.options.streamed && !p.member.next_step;
}

// The steps end - 1 to first.
template <class T, class C, bool kPrefetches>
void plain_backward(const RnnBackward<T>& problem, const BackwardScratch<T>& memory, Index first, Index end) {
    const RnnBackward<T> p = problem;  // copies: no store can change them
    const BackwardScratch<T> scratch = memory;
    constexpr int kV = C::kInfo.vectors, kU = C::kInfo.u_count;
    constexpr Index kP = kLanes<T>, kRun = kU * kP;
    const Index blocks = blocks_of<T>(p.units), hp = blocks * kP, k_all = blocks * kRun;
    const bool one_run = kU == kV && p.saved.gates_at.block == kV * kP;
    const Index runs = one_run ? 1 : blocks, run = one_run ? k_all : kRun;
    for (Index s = end - 1; s >= first; --s) {
        const BackwardStep<T> step = backward_step<C>(p, s, kPassesBy<C>);
        for_plain_tiles<1>(
            blocks, p.rows, [&](auto wide, auto height, Index block, Index row) __attribute__((always_inline)) {
                constexpr int kBlocks = decltype(wide)::value, kRows = decltype(height)::value;
                if constexpr (kPrefetches) {
                    if (s >= 2)
#pragma GCC unroll 16
                        for (int r = 0; r < kRows; ++r) prefetch_next_step<C, kBlocks>(p, step, row + r, block);
                }
                Vec<T> dh[kRows][kBlocks];
                start(dh, static_cast<const T*>(nullptr));
                if (step.product) {
                    const T* from =
                        step.gates + p.saved.gates_at.step + row * p.saved.gates_at.row + C::kInfo.u_first * kP;
                    const T* panel = p.weights.u + block * k_all * kP;
                    for (Index i = 0; i < runs; ++i, from += p.saved.gates_at.block, panel += run * kP)
                        accumulate<1, 0, 1>(dh, from, p.saved.gates_at.row, panel, k_all * kP, kP, run);
                }
                if (step.direct) add_existing(dh, scratch.direct + row * hp + block * kP, hp, kBlocks * kP);
                if (step.d_output)
                    add_existing(dh, step.d_output + row * step.ld_output + block * kP, step.ld_output,
                                 p.units - block * kP);
                gradient_tile<C>(p, step, scratch, dh, row, block);
            });
    }
}

// Asks for what the other members have in their caches: dA_{s+1}.
template <class C, class T>
void enter_gradients(const RnnBackward<T>& p, const BackwardStep<T>& step) {
    const T* const da = step.gates + p.saved.gates_at.step;
    for (Index b = 0; b < blocks_of<T>(p.units); ++b) {
        if (b == step.mine.first) b = step.mine.end;
        if (b == blocks_of<T>(p.units)) return;
        for (Index r = 0; r < p.rows; ++r)
            for (int j = C::kInfo.u_first; j < C::kInfo.vectors; ++j)
                __builtin_prefetch(da + b * p.saved.gates_at.block + r * p.saved.gates_at.row + j * kLanes<T>, 0, 2);
    }
}

// The steps after the first `done`, in the order of computation.
template <class T, class C>
void any_backward(const RnnBackward<T>& p, const BackwardScratch<T>& scratch, Index done) {
    constexpr Index kP = kLanes<T>, kV = C::kInfo.vectors;
    const Index blocks = blocks_of<T>(p.units);
    const bool fused = stays_in_registers<C>(p.options.activation, p.options.recurrent_activation),
               keeps_direct = kPassesBy<C> || p.in.mask || !fused;
    // Every pair of unit blocks reads dA_{s+1} again: in a large layer, as much at a time as stays in L2 next to the
    // weights.
    constexpr Index kSpanBytes = Index{1} << 19;
    const Index block_bytes = p.rows * kV * kP * static_cast<Index>(sizeof(T)), fitting = kSpanBytes / block_bytes + 1;
    const Index width = p.options.streamed && !p.in.state_scale && fitting < blocks ? fitting : blocks;
    const Index count = p.steps + (p.d_initial_state ? 1 : 0);
    UnitBlocks mine{0, blocks};
    for (Index i = next_step(p, done - 1, mine); i < count; i = next_step(p, i, mine)) {
        const Index s = p.steps - 1 - i;
        if (s % kStepsBetweenChecks == kStepsBetweenChecks - 1 && p.options.interrupted && p.options.interrupted())
            return;
        BackwardStep<T> step = backward_step<C>(p, s, keeps_direct);
        step.mine = mine;
        if (p.member.next_step && step.product) enter_gradients<C>(p, step);
        const bool in_registers = fused && s >= 0;
        const Index step_width = step.product ? width : blocks;
        for (Index first = 0; first < blocks; first += step_width) {
            const Span span{first, first + step_width < blocks ? first + step_width : blocks};
            for_blocks<2, 1>(
                mine.end, p.rows,
                [&](auto wide, Index block) {
                    return BackwardTile<T, C, decltype(wide)::value>{p, step, scratch, in_registers, span, block};
                },
                false, mine.first);
        }
        if (s < 0) continue;
        if (!fused) gradient_rows<C>(p, step, scratch);
        else if (p.in.mask) finish_masked_rows<T, C>(p, step, scratch);
    }
}

template <class T, class C>
void scan_backward(const RnnBackward<T>& p) {
    const BackwardScratch<T> scratch(p.scratch, p.rows, blocks_of<T>(p.units) * kLanes<T>);
    const bool plain = kEveryTile && is_plain<C>(p);
    // Gradients at every step come from a layer above, whose backward has displaced most of this one's data from L2.
    const bool prefetches = (p.sequences && p.d_output) || exceeds_cache<T, C>(p.rows, p.steps, p.units);
    const auto steps = prefetches ? plain_backward<T, C, true> : plain_backward<T, C, false>;
    for (Index end = plain ? p.steps : 0; end > 0; end -= kStepsBetweenChecks) {
        if (end < p.steps && p.options.interrupted && p.options.interrupted()) return;
        steps(p, scratch, end > kStepsBetweenChecks ? end - kStepsBetweenChecks : 0, end);
    }
    if (!plain || p.d_initial_state) any_backward<T, C>(p, scratch, plain ? p.steps : 0);
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
