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

std::size_t second_level_cache() {
    std::int64_t bytes = 0;
    std::size_t size = sizeof bytes;
    if (sysctlbyname("hw.l2cachesize", &bytes, &size, nullptr, 0) != 0) return 0;
    return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

}  // namespace pyrnn
