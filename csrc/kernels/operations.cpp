// All kernels except the time loops, for the scalar type PYRNN_SCALAR. Exports one symbol, PYRNN_SYMBOL.
#include "attention.hpp"
#include "gemm.hpp"
#include "gemm_tn.hpp"
#include "layer_norm.hpp"
#include "losses.hpp"
#include "optim.hpp"
#include "pack.hpp"
#include "pool.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

template <class T>
void read_burst(const T* from, Index n, Index repeats) {
    constexpr int kChains = 8;
    Vec<T> acc[kChains] = {};
    for (Index k = 0; k < repeats; ++k)
        for (Index i = 0; i < n; i += kChains * kLanes<T>)
#pragma GCC unroll 8
            for (int c = 0; c < kChains; ++c) acc[c] += load(from + i + c * kLanes<T>);
    for (int c = 0; c < kChains; ++c) __asm__ volatile("" : : "m"(acc[c]));
}

// Chains of multiply-adds, enough to fill four ports of latency 4 where there are 32 registers and two elsewhere. Each
// reads the next chain, so that no product is the same twice; the factor is so small that sums stay as they are.
template <class T>
double fma_burst(Index repeats) {
    constexpr int kChains = PYRNN_TILE_ROWS == 8 ? 24 : 14;
    constexpr int kRounds = 64;
    Vec<T> acc[kChains];
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) acc[i] = splat(T(i + 1));
    Vec<T> factor = splat(T(1e-30));
    for (Index k = 0; k < repeats; ++k) {
        __asm__ volatile("" : "+m"(factor));
        const Vec<T> f = factor;
        for (int round = 0; round < kRounds; ++round)
#pragma GCC unroll 24
            for (int i = 0; i < kChains; ++i) acc[i] += acc[(i + 1) % kChains] * f;
    }
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) __asm__ volatile("" : : "m"(acc[i]));
    return 2.0 * static_cast<double>(repeats) * kRounds * kChains * static_cast<double>(kLanes<T>);
}

template <class T>
constexpr Kernels<T> kernels() {
    return {kLanes<T>,
            pack<T>,
            gemm<T>,
            gemm_tn<T>,
            activate<T>,
            activate_backward<T>,
            pack_gates<T>,
            pack_gates_t<T>,
            add_rows<T>,
            pool_forward<T>,
            pool_backward<T>,
            layer_norm<T>,
            layer_norm_backward<T>,
            weigh<T>,
            weigh_backward<T>,
            additive_scores<T>,
            additive_scores_backward<T>,
            squared_error<T>,
            sgd<T>,
            rmsprop<T>,
            adam<T>,
            fma_burst<T>,
            read_burst<T>};
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE

extern const Kernels<PYRNN_SCALAR> PYRNN_SYMBOL;
const Kernels<PYRNN_SCALAR> PYRNN_SYMBOL = PYRNN_ISA_NAMESPACE::kernels<PYRNN_SCALAR>();

}  // namespace pyrnn
