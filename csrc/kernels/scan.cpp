// The time loops of the cell PYRNN_CELL_TYPE for the scalar type PYRNN_SCALAR. Exports one symbol, PYRNN_SYMBOL.
#include "../cells/gru.hpp"
#include "../cells/lstm.hpp"
#include "../cells/simple_rnn.hpp"
#include "scan_backward.hpp"
#include "scan_forward.hpp"

namespace pyrnn {

extern const Scan<PYRNN_SCALAR> PYRNN_SYMBOL;
const Scan<PYRNN_SCALAR> PYRNN_SYMBOL = {
    PYRNN_ISA_NAMESPACE::scan_forward<PYRNN_SCALAR, PYRNN_ISA_NAMESPACE::PYRNN_CELL_TYPE>,
    PYRNN_ISA_NAMESPACE::scan_backward<PYRNN_SCALAR, PYRNN_ISA_NAMESPACE::PYRNN_CELL_TYPE>};

}  // namespace pyrnn
