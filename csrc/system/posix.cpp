// What Linux and macOS share.
#include <pthread.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>

#include "system.hpp"

namespace pyrnn {

void* allocate_aligned(std::size_t bytes, std::size_t alignment) { return std::aligned_alloc(alignment, bytes); }

void free_aligned(void* memory) { std::free(memory); }

bool call_after_fork(void (*action)()) { return pthread_atfork(nullptr, nullptr, action) == 0; }

std::int64_t milliseconds() {
    timespec now;
#if defined(CLOCK_MONOTONIC_COARSE)
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
#else
    clock_gettime(CLOCK_MONOTONIC, &now);
#endif
    return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

void wait_for_the_end() {
    for (;;) pause();
}

}  // namespace pyrnn
