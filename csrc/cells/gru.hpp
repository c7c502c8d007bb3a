// GRU (Cho et al. 2014), rec the recurrent activation:
//   z, r = rec(b + x W + h_{t-1} U),  h = z h_{t-1} + (1 - z) g
//   reset after:   g = act(b_W + x W_h + r q),  q = b_U + h_{t-1} U_h   (Keras's default, and cuDNN's)
//   reset before:  g = act(b + x W_h + (r h_{t-1}) U_h)
//
// The vectors are in the order g, z, r, q, so that x W fills three in a row and h U another three.
#pragma once

#include "../kernels/cell.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

struct GruOutput {
    enum { kG, kZ, kR, kQ };
    static constexpr int kLast = kZ;

    // The shorter form would be NaN where an unbounded activation made g infinite.
    template <bool kBounded, class V, int kV>
    PYRNN_INLINE
    static V output(const V (&gate)[kV], const V& g, const V& h) {
        if constexpr (kBounded) return g + gate[kZ] * (h - g);
        else return gate[kZ] * h + rounded((1 - gate[kZ]) * g);
    }
    template <class V, int kV>
    PYRNN_INLINE
    static V gradient_of_y(const V (&gate)[kV], const V& dh) { return dh * (1 - gate[kZ]); }
};

struct Gru : GruOutput {
    static constexpr CellInfo kInfo = info(Cell::kGru);
    static constexpr Pass kPasses[] = {Pass::kUnchanged, Pass::kRecurrentActivation, Pass::kRecurrentActivation,
                                       Pass::kUnchanged};

    template <class V>
    PYRNN_INLINE
    static V inner(const V (&gate)[4], const V&) { return gate[kG] + gate[kR] * gate[kQ]; }
    template <class V>
    PYRNN_INLINE
    static Gradients<V, 4> gradients(const V (&gate)[4], const V& g, const V& h, const V& dh, const V& dg) {
        return {{dg, dh * (h - g), dg * gate[kQ], dg * gate[kR]}, dh * gate[kZ]};
    }
};

// Its candidate needs r of all units first: the scan adds (r h_{t-1}) U_h to g, and takes the gradient of r from the
// product's (kernels/candidate.hpp).
struct GruResetBefore : GruOutput {
    static constexpr CellInfo kInfo = info(Cell::kGruResetBefore);
    static constexpr Pass kPasses[] = {Pass::kUnchanged, Pass::kRecurrentActivation, Pass::kRecurrentActivation};

    template <class V>
    PYRNN_INLINE
    static V inner(const V (&gate)[3], const V&) { return gate[kG]; }
    template <class V>
    PYRNN_INLINE
    static Gradients<V, 3> gradients(const V (&gate)[3], const V& g, const V& h, const V& dh, const V& dg) {
        return {{dg, dh * (h - g), dg}, dh * gate[kZ]};
    }
};

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
