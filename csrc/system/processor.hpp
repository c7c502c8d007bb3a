// What an x86-64 processor says that it can run. Asked with the instruction itself: the compilers' own
// __builtin_cpu_supports needs a run-time library that some of them lack, and is then always false.
#pragma once

#include <cstdint>

namespace pyrnn {

// What decides the level. All 0 on other processors.
struct ProcessorBits {
    std::uint32_t leaf_1_ecx, leaf_7_ebx, extended_1_ecx;  // of cpuid
    std::uint32_t saved;  // XCR0: the registers that the system saves when it switches threads; 0 where it says nothing
};

ProcessorBits processor_bits();

// The level of x86-64, 1 to 4, that a processor with these bits runs, as far as isas.cmake compiles for it.
int x86_level(const ProcessorBits& bits);

// Whether this machine runs a level.
inline bool runs_x86_level(int level) { return x86_level(processor_bits()) >= level; }

}  // namespace pyrnn
