#include "measure.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "dispatch.hpp"
#include "parallel.hpp"
#include "recycler.hpp"

namespace pyrnn {
namespace {

// The best rate of several bursts: what the core can do, not what it does on average. burst() returns its amount.
template <class F>
double best_rate(F burst) {
    constexpr int kBursts = 10;
    double best = 0;
    for (int i = 0; i < kBursts; ++i) {
        const auto start = std::chrono::steady_clock::now();
        const double amount = burst();
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        best = std::max(best, amount / seconds.count());
    }
    return best;
}

}  // namespace

template <class T>
double fma_peak() {
    constexpr Index kRepeats = 10000;  // about 2 ms
    return best_rate([] { return kernels<T>().fma_burst(kRepeats); }) * 1e-9;
}

double read_bandwidth(Index bytes) {
    constexpr Index kBurstBytes = Index{1} << 26;
    const Index step = 8 * kernels<float>().lanes, floats = (bytes + 3) / static_cast<Index>(sizeof(float));
    const Index count = (floats + step - 1) / step * step;
    const Index size = count * static_cast<Index>(sizeof(float)), repeats = kBurstBytes / size + 1;
    const std::unique_ptr<void, decltype(&free_aligned)> memory(aligned_bytes(size), &free_aligned);
    std::memset(memory.get(), 0, static_cast<std::size_t>(size));
    return best_rate([&] {
        kernels<float>().read_burst(static_cast<const float*>(memory.get()), count, repeats);
        return static_cast<double>(size) * static_cast<double>(repeats);
    });
}

double call_cost() {
    constexpr int kCalls = 1000;
    const Index tasks = num_threads();
    return 1 / best_rate([&] {
               for (int i = 0; i < kCalls; ++i) parallel_for(tasks, [](Index) {});
               return static_cast<double>(kCalls);
           });
}

template double fma_peak<float>();
template double fma_peak<double>();

}  // namespace pyrnn
