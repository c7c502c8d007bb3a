// GRU (Cho et al. 2014), rec the recurrent activation:
//   z, r = rec(b + x W + h_{t-1} U),  h = z h_{t-1} + (1 - z) g
//   reset after:   g = act(b_W + x W_h + r q),  q = b_U + h_{t-1} U_h   (Keras's default, and cuDNN's)
//   reset before:  g = act(b + x W_h + (r h_{t-1}) U_h)
//
// Vectors: g, z, r, q, so that x W fills a run of three and h U another. Kept for backward in the place where dA will
// stand; the dA of q is that of g times r.
#pragma once

#include "../kernels/scan_backward.hpp"
#include "../kernels/scan_forward.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

// h = z h_{t-1} + (1 - z) g over a row. Written as g + z (h_{t-1} - g) it would be NaN where g is infinite.
template <int kVectors, int kG, int kZ, class T>
void mix(const GateRow<kVectors, T>& gates, const T* held, T* h, Index units) {
    constexpr Index kP = kLanes<T>;
    for (Index b = 0; b * kP < units; ++b) {
        const Index left = units - b * kP;
        const Vec<T> g = load(gates.vector(b, kG)), before = held ? load_columns(held + b * kP, left) : Vec<T>{};
        const Vec<T> z = load(gates.vector(b, kZ));
        store_columns(h + b * kP, z * before + rounded<T>((T(1) - z) * g), left);
    }
}
// What dh is to z and g, before their activations, into dz and dg; and what of it reaches h_{t-1} without passing U.
template <int kVectors, int kG, int kZ, class T>
void split_dh(const GateRow<kVectors, T>& gates, const T* held, const T* dh, T* dz, T* dg, T* direct, Index units) {
    constexpr Index kP = kLanes<T>;
    for (Index b = 0, at = 0; at < units; ++b, at += kP) {
        const Vec<T> d = load(dh + at), g = load(gates.vector(b, kG)), z = load(gates.vector(b, kZ));
        const Vec<T> before = held ? load_columns(held + at, units - at) : Vec<T>{};
        store(dz + at, d * (before - g)), store(dg + at, d * (T(1) - z)), store(direct + at, d * z);
    }
}

struct Gru {
    static constexpr CellInfo kInfo = info(Cell::kGru);
    static constexpr bool kDirect = true;
    enum { kG, kZ, kR, kQ, kV };
    static bool fused(Activation activation, Activation recurrent) {
        return activation == Activation::kTanh && recurrent == Activation::kSigmoid;
    }

    template <class T>
    static const T* reads(const BackwardStep<T>& step) {
        return step.s > 0 ? step.held : nullptr;  // the initial state has a stride of its own
    }

    template <class T, int kRows, int kCols>
    PYRNN_INLINE
    static void forward(const RnnForward<T>& p, const ForwardStep<T>& step, Vec<T> (&acc)[kRows][kCols], Index row,
                        Index block) {
        constexpr Index kP = kLanes<T>;
        const Index ld_state = p.state_row;
        constexpr int kBlocks = kCols / kV;
        side_by_side<kRows * kBlocks>([&](auto first, auto count) __attribute__((always_inline)) {
            constexpr int kFirst = decltype(first)::value, kCount = decltype(count)::value;
            const auto row_of = [&](int n) { return row + (kFirst + n) / kBlocks; };
            const auto block_of = [&](int n) { return block + (kFirst + n) % kBlocks; };
            const auto gate = [&](int j) {
                Several<T, kCount> a;
#pragma GCC unroll 16
                for (int n = 0; n < kCount; ++n) a.v[n] = acc[(kFirst + n) / kBlocks][(kFirst + n) % kBlocks * kV + j];
                return a;
            };
            const auto r = vector_sigmoid(gate(kR)), q = gate(kQ), g = vector_tanh(gate(kG) + r * q),
                       z = vector_sigmoid(gate(kZ));
#pragma GCC unroll 16
            for (int n = 0; n < kCount; ++n) {
                const Index at = block_of(n) * kP, left = p.units - at;
                const Vec<T> h = step.held ? load_columns(step.held + row_of(n) * step.ld_held + at, left) : Vec<T>{};
                store_columns(step.state + row_of(n) * ld_state + at, g.v[n] + z.v[n] * (h - g.v[n]), left);
            }
            if (!step.gates) return;
#pragma GCC unroll 16
            for (int n = 0; n < kCount; ++n) {
                T* kept = step.gates + row_of(n) * step.gates_at.row + block_of(n) * step.gates_at.block;
                store(kept + kG * kP, g.v[n]), store(kept + kZ * kP, z.v[n]), store(kept + kR * kP, r.v[n]),
                    store(kept + kQ * kP, q.v[n]);
            }
        });
    }

    template <class T>
    static void forward_rows(const RnnForward<T>& p, const ForwardStep<T>& step) {
        constexpr Index kP = kLanes<T>;
        const Index hp = blocks_of<T>(p.units) * kP;
        T* temporary = p.scratch + 10 * p.rows * hp;
        for (Index i = 0; i < p.rows; ++i) {
            const GateRow<kV, T> gates(step.gates, step.gates_at, i);
            const GateRow<kV, T> pre(step.z, p.gates_at, i);
            T* h = step.state + i * p.state_row;
            const T* held = step.held ? step.held + i * step.ld_held : nullptr;
            activate_gate<kV>(p.recurrent_activation, gates, kZ, p.units, temporary);
            activate_gate<kV>(p.recurrent_activation, gates, kR, p.units, temporary);
            for (Index b = 0; b < blocks_of<T>(p.units); ++b) {
                const Vec<T> g = load(gates.vector(b, kG)) + load(gates.vector(b, kR)) * load(gates.vector(b, kQ));
                store(gates.vector(b, kG), g);
                if (pre.first) store(pre.vector(b, kG), g);
            }
            activate_gate<kV>(p.activation, gates, kG, p.units, temporary);
            mix<kV, kG, kZ>(gates, held, h, p.units);
        }
    }

    template <class T, int kRows, int kBlocks>
    PYRNN_INLINE
    static void backward(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>& running,
                         Vec<T> (&dh)[kRows][kBlocks], Index row, Index block) {
        constexpr Index kP = kLanes<T>;
        const Index hp = blocks_of<T>(p.units) * kP;
        Lanes<T> lanes[kBlocks];
#pragma GCC unroll 4
        for (int b = 0; b < kBlocks; ++b) lanes[b] = lanes_before_end<T>(p.units - (block + b) * kP);
#pragma GCC unroll 16
        for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
            for (int b = 0; b < kBlocks; ++b) {
                const Index at = (block + b) * kP;
                T* gates = step.gates + (row + i) * p.gates_at.row + (block + b) * p.gates_at.block;
                const Vec<T> g = load(gates + kG * kP), z = load(gates + kZ * kP), r = load(gates + kR * kP);
                const Vec<T> q = load(gates + kQ * kP);
                const Vec<T> h =
                    step.held ? load_columns(step.held + (row + i) * step.ld_held + at, p.units - at) : Vec<T>{};
                const Vec<T> dg = cleared(dh[i][b] * (T(1) - z) * (T(1) - g * g), lanes[b]);
                store(gates + kG * kP, dg);
                store(gates + kZ * kP, cleared(dh[i][b] * (h - g) * (z * (T(1) - z)), lanes[b]));
                store(gates + kR * kP, cleared(dg * q * (r * (T(1) - r)), lanes[b]));
                store(gates + kQ * kP, cleared(dg * r, lanes[b]));
                store(running.direct + (row + i) * hp + at, dh[i][b] * z);
            }
        }
    }

    template <class T>
    static void backward_rows(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>& running) {
        constexpr Index kP = kLanes<T>;
        const Index hp = blocks_of<T>(p.units) * kP, units = p.units;
        T *d = p.scratch + 10 * p.rows * hp, *dg = d + hp, *temporary = d + 2 * hp;
        for_kept_rows<Gru>(p, step, running, [&](Index i) {
            const GateRow<kV, T> gate(step.gates, p.gates_at, i);
            const GateRow<kV, const T> pre(step.z, p.gates_at, i);
            T *dh = running.dh + i * hp, *direct = running.direct + i * hp;
            const T* held = step.held ? step.held + i * step.ld_held : nullptr;
            split_dh<kV, kG, kZ>(gate, held, dh, d, dg, direct, units);
            differentiate_gate<kV>(p.recurrent_activation, gate, pre, kZ, units, d, temporary);
            differentiate_gate<kV>(p.activation, gate, pre, kG, units, dg, temporary);
            for (Index b = 0, at = 0; at < hp; ++b, at += kP) {
                const Vec<T> da = load(gate.vector(b, kG));
                store(d + at, da * load(gate.vector(b, kQ)));
                store(gate.vector(b, kQ), cleared(da * load(gate.vector(b, kR)), lanes_before_end<T>(units - at)));
            }
            differentiate_gate<kV>(p.recurrent_activation, gate, pre, kR, units, d, temporary);
        });
    }
};

// Its candidate needs r of all units first, so a step goes over the rows twice with a product in between.
struct GruResetBefore {
    static constexpr CellInfo kInfo = info(Cell::kGruResetBefore);
    static constexpr bool kDirect = true;
    enum { kG, kZ, kR, kV };
    static bool fused(Activation, Activation) { return false; }

    template <class T>
    static const T* reads(const BackwardStep<T>& step) {
        return step.s > 0 ? step.held : nullptr;  // the initial state has a stride of its own
    }

    template <class T, int kRows, int kCols>
    PYRNN_INLINE
    static void forward(const RnnForward<T>&, const ForwardStep<T>&, Vec<T> (&)[kRows][kCols], Index, Index) {}
    template <class T, int kRows, int kBlocks>
    PYRNN_INLINE
    static void backward(const RnnBackward<T>&, const BackwardStep<T>&, const Running<T>&, Vec<T> (&)[kRows][kBlocks],
                         Index, Index) {}

    template <class T>
    static void forward_rows(const RnnForward<T>& p, const ForwardStep<T>& step) {
        constexpr Index kP = kLanes<T>;
        const Index hp = blocks_of<T>(p.units) * kP, units = p.units;
        T *reset = p.scratch + 8 * p.rows * hp, *product = p.scratch + 9 * p.rows * hp,
          *temporary = p.scratch + 10 * p.rows * hp;
        const T* entering = step.entering ? step.entering + 2 * step.entering_copy : nullptr;
        for (Index i = 0; i < p.rows; ++i) {
            const GateRow<kV, T> gates(step.gates, step.gates_at, i);
            activate_gate<kV>(p.recurrent_activation, gates, kZ, units, temporary);
            activate_gate<kV>(p.recurrent_activation, gates, kR, units, temporary);
            if (entering)
                for (Index u = 0; u < units; ++u)
                    reset[i * units + u] = gates(kR, u) * entering[i * step.ld_entering + u];
        }
        if (entering)
            gemm<T>({reset, units, p.rows, 1, units, 0, p.candidate_panels, nullptr, units, product, hp, nullptr,
                     Activation::kLinear, false});
        for (Index i = 0; i < p.rows; ++i) {
            const GateRow<kV, T> gates(step.gates, step.gates_at, i);
            const GateRow<kV, T> pre(step.z, p.gates_at, i);
            T* h = step.state + i * p.state_row;
            const T* held = step.held ? step.held + i * step.ld_held : nullptr;
            for (Index u = 0; u < units; ++u) {
                T& g = gates(kG, u);
                if (entering) g += product[i * hp + u];
                if (pre.first) pre(kG, u) = g;
            }
            activate_gate<kV>(p.activation, gates, kG, units, temporary);
            mix<kV, kG, kZ>(gates, held, h, units);
        }
    }

    template <class T>
    static void backward_rows(const RnnBackward<T>& p, const BackwardStep<T>& step, const Running<T>& running) {
        constexpr Index kP = kLanes<T>;
        const Index hp = blocks_of<T>(p.units) * kP, units = p.units;
        T *da = p.scratch + 8 * p.rows * hp, *product = p.scratch + 9 * p.rows * hp;
        T *d = p.scratch + 10 * p.rows * hp, *dg = d + hp, *temporary = d + 2 * hp;
        std::memset(da, 0, static_cast<std::size_t>(p.rows * hp) * sizeof(T));
        for_kept_rows<GruResetBefore>(p, step, running, [&](Index i) {
            const GateRow<kV, T> gate(step.gates, p.gates_at, i);
            const GateRow<kV, const T> pre(step.z, p.gates_at, i);
            T *dh = running.dh + i * hp, *direct = running.direct + i * hp;
            const T* held = step.held ? step.held + i * step.ld_held : nullptr;
            split_dh<kV, kG, kZ>(gate, held, dh, d, dg, direct, units);
            differentiate_gate<kV>(p.recurrent_activation, gate, pre, kZ, units, d, temporary);
            differentiate_gate<kV>(p.activation, gate, pre, kG, units, dg, temporary);
            for (Index u = 0; u < units; ++u) da[i * hp + u] = gate(kG, u);
        });
        gemm<T>({da, hp, p.rows, 1, hp, 0, p.candidate_t_panels, nullptr, units, product, hp, nullptr,
                 Activation::kLinear, false});
        for (Index i = 0; i < p.rows; ++i) {
            T* reset = p.reset_states + i * p.reset_row + step.s * units;
            if (p.mask && !p.mask[i * p.mask_row + step.time]) {
                for (Index u = 0; u < units; ++u) reset[u] = T(0);
                continue;
            }
            const GateRow<kV, T> gate(step.gates, p.gates_at, i);
            const GateRow<kV, const T> pre(step.z, p.gates_at, i);
            const T* held = step.held ? step.held + i * step.ld_held : nullptr;
            const T* scale =
                p.state_scale ? p.state_scale + (p.scale_copies > 1 ? 2 : 0) * p.scale_copy + i * units : nullptr;
            for (Index u = 0; u < units; ++u) {
                const T r = gate(kR, u), factor = scale ? scale[u] : T(1);
                const T entered = held ? held[u] * factor : T(0);
                d[u] = product[i * hp + u] * entered;
                reset[u] = r * entered;
                running.direct[i * hp + u] += product[i * hp + u] * r * factor;
            }
            differentiate_gate<kV>(p.recurrent_activation, gate, pre, kR, units, d, temporary);
        }
    }
};

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
