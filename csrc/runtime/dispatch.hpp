// Chooses the kernels of one ISA once, at import: the best that this CPU runs, or the one that PYRNN_ISA names.
#pragma once

#include <string>
#include <vector>

#include "../abi/kernel_table.hpp"

namespace pyrnn {

// The tables of this build that this CPU runs, best first.
std::vector<const KernelTable*> available_tables();
// Throws std::invalid_argument with the list if PYRNN_ISA names none of them.
void choose_table();
const KernelTable& table();
// Name and version of the compiler that built the kernels.
const char* kernel_compiler();

template <class T>
const ScalarTable<T>& scalar_table();
template <>
inline const ScalarTable<float>& scalar_table<float>() {
    return table().f32;
}
template <>
inline const ScalarTable<double>& scalar_table<double>() {
    return table().f64;
}
template <class T>
const Kernels<T>& kernels() {
    return *scalar_table<T>().kernels;
}
template <class T>
const Scan<T>& scan(Cell cell) {
    return *scalar_table<T>().scans[static_cast<int>(cell)];
}

}  // namespace pyrnn
