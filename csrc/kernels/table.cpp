// The table of one ISA, from the symbols that its other objects export. cmake/isas.cmake names them
// <PYRNN_SYMBOL>_<part>_<scalar type>.
#include "../abi/kernel_table.hpp"

#define PYRNN_JOIN(table, part, scalar) table##_##part##_##scalar
#define PYRNN_NAME(table, part, scalar) PYRNN_JOIN(table, part, scalar)
#define PYRNN_PART(part, scalar) PYRNN_NAME(PYRNN_SYMBOL, part, scalar)

namespace pyrnn {

#define PYRNN_CELL(enumerator, type, ...)             \
    extern const Scan<float> PYRNN_PART(type, float); \
    extern const Scan<double> PYRNN_PART(type, double);
#include "../cells/cells.def"
#undef PYRNN_CELL
extern const Kernels<float> PYRNN_PART(operations, float);
extern const Kernels<double> PYRNN_PART(operations, double);

extern const KernelTable PYRNN_SYMBOL;
const KernelTable PYRNN_SYMBOL = {PYRNN_ISA_NAME,
                                  {&PYRNN_PART(operations, float),
                                   {
#define PYRNN_CELL(enumerator, type, ...) &PYRNN_PART(type, float),
#include "../cells/cells.def"
#undef PYRNN_CELL
                                   }},
                                  {&PYRNN_PART(operations, double),
                                   {
#define PYRNN_CELL(enumerator, type, ...) &PYRNN_PART(type, double),
#include "../cells/cells.def"
#undef PYRNN_CELL
                                   }}};

}  // namespace pyrnn
