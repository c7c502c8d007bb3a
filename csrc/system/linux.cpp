#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "system.hpp"

namespace pyrnn {
namespace {

constexpr long kNoQuota = -1;

// Cores for a quota of microseconds per period, rounded up.
long cores_of(long quota, long period) { return quota > 0 && period > 0 ? (quota + period - 1) / period : kNoQuota; }

// Version 2: "max 100000" or "150000 100000".
long quota_of_two(const std::string& folder) {
    std::ifstream file(folder + "/cpu.max");
    std::string quota;
    long period = 0;
    if (!(file >> quota >> period)) return kNoQuota;
    return cores_of(std::strtol(quota.c_str(), nullptr, 10), period);  // 0 for "max"
}

long quota_of_one(const std::string& folder) {
    long quota = 0, period = 0;
    std::ifstream quota_file(folder + "/cpu.cfs_quota_us"), period_file(folder + "/cpu.cfs_period_us");
    if (!(quota_file >> quota) || !(period_file >> period)) return kNoQuota;
    return cores_of(quota, period);
}

// The minimum of `least` and the quotas of the group at `path` below `mount` and of all groups above it. A container
// may see only its part of the tree, whose root is then its group.
template <class Read>
long least_quota(long least, const std::string& mount, std::string path, Read read) {
    for (;;) {
        const long cores = read(mount + path);
        if (cores > 0 && cores < least) least = cores;
        if (path.empty()) return least;
        path.erase(path.find_last_of('/'));
    }
}

// The hardware threads of the core to which `cpu` belongs, such as "0,4"; its own number if the system does not say.
std::string core_of(const std::string& root, std::size_t cpu) {
    const std::string folder = root + "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology";
    std::string threads;
    for (const char* name : {"/core_cpus_list", "/thread_siblings_list"}) {  // of which old systems have the second
        std::ifstream file(folder + name);
        if (file >> threads) return threads;
    }
    return std::to_string(cpu);
}

long physical_cores(const std::string& root) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return static_cast<long>(std::thread::hardware_concurrency());
    std::set<std::string> cores;
    for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &set)) cores.insert(core_of(root, cpu));
    return static_cast<long>(cores.size());
}

}  // namespace

int usable_cores(const std::string& root) {
    long cores = physical_cores(root);
    const std::string mount = root + "/sys/fs/cgroup";
    std::ifstream groups(root + "/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {  // "0::/path", or "4:cpu,cpuacct:/path" of version 1
        const auto first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        std::string path = line.substr(second + 1);
        if (path.empty() || path[0] != '/') continue;
        if (path == "/") path.clear();
        if (controllers.empty()) {
            cores = least_quota(cores, mount, path, quota_of_two);
            continue;
        }
        const std::string separate = mount + "/cpu";
        std::string shared = mount;
        shared.append("/").append(controllers);
        std::istringstream names(controllers);
        for (std::string name; std::getline(names, name, ',');)
            if (name == "cpu") {
                cores = least_quota(cores, separate, path, quota_of_one);
                cores = least_quota(cores, shared, path, quota_of_one);
            }
    }
    return static_cast<int>(cores < 1 ? 1 : cores);
}

void prefer_huge_pages(void* memory, std::size_t bytes) {
#if defined(MADV_HUGEPAGE)
    madvise(memory, bytes, MADV_HUGEPAGE);
#endif
}

std::size_t second_level_cache() {
    long bytes = 0;
#if defined(_SC_LEVEL2_CACHE_SIZE)
    bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

}  // namespace pyrnn
