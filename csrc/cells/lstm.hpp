// LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000), rec the recurrent activation:
//   i, f, o = rec(b + x W + h U),  g = act(b + x W + h U),  c = f c_{t-1} + i g,  h = o y,  y = act(c)
#pragma once

#include "../kernels/cell.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

struct Lstm {
    static constexpr CellInfo kInfo = info(Cell::kLstm);
    enum { kI, kF, kG, kO };
    static constexpr Pass kPasses[] = {Pass::kRecurrentActivation, Pass::kRecurrentActivation, Pass::kActivation,
                                       Pass::kRecurrentActivation};
    static constexpr int kLast = kO;

    template <class V>
    PYRNN_INLINE
    static V inner(const V (&gate)[4], const V& c) { return gate[kF] * c + rounded(gate[kI] * gate[kG]); }
    template <bool, class V>
    PYRNN_INLINE
    static V output(const V (&gate)[4], const V& y, const V&) { return gate[kO] * y; }

    template <class V>
    PYRNN_INLINE
    static V gradient_of_y(const V (&gate)[4], const V& dh) { return dh * gate[kO]; }
    template <class V>
    PYRNN_INLINE
    static Gradients<V, 4> gradients(const V (&gate)[4], const V& y, const V& c, const V& dh, const V& dc) {
        return {{dc * gate[kG], dc * c, dc * gate[kI], dh * y}, dc * gate[kF]};
    }
};

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
