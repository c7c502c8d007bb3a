// The number of cores that this process may use.
#pragma once

#include <string>

namespace pyrnn {

// The physical cores in its affinity (threads of one core help each other little), limited by the CPU quotas of its
// control group and of those above it (both versions); at least 1. The files /proc/self/cgroup, /sys/fs/cgroup and
// /sys/devices/system/cpu are read below `root`, which is "" except in tests.
int usable_cores(const std::string& root);

}  // namespace pyrnn
