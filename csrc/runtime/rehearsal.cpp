#include "rehearsal.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <vector>

#include "parallel.hpp"

namespace pyrnn {
namespace {

std::atomic<bool> is_on{false};
std::mutex mutex;  // of `total`
Rehearsed total{};
thread_local double saved = 0;  // by side by side computation within the running task

}  // namespace

Rehearsed rehearse(bool on) {
    is_on.store(on);
    const std::lock_guard<std::mutex> lock(mutex);
    const Rehearsed before = total;
    total = {};
    return before;
}

bool rehearsing() { return is_on.load(std::memory_order_relaxed); }

// As in the pool: each thread begins with its own range of tasks and then helps the next ones.
void rehearse_tasks(Index count, Index sharing, const std::function<void(Index)>& task) {
    struct Thread {
        Index next, end;
        double seconds;
    };
    std::vector<Thread> all;
    all.reserve(static_cast<std::size_t>(sharing));
    for (Index k = 0; k < sharing; ++k) all.push_back({count * k / sharing, count * (k + 1) / sharing, 0.0});
    double alone = 0;
    for (Index done = 0; done < count && !interrupted(); ++done) {
        const auto first =
            std::min_element(all.begin(), all.end(), [](auto& a, auto& b) { return a.seconds < b.seconds; });
        Index owner = first - all.begin();
        while (all[static_cast<std::size_t>(owner)].next == all[static_cast<std::size_t>(owner)].end)
            owner = (owner + 1) % sharing;
        saved = 0;
        const auto start = std::chrono::steady_clock::now();
        task(all[static_cast<std::size_t>(owner)].next++);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        first->seconds += took.count() - saved;
        alone += took.count();
    }
    double together = 0;
    for (const Thread& thread : all) together = std::max(together, thread.seconds);
    const std::lock_guard<std::mutex> lock(mutex);
    total = {total.calls + 1, total.rounds + std::log2(static_cast<double>(sharing)), total.alone + alone,
             total.together + together};
}

void rehearse_side_by_side(double seconds) { saved += seconds; }

}  // namespace pyrnn
