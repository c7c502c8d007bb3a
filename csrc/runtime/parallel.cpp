#include "parallel.hpp"

#include "denormals.hpp"
#include "rehearsal.hpp"
#include "relax.hpp"
#include "../system/system.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace pyrnn {
namespace {

bool (*signal_check)() noexcept = nullptr;

class Watch;
thread_local Watch* watch = nullptr;  // of the parallel_for whose task this thread runs
thread_local bool is_caller = false;
// When this thread last looked for signals, in milliseconds. One operation may be many short calls.
thread_local std::int64_t checked_at = 0;

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
        constexpr std::int64_t kMilliseconds = 50;
        if (!checks_signals_ || !signal_check) return;
        const std::int64_t now = milliseconds();
        if (now - checked_at < kMilliseconds) return;
        checked_at = now;
        // A handler may run any code: it may start threads, which inherit the mode, and call parallel_for again.
        const WithFloatMode caller(mode_);
        watch = nullptr, is_caller = false;
        if (signal_check()) stopped_.store(true, std::memory_order_relaxed);
        watch = this, is_caller = true;
    }

private:
    const bool checks_signals_;
    const FloatMode mode_ = float_mode();
    std::atomic<bool> stopped_{false};
    std::mutex mutex_;
    std::exception_ptr error_;
};

// Waits until done() is true, at most for `limit`. Returns the last done().
template <class Done>
bool spin_until(std::chrono::nanoseconds limit, const Done& done) {
    constexpr int kLooksPerClock = 16;  // a look at the clock takes longer than one at memory
    const auto end = std::chrono::steady_clock::now() + limit;
    do
        for (int i = 0; i < kLooksPerClock; ++i, relax())
            if (done()) return true;
    while (std::chrono::steady_clock::now() < end);
    return done();
}

// Lets one thread sleep until another one has made a condition true.
class Sleep {
public:
    template <class Done>
    void until(const Done& done) {
        std::unique_lock<std::mutex> lock(mutex_);
        asleep_.store(true);
        wake_.wait(lock, done);
        asleep_.store(false);
    }
    // Call it after the condition has become true, by a sequentially consistent write: either this thread sees that the
    // other one is asleep, or that one sees the condition before it sleeps.
    void wake() {
        if (!asleep_.load()) return;
        { const std::lock_guard<std::mutex> lock(mutex_); }
        wake_.notify_one();
    }

private:
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<bool> asleep_{false};
};

// Each thread (the caller is the first) runs its own range of tasks and then helps the others: data that forward leaves
// in a core's cache is there for backward. A worker is invited to a call; the caller takes back the invitations of
// those that have not come when all tasks have been started, so that it never waits for a thread that the system does
// not run.
class ThreadPool {
public:
    // Creates up to `wanted` threads, including the caller, as far as the system allows.
    explicit ThreadPool(int wanted) : members_(std::make_unique<Member[]>(static_cast<std::size_t>(wanted))) {
        threads_.reserve(static_cast<std::size_t>(wanted) - 1);
        while (size() < wanted && add_worker()) {}
    }
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    int size() const { return static_cast<int>(threads_.size()) + 1; }
    ~ThreadPool() {
        for (std::size_t i = 1; i <= threads_.size(); ++i) {
            call(members_[i], State::kStopped);
            members_[i].sleep.wake();
        }
        for (auto& t : threads_) t.join();
    }
    // Runs the tasks on at most `sharing` threads. Wakes those of them that sleep, or leaves them asleep.
    void run(Index count, const std::function<void(Index)>& task, Index sharing, bool wakes) {
        task_ = &task;
        watch_ = watch;
        wakes_ = wakes;
        const Index shares = std::min<Index>(sharing, size());
        taking_part_ = static_cast<std::size_t>(shares);
        for (std::size_t i = 0; i < taking_part_; ++i) {
            const Index at = static_cast<Index>(i);
            members_[i].next.store(count * at / shares, std::memory_order_relaxed);
            members_[i].end = count * (at + 1) / shares;
        }
        for (std::size_t i = 1; i < taking_part_; ++i) call(members_[i], State::kInvited);
        wake_next(0);
        take(0);
        for (std::size_t i = 1; i < taking_part_; ++i) await(members_[i]);
    }

private:
    // A worker goes from kInvited to kWorking to kIdle; the caller from kIdle to kInvited and, if the worker does not
    // come, back.
    enum class State { kIdle, kInvited, kWorking, kStopped };
    struct alignas(128) Member {  // two lines, which are read together
        std::atomic<Index> next{0};
        Index end = 0;
        std::atomic<State> state{State::kIdle};
        std::atomic<unsigned> calls{0};
        Sleep sleep;
    };

    // How long a worker waits for the next call before it sleeps: longer than the gap between two operations of a
    // training step. After a call that came later than that, it waits half as long.
    static constexpr std::chrono::nanoseconds kMostPatience = std::chrono::microseconds(100);
    static constexpr std::chrono::nanoseconds kLeastPatience = std::chrono::microseconds(3);
    // How long the caller waits for the last tasks before it sleeps: some twice the time it takes to wake it.
    static constexpr std::chrono::nanoseconds kCallerPatience = std::chrono::microseconds(50);

    // Returns false at a limit on processes or memory.
    bool add_worker() {
        try {
            threads_.emplace_back([this, thread = threads_.size() + 1] { work(thread); });
            return true;
        } catch (const std::system_error&) { return false; } catch (const std::bad_alloc&) {
            return false;
        }
    }
    static void call(Member& member, State state) {
        member.state.store(state);
        member.calls.store(member.calls.load(std::memory_order_relaxed) + 1);
    }
    // Waking takes microseconds, so each thread that comes wakes two others.
    void wake_next(std::size_t thread) {
        for (std::size_t next = 2 * thread + 1; wakes_ && next <= 2 * thread + 2 && next < taking_part_; ++next)
            members_[next].sleep.wake();
    }
    void take(std::size_t thread) {
        const FlushSubnormals flush;
        for (std::size_t k = 0; k < taking_part_; ++k) {
            Member& member = members_[(thread + k) % taking_part_];
            try {
                for (Index i; (i = member.next.fetch_add(1)) < member.end && !interrupted();) (*task_)(i);
            } catch (...) { watch->fail(std::current_exception()); }
        }
    }
    // Waits for a worker to end its tasks, or takes back its invitation.
    void await(Member& member) {
        State invited = State::kInvited;
        if (member.state.compare_exchange_strong(invited, State::kIdle)) return;
        const auto idle = [&] { return member.state.load() == State::kIdle; };
        if (!spin_until(kCallerPatience, idle)) caller_.until(idle);
    }
    void work(std::size_t thread) {
        Member& self = members_[thread];
        auto patience = kMostPatience;
        unsigned seen = 0;
        const auto called = [&] { return self.calls.load() != seen; };
        for (;;) {
            const auto since = std::chrono::steady_clock::now();
            if (!spin_until(patience, called)) {
                self.sleep.until(called);
                const bool soon = std::chrono::steady_clock::now() - since < 2 * kMostPatience;
                patience = soon ? kMostPatience : std::max(patience / 2, kLeastPatience);
            }
            seen = self.calls.load();
            State invited = State::kInvited;
            if (!self.state.compare_exchange_strong(invited, State::kWorking)) {
                if (invited == State::kStopped) return;
                continue;
            }
            wake_next(thread);
            watch = watch_;
            take(thread);
            watch = nullptr;
            self.state.store(State::kIdle);
            caller_.wake();
        }
    }

    std::unique_ptr<Member[]> members_;
    std::vector<std::thread> threads_;
    Sleep caller_;
    std::size_t taking_part_ = 0;
    bool wakes_ = true;
    const std::function<void(Index)>* task_ = nullptr;
    Watch* watch_ = nullptr;
};

int from_environment(const char* name) {
    const char* text = std::getenv(name);
    if (!text) return 0;
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    return end != text && *end == '\0' && value >= 1 && value <= kMostThreads ? static_cast<int>(value) : 0;
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
        if (count == 0) count = std::min(usable_cores(""), kMostThreads);
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

void run_tasks(Index count, const std::function<void(Index)>& task, Index most, bool wakes) {
    static const bool survives_fork = call_after_fork(forget_after_fork);
    int wanted = num_threads();
    const Index sharing = std::min({count, most, static_cast<Index>(wanted)});
    if (sharing < 2 || !survives_fork) return run_in_turn(count, task);
    const Claim claim;
    if (!claim.holds()) return run_in_turn(count, task);
    if (rehearsing()) {
        const FlushSubnormals flush;
        return rehearse_tasks(count, sharing, task);
    }
    if (pool && pool->size() != wanted) drop_pool();
    if (!pool) {
        pool = new ThreadPool(wanted);
        threads.compare_exchange_strong(wanted, pool->size());
    }
    pool->run(count, task, sharing, wakes);
    if (pool->size() != threads.load()) drop_pool();
}

void run_watched(Index count, const std::function<void(Index)>& task, Index most, bool checks_signals) {
    if (watch) return run_in_turn(count, task);  // nested: the outer caller throws
    Watch state(checks_signals);
    watch = &state, is_caller = true;
    try {
        run_tasks(count, task, most, checks_signals);
    } catch (...) { state.fail(std::current_exception()); }
    watch = nullptr, is_caller = false;
    state.raise();
}

}  // namespace

void parallel_for(Index count, const std::function<void(Index)>& task, Index most) {
    run_watched(count, task, most, true);
}
void parallel_for_to_the_end(Index count, const std::function<void(Index)>& task) {
    run_watched(count, task, kMostThreads, false);
}

}  // namespace pyrnn
