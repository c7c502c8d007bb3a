// How many cores this process may use.
#pragma once

#include <string>

namespace pyrnn {

// Its affinity, cut by the CPU quotas of its control group and of those above it, of both versions; at least 1. The
// files that say so are looked for below `root`, "" for the system's own: /proc/self/cgroup and /sys/fs/cgroup.
int usable_cores(const std::string& root);

}  // namespace pyrnn
