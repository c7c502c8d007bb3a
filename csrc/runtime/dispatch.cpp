#include "dispatch.hpp"

#include <cstdlib>
#include <stdexcept>

#include "isa_list.hpp"  // made by CMake from cmake/isas.cmake: PYRNN_FOR_EACH_ISA(symbol, probe)

namespace pyrnn {

#define PYRNN_DECLARE(symbol, probe) extern const KernelTable symbol;
PYRNN_FOR_EACH_ISA(PYRNN_DECLARE)
#undef PYRNN_DECLARE

namespace {
const KernelTable* chosen = nullptr;
}

std::vector<const KernelTable*> available_tables() {
    std::vector<const KernelTable*> tables;
#if defined(__x86_64__)
    __builtin_cpu_init();
#endif
#define PYRNN_PROBE(symbol, probe) \
    if (probe) tables.push_back(&symbol);
    PYRNN_FOR_EACH_ISA(PYRNN_PROBE)
#undef PYRNN_PROBE
    return tables;
}

void choose_table() {
    const auto tables = available_tables();
    if (tables.empty()) {
        std::string built;
#define PYRNN_NAME(symbol, probe) built += (built.empty() ? "" : ", ") + std::string(symbol.isa);
        PYRNN_FOR_EACH_ISA(PYRNN_NAME)
#undef PYRNN_NAME
        throw std::runtime_error("this build of pyrnn has kernels for " + built + ", and this CPU runs none of them");
    }
    const char* forced = std::getenv("PYRNN_ISA");
    if (!forced || !*forced) {
        chosen = tables.front();
        return;
    }
    std::string names;
    for (const KernelTable* t : tables) {
        if (std::string(forced) == t->isa) {
            chosen = t;
            return;
        }
        names += (names.empty() ? "" : ", ") + std::string(t->isa);
    }
    throw std::invalid_argument("PYRNN_ISA must be one of " + names + " on this machine, got '" + forced + "'");
}

const KernelTable& table() { return *chosen; }

}  // namespace pyrnn
