// y = act(bias + A W) for layers without a time loop.
#pragma once

#include "tile.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

template <class T, int kCols>
struct GemmColumns {
    const Gemm<T>& p;
    Index block, k_all;

    // The tile's part of what is asked for, a line for each k; without it, a line of its panel again and again.
    Ahead<T> prefetch(const Coming<T>& coming, Index row, const T* panel) const {
        constexpr Index kLine = 64 / sizeof(T);
        if (!coming.at) return {panel, 0};
        const Index tiles = blocks_of<T>(p.n) * p.rows, done = block * p.rows + row * kCols;
        return {coming.at + coming.count * done / tiles, kLine};
    }

    template <int kRows>
    void tile(Index row) {
        const Index column = block * kLanes<T>, n = p.n - column;
        const T* panel = p.panels + block * k_all * kLanes<T>;
        Vec<T> acc[kRows][kCols];
        start(acc, p.bias ? p.bias + column : nullptr);
        if (p.coming[0].at) {
            for (int half = 0; half < 2; ++half) {
                const Index first = half * p.length / 2, end = (half + 1) * p.length / 2;
                accumulate<1, 0, 1, 2>(acc, p.a + row * p.lda + first, p.lda, panel + first * kLanes<T>,
                                       k_all * kLanes<T>, kLanes<T>, end - first,
                                       prefetch(p.coming[2 * half], row, panel),
                                       prefetch(p.coming[2 * half + 1], row, panel));
            }
        } else {
            for (Index s = 0; s < p.ranges; ++s)
                accumulate<1, 0, 1>(acc, p.a + row * p.lda + s * p.offset, p.lda, panel + s * p.length * kLanes<T>,
                                    k_all * kLanes<T>, kLanes<T>, p.length);
        }
        T* y = p.y + row * p.ldy + column;
        if (p.accumulate) add_existing(acc, y, p.ldy, n);
        if (p.z) write(acc, p.z + row * p.ldy + column, p.ldy, n);
        activate_registers<T>(p.activation, acc);
        write(acc, y, p.ldy, n);
    }
};

template <class T>
void gemm(const Gemm<T>& p) {
    const Index blocks = blocks_of<T>(p.n), k_all = p.ranges * p.length;
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

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
