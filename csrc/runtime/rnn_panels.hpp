// The weights of a recurrent layer packed into panels.
#pragma once

#include <cstring>

#include "denormals.hpp"
#include "rnn_layout.hpp"

namespace pyrnn {
namespace {

template <class T>
struct BackwardPanels {
    RnnTransposedWeights<T> recurrent;
    const T* wt;  // W^T, one matrix per gate where dropout differs by gate; null where dx is not wanted
};

template <class T, class Pack>
const T* packed_gates(Workspace& ws, Workspace::Pack which, Index count, std::int64_t version, Pack pack) {
    bool fresh = false;
    T* panels = ws.packed<T>(which, count, version, fresh);
    if (!fresh) pack(panels);
    return panels;
}

// [Hp / P][V][P]: the values that accumulators start from.
template <class T>
void pack_bias(T* panel, const Rnn<T>& p, const Sizes<T>& z) {
    std::memset(panel, 0, bytes<T>(z.width));
    const CellInfo& cell = z.cell;
    for (Index unit = 0; unit < p.units; ++unit) {
        T* at = panel + unit / z.lanes * cell.vectors * z.lanes + unit % z.lanes;
        for (int j = 0; j < cell.gates; ++j)
            at[j * z.lanes] += p.bias[(j + cell.x_shift) % cell.gates * p.units + unit];
        if (cell.bias_rows == 2)
            for (int j = 0; j < cell.u_count; ++j)
                at[(cell.u_first + j) * z.lanes] += p.bias[(cell.gates + j) * p.units + unit];
    }
}

template <class T>
RnnWeights<T> forward_panels(const Rnn<T>& p, const Sizes<T>& z, Workspace& ws) {
    const auto& k = kernels<T>();
    const CellInfo& cell = z.cell;
    RnnWeights<T> panels{};
    panels.w = packed_gates<T>(ws, Workspace::kW, p.features * z.w_width, p.version, [&](T* to) {
        k.pack_gates(to, p.kernel, p.features, p.units, cell.gates, cell.x_shift, cell.gates);
    });
    panels.u = packed_gates<T>(ws, Workspace::kU, p.units * z.u_width, p.version, [&](T* to) {
        k.pack_gates(to, p.recurrent_kernel, p.units, p.units, cell.gates, 0, cell.u_count);
    });
    if (p.bias)
        panels.bias = packed_gates<T>(ws, Workspace::kBias, z.width, p.version, [&](T* to) { pack_bias(to, p, z); });
    if (z.candidate)
        panels.candidate = packed_gates<T>(ws, Workspace::kCandidate, p.units * z.hp, p.version, [&](T* to) {
            k.pack_gates(to, p.recurrent_kernel, p.units, p.units, cell.gates, cell.u_count, 1);
        });
    return panels;
}

// KernelTable::pack_gates_t of `rows` rows of a matrix, split by them.
template <class T>
void pack_transposed(T* panels, const T* w, Index rows, Index units, Index gates, Index shift, Index count) {
    constexpr Index kTaskWeights = Index{1} << 14;
    const auto& k = kernels<T>();
    const Index block = k.lanes * count * padded<T>(units);  // the panels of as many rows as a vector has lanes
    const Index each = kTaskWeights / block + 1, blocks = padded<T>(rows) / k.lanes;
    parallel_for_to_the_end((blocks + each - 1) / each, in_this_mode([&](Index task) {
                                const Index first = task * each * k.lanes;
                                k.pack_gates_t(panels + task * each * block, w + first * gates * units,
                                               std::min(each * k.lanes, rows - first), units, gates, shift, count);
                            }));
}

template <class T>
BackwardPanels<T> backward_panels(const Rnn<T>& p, const Sizes<T>& z, bool need_dx, Workspace& ws) {
    const CellInfo& cell = z.cell;
    const Index f = p.features, h = p.units, fp = padded<T>(f);
    BackwardPanels<T> panels{};
    panels.recurrent.u = packed_gates<T>(ws, Workspace::kUt, z.u_width * z.hp, p.version, [&](T* to) {
        pack_transposed(to, p.recurrent_kernel, h, h, cell.gates, 0, cell.u_count);
    });
    if (z.candidate)
        panels.recurrent.candidate = packed_gates<T>(ws, Workspace::kCandidateT, z.hp * z.hp, p.version, [&](T* to) {
            pack_transposed(to, p.recurrent_kernel, h, h, cell.gates, cell.u_count, 1);
        });
    if (need_dx && p.input_copies == 1) {
        panels.wt = packed_gates<T>(ws, Workspace::kWt, z.w_width * fp, p.version, [&](T* to) {
            pack_transposed(to, p.kernel, f, h, cell.gates, cell.x_shift, cell.gates);
        });
    } else if (need_dx) {
        T* each = ws.scratch<T>(Workspace::kGateWt, z.w_width * fp);
        for (Index j = 0; j < cell.gates; ++j)
            pack_transposed(each + j * z.hp * fp, p.kernel, f, h, cell.gates, input_gate(p, j), 1);
        panels.wt = each;
    }
    return panels;
}

}  // namespace
}  // namespace pyrnn
