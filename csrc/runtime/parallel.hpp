// A small pool of threads. Tasks are fixed by the problem, never by the number of threads, so results keep their bits.
#pragma once

#include <functional>

#include "../abi/problem.hpp"

namespace pyrnn {

void set_num_threads(int count);
int num_threads();

// Runs task(0) ... task(count - 1), the caller taking part; returns when all are done. A call from inside a task, or
// while another Python thread uses the pool, runs in the caller alone.
//
// Throws what a task threw, or Interrupted if the signal check said so on the way; then some tasks were not run, or not to
// their end.
void parallel_for(Index count, const std::function<void(Index)>& task);

struct Interrupted {};
// Whether the caller of the running parallel_for was told to stop (Ctrl-C); long tasks ask now and then and return early.
bool interrupted();
// `check` is called by the caller of a parallel_for, at most twenty times a second.
void set_signal_check(bool (*check)());

}  // namespace pyrnn
