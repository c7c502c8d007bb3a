// Functions of newer versions of glibc that GCC's C++ library and its headers call, for a module that must also load
// where glibc is older (PYRNN_GLIBC in cmake/options.cmake). They are hidden: nothing outside the module sees them.
#include <pthread.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <cstdint>
#include <ctime>

namespace {

constexpr long kNanoseconds = 1'000'000'000;
#if defined(__x86_64__)
constexpr int kVersionOfStat = 1;
#else
constexpr int kVersionOfStat = 0;
#endif

}  // namespace

extern "C" {

int __fxstat64(int version, int file, struct stat64* result) noexcept;

#pragma GCC visibility push(hidden)

// Of version 2.30. Waits by the system's clock, as GCC's C++ library did before.
int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock, const timespec* until) {
    timespec now, end;
    clock_gettime(clock, &now);
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += until->tv_sec - now.tv_sec;
    end.tv_nsec += until->tv_nsec - now.tv_nsec;
    if (end.tv_nsec < 0) {
        end.tv_nsec += kNanoseconds;
        --end.tv_sec;
    } else if (end.tv_nsec >= kNanoseconds) {
        end.tv_nsec -= kNanoseconds;
        ++end.tv_sec;
    }
    return pthread_cond_timedwait(condition, mutex, &end);
}

// Of version 2.32. Not single-threaded, so that counters of references are always atomic.
char __libc_single_threaded = 0;

// Of version 2.33.
int fstat64(int file, struct stat64* result) noexcept { return __fxstat64(kVersionOfStat, file, result); }

// Of version 2.36.
std::uint32_t arc4random() noexcept {
    std::uint32_t number = 0;
    while (getentropy(&number, sizeof number) != 0) {}
    return number;
}

#pragma GCC visibility pop

}  // extern "C"
