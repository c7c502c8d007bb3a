// What the machine can do, to compare figures of speed with.
#pragma once

#include "../abi/problem.hpp"

namespace pyrnn {

// Floating-point operations per nanosecond of one thread's fused multiply-adds.
template <class T>
double fma_peak();

// Bytes per second at which one thread reads `bytes` of memory (1 .. kMostReadBytes) again and again: the bandwidth of
// the cache that holds them.
constexpr Index kMostReadBytes = Index{1} << 32;
double read_bandwidth(Index bytes);

// Seconds that a call of parallel_for takes which gives each thread of the pool a task without work.
double call_cost();

}  // namespace pyrnn
