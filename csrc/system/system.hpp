// What pyrnn asks of the operating system. Each system implements it in a file of its own; Linux and macOS share
// posix.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace pyrnn {

// The number of cores that this process may use, at least 1: the physical ones (threads of one core help each other
// little), on Linux and Windows those in its affinity, on Linux limited by the CPU quotas of its control group and of
// those above it (both versions). The files that Linux says this in, /proc/self/cgroup, /sys/fs/cgroup and
// /sys/devices/system/cpu, are read below `root`, which is "" except in tests.
int usable_cores(const std::string& root);

// The bytes of a core's L2 cache; 0 if the system does not say.
std::size_t second_level_cache();

// `bytes`, a multiple of `alignment`, which is a power of two; nullptr where there is no memory. free_aligned frees it.
void* allocate_aligned(std::size_t bytes, std::size_t alignment);
void free_aligned(void* memory);

// Asks for huge pages for this memory, where the system has them.
void prefer_huge_pages(void* memory, std::size_t bytes);

// From now on calls `action` in each child of a fork. False: the system cannot promise it.
bool call_after_fork(void (*action)());

// The time in milliseconds since some moment, for a few nanoseconds: the exact clock takes tens.
std::int64_t milliseconds();

// Waits for the end of the process.
[[noreturn]] void wait_for_the_end();

}  // namespace pyrnn
