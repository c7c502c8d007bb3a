// Estimates how long calls take on threads that the machine lacks (benchmarks/scaling.py).
#pragma once

#include <functional>

#include "../abi/problem.hpp"

namespace pyrnn {

// Of the calls that several threads would have shared: their number, the sum of the binary logarithms of the numbers of
// these threads (a call wakes twice as many in each round), the seconds their tasks took one after the other, and the
// seconds until the last thread would have ended, without the cost of starting and ending a call.
struct Rehearsed {
    Index calls;
    double rounds, alone, together;
};

// Whether calls are rehearsed from now on: the caller runs all tasks alone, in the order in which the threads of the
// pool would, and times each. The members of a team also compute one after the other, so its results are wrong. Returns
// what was rehearsed since the last call of this function.
Rehearsed rehearse(bool on);
bool rehearsing();
void rehearse_tasks(Index count, Index sharing, const std::function<void(Index)>& task);
// The task that runs now has computed one after the other what would take `seconds` less side by side.
void rehearse_side_by_side(double seconds);

}  // namespace pyrnn
