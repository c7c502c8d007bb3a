// A small pool of threads. Tasks are fixed by the problem, never by the number of threads, so results keep their bits.
#pragma once

#include <functional>

#include "../abi/problem.hpp"

namespace pyrnn {

void set_num_threads(int count);
int num_threads();

// Runs task(0) ... task(count - 1), the caller taking part; returns when all are done. A call from inside a task, or
// while another Python thread uses the pool, runs in the caller alone. Where not all threads can be created (limits on
// memory or processes) the others do their work, and num_threads() is how many there are. In a task subnormal numbers
// count as 0.
//
// Throws what a task threw, or Interrupted if the signal check said so on the way; then some tasks were not run, or not
// to their end.
void parallel_for(Index count, const std::function<void(Index)>& task);
// The same without signal checks, for what must not stop halfway: a signal waits until Python looks for it.
void parallel_for_to_the_end(Index count, const std::function<void(Index)>& task);

struct Interrupted {};
// Whether the caller of the running parallel_for was told to stop (Ctrl-C); long tasks ask now and then and return
// early.
bool interrupted();
// `check` is called by the caller of a parallel_for, at most twenty times a second, in the floating-point mode in which
// the caller came. It may call anything here.
void set_signal_check(bool (*check)() noexcept);

}  // namespace pyrnn
