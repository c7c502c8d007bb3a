// The time loop backward: a step's tiles start from dA_{s+1} U^T, take in d output_s and end in Cell::backward.
#pragma once

#include "step_backward.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

// A part of the sum dA_{s+1} U^T: over the unit blocks [first, end) of dA.
struct Span { Index first, end; };

// acc += that part for the kRows x kBlocks tile, each gate scaled where recurrent dropout says so (then the span is
// whole). On the way ask(r) is called once for each row of the tile.
template <class C, class T, int kRows, int kBlocks, class Ask>
PYRNN_INLINE
void recurrent_product(const RnnBackward<T>& p, Vec<T> (&acc)[kRows][kBlocks], const T* da, Index row, Index block,
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
                accumulate<1, 0, 1>(part, da + b * p.gates_at.block + g * kP, ld_da, panel + (b * kU + g) * kP * kP,
                                    k_all * kP, kP, kP);
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

// Asks for what the next step will read and write of a row.
template <class C, int kBlocks, class T>
PYRNN_INLINE
void ask_for_next_step(const RnnBackward<T>& p, const BackwardStep<T>& step, Index row, Index block) {
    constexpr Index kP = kLanes<T>;
    const Index column = block * kP, units = p.units;
    const T* h = saved_state<C>(step);
    prefetch_row<kBlocks, C::kInfo.vectors>(
        step.gates + row * p.gates_at.row + block * p.gates_at.block - p.gates_at.step, p.gates_at);
    if (h) prefetch_row<kBlocks, 1>(h + row * p.state_row + column - units, Strides{0, 0, kP});
    if (p.carry)
        prefetch_row<kBlocks, 2>(step.carry_in + row * p.carry_at.row + block * p.carry_at.block - p.carry_at.step,
                                 p.carry_at);
    if (p.sequences && step.d_output)
        prefetch_row<kBlocks, 1>(step.d_output + row * step.ld_output + column - units, Strides{0, 0, kP});
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
        // Row by row during the product, so that it does not hold up the weights.
        const auto ask = [&](Index r) __attribute__((always_inline)) {
            if (step.s >= 2 && span.end == blocks) ask_for_next_step<C, kBlocks>(p, step, row + r, block);
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
                        if (p.mask[(row + r) * p.mask_row + step.time])
                            dh[r][b] += load_columns(d + r * step.ld_output + b * kP, n - b * kP);
            } else {
                add_existing(dh, d, step.ld_output, n);
            }
        }
        if (fused && !p.mask) gradient_tile<C>(p, step, running, dh, row, block);
        else write(dh, sum, hp, kBlocks * kP);
    }
};

// Steps under a mask whose activations could have stayed in registers.
template <class T, class C>
void finish_masked_rows(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>& running) {
    constexpr Index kP = kLanes<T>;
    const Index blocks = blocks_of<T>(p.units);
    for_kept_rows<C>(p, step, running, [&](Index r) {
        for (Index block = 0; block < blocks; ++block) {
            Vec<T> dh[1][1] = {{load(running.dh + (r * blocks + block) * kP)}};
            gradient_tile<C>(p, step, running, dh, r, block);
        }
    });
}

// As for plain_forward.
template <class C, class T>
bool is_plain(const RnnBackward<T>& p) {
    return stays_in_registers<C>(p.activation, p.recurrent_activation) &&
           plain_rows<1>(blocks_of<T>(p.units), p.rows) && !p.mask && !p.state_scale && !p.z && !p.streamed;
}

// The steps end - 1 to first.
template <class T, class C, bool kAsks>
void plain_backward(const RnnBackward<T>& given, const Running<T>& given_running, Index first, Index end) {
    const RnnBackward<T> p = given;  // copies, as in plain_forward
    const Running<T> running = given_running;
    constexpr int kV = C::kInfo.vectors, kU = C::kInfo.u_count;
    constexpr Index kP = kLanes<T>, kRun = kU * kP;
    const Index blocks = blocks_of<T>(p.units), hp = blocks * kP, k_all = blocks * kRun;
    const bool one_run = kU == kV && p.gates_at.block == kV * kP;
    const Index runs = one_run ? 1 : blocks, run = one_run ? k_all : kRun;
    for (Index s = end - 1; s >= first; --s) {
        const BackwardStep<T> step = backward_step<C>(p, s, kPassesBy<C>);
        for_plain_tiles<1>(
            blocks, p.rows, [&](auto wide, auto height, Index block, Index row) __attribute__((always_inline)) {
                constexpr int kBlocks = decltype(wide)::value, kRows = decltype(height)::value;
                if constexpr (kAsks) {
                    if (s >= 2)
#pragma GCC unroll 16
                        for (int r = 0; r < kRows; ++r) ask_for_next_step<C, kBlocks>(p, step, row + r, block);
                }
                Vec<T> dh[kRows][kBlocks];
                start(dh, static_cast<const T*>(nullptr));
                if (step.product) {
                    const T* from = step.gates + p.gates_at.step + row * p.gates_at.row + C::kInfo.u_first * kP;
                    const T* panel = p.ut_panels + block * k_all * kP;
                    for (Index i = 0; i < runs; ++i, from += p.gates_at.block, panel += run * kP)
                        accumulate<1, 0, 1>(dh, from, p.gates_at.row, panel, k_all * kP, kP, run);
                }
                if (step.direct) add_existing(dh, running.direct + row * hp + block * kP, hp, kBlocks * kP);
                if (step.d_output)
                    add_existing(dh, step.d_output + row * step.ld_output + block * kP, step.ld_output,
                                 p.units - block * kP);
                gradient_tile<C>(p, step, running, dh, row, block);
            });
    }
}

// Step `s` and those before it; false if it was interrupted.
template <class T, class C>
bool any_backward(const RnnBackward<T>& p, const Running<T>& running, Index s) {
    constexpr Index kP = kLanes<T>, kV = C::kInfo.vectors;
    const Index blocks = blocks_of<T>(p.units);
    const bool fused = stays_in_registers<C>(p.activation, p.recurrent_activation),
               keeps_direct = kPassesBy<C> || p.mask || !fused;
    // dA_{s+1} is read again for every pair of unit blocks: of a large layer so much at a time as stays in L2 beside
    // the weights.
    constexpr Index kSpanBytes = Index{1} << 19;
    const Index block_bytes = p.rows * kV * kP * static_cast<Index>(sizeof(T)), fitting = kSpanBytes / block_bytes + 1;
    const Index width = p.streamed && !p.state_scale && fitting < blocks ? fitting : blocks;
    for (; s >= (p.d_initial_state ? -1 : 0); --s) {
        if (s % kStepsBetweenAsking == kStepsBetweenAsking - 1 && p.interrupted && p.interrupted()) return false;
        const BackwardStep<T> step = backward_step<C>(p, s, keeps_direct);
        const bool in_registers = fused && s >= 0;
        const Index piece = step.product ? width : blocks;
        for (Index first = 0; first < blocks; first += piece) {
            const Span span{first, first + piece < blocks ? first + piece : blocks};
            for_blocks<2, 1>(blocks, p.rows, [&](auto wide, Index block) {
                return BackwardTile<T, C, decltype(wide)::value>{p, step, running, in_registers, span, block};
            });
        }
        if (s < 0) break;
        if (!fused) gradient_rows<C>(p, step, running);
        else if (p.mask) finish_masked_rows<T, C>(p, step, running);
    }
    return true;
}

template <class T, class C>
void scan_backward(const RnnBackward<T>& p) {
    const Index h = p.units, hp = blocks_of<T>(h) * kLanes<T>;
    const Running<T> running{p.scratch, p.scratch + p.rows * hp, p.scratch + 2 * p.rows * hp};
    if (!p.continues) {
        std::memset(p.scratch, 0, static_cast<std::size_t>(2 * p.rows * hp) * sizeof(T));
        if (p.d_final_state) copy_rows(running.direct, hp, p.d_final_state, h, p.rows, h);
        if (p.d_final_carry) copy_rows(running.carry, hp, p.d_final_carry, h, p.rows, h);
    }
    const bool plain = is_plain<C>(p);
    // With gradients at every step there is a layer above, whose backward has left little of this one's data in L2.
    const bool asks = (p.sequences && p.d_output) || exceeds_cache<T, C>(p.rows, p.steps, p.units);
    const auto steps = asks ? plain_backward<T, C, true> : plain_backward<T, C, false>;
    for (Index end = plain ? p.steps : 0; end > 0; end -= kStepsBetweenAsking) {
        if (end < p.steps && p.interrupted && p.interrupted()) return;
        steps(p, running, end > kStepsBetweenAsking ? end - kStepsBetweenAsking : 0, end);
    }
    if (!any_backward<T, C>(p, running, plain ? -1 : p.steps - 1) || !p.d_initial_state) return;
    copy_rows(p.d_initial_state, h, running.dh, hp, p.rows, h);
    if (p.carry) copy_rows(p.d_initial_carry, h, running.carry, hp, p.rows, h);
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
