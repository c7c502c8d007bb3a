#include <sys/sysctl.h>

#include <thread>

#include "system.hpp"

namespace pyrnn {

// macOS has no affinity and no quotas.
int usable_cores(const std::string&) {
    int cores = 0;
    std::size_t size = sizeof cores;
    if (sysctlbyname("hw.physicalcpu", &cores, &size, nullptr, 0) != 0)
        cores = static_cast<int>(std::thread::hardware_concurrency());
    return cores < 1 ? 1 : cores;
}

void prefer_huge_pages(void*, std::size_t) {}

}  // namespace pyrnn
