// A small pool of threads. Tasks depend on the problem only, never on the number of threads, so results have the same
// bits.
#pragma once

#include <functional>

#include "../abi/problem.hpp"

namespace pyrnn {

constexpr int kMostThreads = 256;
void set_num_threads(int count);
int num_threads();

// Runs task(0) ... task(count - 1) on the calling thread and workers of the pool, at most `most` threads together;
// returns when all are done. A call from inside a task, or while another Python thread uses the pool, runs in the
// caller alone. If not all threads can be created (limits on memory or processes), the others do the work, and
// num_threads() returns their number. In a task, subnormal numbers count as 0.
//
// Throws what a task threw, or Interrupted if the signal check asked to stop; then some tasks have not run, or not to
// their end.
void parallel_for(Index count, const std::function<void(Index)>& task, Index most = kMostThreads);
// The same without signal checks, for operations that must complete: a signal waits until Python checks for it. They
// are short, so only those of the workers help that are awake.
void parallel_for_to_the_end(Index count, const std::function<void(Index)>& task);

struct Interrupted {};
// Whether the caller of the running parallel_for must stop (Ctrl-C); long tasks check now and then and return early.
bool interrupted();
// `check` is called by the caller of a parallel_for, at most twenty times a second, in the caller's floating-point
// mode. It may call any function of this header.
void set_signal_check(bool (*check)() noexcept);

}  // namespace pyrnn
