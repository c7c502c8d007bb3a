// SimpleRNN (Elman 1990): h_t = act(a), a = b + x_t W + h_{t-1} U.
//
// Backward: dA_t = dh_t act'(h_t). Training saves only h, and a where act' needs it.
#pragma once

#include "../kernels/cell.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

struct SimpleRnn {
    static constexpr CellInfo kInfo = info(Cell::kSimpleRnn);
    static constexpr Pass kPasses[] = {Pass::kUnchanged};
    static constexpr int kLast = 0;

    template <class V>
    PYRNN_INLINE
    static V inner(const V (&gate)[1], const V&) { return gate[0]; }
    template <bool, class V>
    PYRNN_INLINE
    static V output(const V (&)[1], const V& y, const V&) { return y; }

    template <class V>
    PYRNN_INLINE
    static V gradient_of_y(const V (&)[1], const V& dh) { return dh; }
    template <class V>
    PYRNN_INLINE
    static Gradients<V, 1> gradients(const V (&)[1], const V&, const V&, const V&, const V& d_inner) {
        return {{d_inner}, d_inner};
    }
};

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
