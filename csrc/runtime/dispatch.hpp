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
