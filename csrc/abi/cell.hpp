// The properties of each cell that baseline and per-ISA code share, generated from cells/cells.def.
#pragma once

#include "problem.hpp"

namespace pyrnn {

#define PYRNN_CELL(enumerator, type, ...) enumerator,
enum class Cell : int {
#include "../cells/cells.def"
    kCount
};
#undef PYRNN_CELL

struct CellInfo {
    const char* name;
    int vectors, states, gates, x_shift, u_first, u_count, bias_rows;
};

#define PYRNN_CELL(enumerator, type, ...) {__VA_ARGS__},
constexpr CellInfo kCells[] = {
#include "../cells/cells.def"
};
#undef PYRNN_CELL

constexpr int kCellCount = static_cast<int>(Cell::kCount);
constexpr const CellInfo& info(Cell cell) { return kCells[static_cast<int>(cell)]; }

}  // namespace pyrnn
