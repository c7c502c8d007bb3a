#include "parallel.hpp"

#include "cores.hpp"
#include "denormals.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace pyrnn {
namespace {

constexpr int kMaxThreads = 256;
// How long an idle worker spins before it sleeps: longer than the gap between two operations of a training step.
constexpr auto kSpin = std::chrono::microseconds(50);

bool (*signal_check)() noexcept = nullptr;

class Watch;
thread_local Watch* watch = nullptr;  // of the parallel_for whose task this thread runs
thread_local bool is_caller = false;

// The state of one parallel_for that is not nested: whether its caller must stop, which only the caller's thread
// checks, or a task has failed (out of memory). Then the remaining tasks are not started.
class Watch {
public:
    explicit Watch(bool checks_signals) : checks_signals_(checks_signals) {}
    bool stopped() const { return stopped_.load(std::memory_order_relaxed); }
    void fail(std::exception_ptr error) {
        std::lock_guard<std::mutex> lock(mutex_);
        if (!error_) error_ = error;
        stopped_.store(true);
    }
    void raise() const {
        if (error_) std::rethrow_exception(error_);
        if (stopped()) throw Interrupted();
    }
    void check() {
        constexpr long kMilliseconds = 50;
        if (!checks_signals_ || !signal_check) return;
        const long now = milliseconds();
        if (now - last_ < kMilliseconds) return;
        last_ = now;
        // A handler may run any code: it may start threads, which inherit the mode, and call parallel_for again.
        const WithFloatMode caller(mode_);
        watch = nullptr, is_caller = false;
        if (signal_check()) stopped_.store(true, std::memory_order_relaxed);
        watch = this, is_caller = true;
    }

private:
    static long milliseconds() {
        timespec now;
#if defined(CLOCK_MONOTONIC_COARSE)
        clock_gettime(CLOCK_MONOTONIC_COARSE, &now);  // a few nanoseconds; the exact clock takes tens
#else
        clock_gettime(CLOCK_MONOTONIC, &now);
#endif
        return static_cast<long>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
    }
    const bool checks_signals_;
    const FloatMode mode_ = float_mode();
    std::atomic<bool> stopped_{false};
    std::mutex mutex_;
    std::exception_ptr error_;
    long last_ = milliseconds();
};

// Each thread (the caller is the first) runs its own range of tasks and then helps the others: data that forward leaves
// in a core's cache is there for backward.
class ThreadPool {
public:
    // Creates up to `wanted` threads, including the caller, as far as the system allows.
    explicit ThreadPool(int wanted) : shares_(std::make_unique<Share[]>(static_cast<std::size_t>(wanted))) {
        threads_.reserve(static_cast<std::size_t>(wanted) - 1);
        while (size() < wanted && add_worker()) {}
        share_count_ = threads_.size() + 1;
    }
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    int size() const { return static_cast<int>(threads_.size()) + 1; }
    ~ThreadPool() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            stop_ = true;
            generation_.fetch_add(1);
        }
        wake_.notify_all();
        for (auto& t : threads_) t.join();
    }
    void run(Index count, const std::function<void(Index)>& task) {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            task_ = &task;
            watch_ = watch;
            const Index shares = static_cast<Index>(share_count_);
            for (Index i = 0; i < shares; ++i) {
                Share& share = shares_[static_cast<std::size_t>(i)];
                share.next.store(count * i / shares);
                share.end = count * (i + 1) / shares;
            }
            pending_.store(static_cast<int>(threads_.size()));
            generation_.fetch_add(1);
        }
        wake_.notify_all();
        take(0);
        while (pending_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
    }

private:
    struct alignas(64) Share {
        std::atomic<Index> next{0};
        Index end = 0;
    };
    // Returns false at a limit on processes or memory.
    bool add_worker() {
        try {
            threads_.emplace_back([this, thread = threads_.size() + 1] { work(thread); });
            return true;
        } catch (const std::system_error&) { return false; } catch (const std::bad_alloc&) {
            return false;
        }
    }
    void take(std::size_t thread) {
        const FlushSubnormals flush;
        for (std::size_t k = 0; k < share_count_; ++k) {
            Share& share = shares_[(thread + k) % share_count_];
            try {
                for (Index i; (i = share.next.fetch_add(1)) < share.end && !interrupted();) (*task_)(i);
            } catch (...) { watch->fail(std::current_exception()); }
        }
    }
    void work(std::size_t thread) {
        unsigned seen = 0;
        for (;;) {
            const auto until = std::chrono::steady_clock::now() + kSpin;
            while (generation_.load(std::memory_order_acquire) == seen && std::chrono::steady_clock::now() < until) {}
            {
                std::unique_lock<std::mutex> lock(mutex_);
                wake_.wait(lock, [&] { return generation_.load() != seen; });
                seen = generation_.load();
                if (stop_) return;
            }
            watch = watch_;
            take(thread);
            watch = nullptr;
            pending_.fetch_sub(1, std::memory_order_release);
        }
    }

    std::unique_ptr<Share[]> shares_;
    std::size_t share_count_ = 0;
    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<unsigned> generation_{0};
    std::atomic<int> pending_{0};
    const std::function<void(Index)>* task_ = nullptr;
    Watch* watch_ = nullptr;
    bool stop_ = false;
};

int from_environment(const char* name) {
    const char* text = std::getenv(name);
    if (!text) return 0;
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    return end != text && *end == '\0' && value >= 1 && value <= kMaxThreads ? static_cast<int>(value) : 0;
}

std::atomic<bool> pool_in_use{false};  // the thread that sets it may use the pool
ThreadPool* pool = nullptr;
std::atomic<int> threads{0};

class Claim {
public:
    Claim() : holds_(!pool_in_use.exchange(true, std::memory_order_acquire)) {}
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;
    ~Claim() {
        if (holds_) pool_in_use.store(false, std::memory_order_release);
    }
    bool holds() const { return holds_; }

private:
    bool holds_;
};

void drop_pool() {
    delete pool;
    pool = nullptr;
}

void forget_after_fork() {  // the child has no workers: leak the parent's pool; the next call creates another
    pool = nullptr;
    pool_in_use.store(false);
}

}  // namespace

int num_threads() {
    int count = threads.load();
    if (count == 0) {
        count = from_environment("PYRNN_NUM_THREADS");
        if (count == 0) count = from_environment("OMP_NUM_THREADS");
        if (count == 0) count = std::min(usable_cores(""), kMaxThreads);
        threads.store(count);
    }
    return count;
}

void set_num_threads(int count) {
    threads.store(count);
    const Claim claim;
    if (claim.holds()) drop_pool();  // else the thread that uses it does, or the next call
}

bool interrupted() {
    if (!watch) return false;
    if (is_caller) watch->check();
    return watch->stopped();
}

void set_signal_check(bool (*check)() noexcept) { signal_check = check; }

namespace {

void run_in_turn(Index count, const std::function<void(Index)>& task) {
    const FlushSubnormals flush;
    for (Index i = 0; i < count && !interrupted(); ++i) task(i);
}

void run_tasks(Index count, const std::function<void(Index)>& task) {
    static const bool survives_fork = pthread_atfork(nullptr, nullptr, forget_after_fork) == 0;
    int wanted = num_threads();
    if (count < 2 || wanted < 2 || !survives_fork) return run_in_turn(count, task);
    const Claim claim;
    if (!claim.holds()) return run_in_turn(count, task);
    if (pool && pool->size() != wanted) drop_pool();
    if (!pool) {
        pool = new ThreadPool(wanted);
        threads.compare_exchange_strong(wanted, pool->size());
    }
    pool->run(count, task);
    if (pool->size() != threads.load()) drop_pool();
}

void run_watched(Index count, const std::function<void(Index)>& task, bool checks_signals) {
    if (watch) return run_in_turn(count, task);  // nested: the outer caller throws
    Watch state(checks_signals);
    watch = &state, is_caller = true;
    try {
        run_tasks(count, task);
    } catch (...) { state.fail(std::current_exception()); }
    watch = nullptr, is_caller = false;
    state.raise();
}

}  // namespace

void parallel_for(Index count, const std::function<void(Index)>& task) { run_watched(count, task, true); }
void parallel_for_to_the_end(Index count, const std::function<void(Index)>& task) { run_watched(count, task, false); }

}  // namespace pyrnn
