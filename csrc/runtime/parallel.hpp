// A small pool of threads. Tasks are fixed by the problem, never by the number of threads, so results keep their bits.
#pragma once

#include <functional>

#include "../abi/problem.hpp"

namespace pyrnn {

void set_num_threads(int count);
int num_threads();

// Runs task(0) ... task(count - 1), the caller taking part; returns when all are done. A call from inside a task, or
// while another Python thread uses the pool, runs in the caller alone.
void parallel_for(Index count, const std::function<void(Index)>& task);

}  // namespace pyrnn
