// Chooses the kernels of one ISA, once, at import: the best this CPU runs, or the one PYRNN_ISA names.
#pragma once

#include <string>
#include <vector>

#include "../abi/kernel_table.hpp"

namespace pyrnn {

// Tables this build holds and this CPU runs, best first.
std::vector<const KernelTable*> available_tables();
// Throws std::invalid_argument with the list when PYRNN_ISA names none of them.
void choose_table();
const KernelTable& table();

template <class T>
const Kernels<T>& kernels();
template <>
inline const Kernels<float>& kernels<float>() {
    return table().f32;
}
template <>
inline const Kernels<double>& kernels<double>() {
    return table().f64;
}

}  // namespace pyrnn
