// Packed weights in a workspace, filled only if their version is new.
#pragma once

#include "dispatch.hpp"
#include "workspace.hpp"

namespace pyrnn {

template <class T>
Index padded(Index n) {
    const Index lanes = kernels<T>().lanes;
    return (n + lanes - 1) / lanes * lanes;
}

template <class T>
const T* packed_matrix(Workspace& ws, Workspace::Pack which, const T* w, Index k, Index n, Index stride_k,
                       Index stride_n, std::int64_t version) {
    bool fresh = false;
    T* panels = ws.packed<T>(which, k * padded<T>(n), version, fresh);
    if (!fresh) kernels<T>().pack(panels, w, k, n, stride_k, stride_n);
    return panels;
}

template <class T>
const T* packed_bias(Workspace& ws, const T* bias, Index n, std::int64_t version) {
    return bias ? packed_matrix(ws, Workspace::kBias, bias, 1, n, n, 1, version) : nullptr;
}

// Sums `count` partial results of rows x np into out, rows x n, in order.
template <class T>
void reduce(T* out, const T* partials, Index count, Index partial_size, Index rows, Index n, Index np) {
    for (Index r = 0; r < rows; ++r)
        for (Index i = 0; i < n; ++i) {
            T sum = partials[r * np + i];
            for (Index g = 1; g < count; ++g) sum += partials[g * partial_size + r * np + i];
            out[r * n + i] = sum;
        }
}

// Weight gradients are summed by groups of batch rows, with one partial result per group; the number of groups depends
// on sizes only.
inline Index group_count(Index blocks, Index partial_bytes) {
    constexpr Index kManyGroups = 8, kFewGroups = 2, kLargePartial = Index{1} << 20;
    const Index most = partial_bytes > kLargePartial ? kFewGroups : kManyGroups;
    return blocks < most ? blocks : most;
}

}  // namespace pyrnn
