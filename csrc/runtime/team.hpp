// A team of threads that compute the unit blocks of the same rows side by side (Member in abi/problem.hpp).
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "../abi/problem.hpp"

namespace pyrnn {

// The first thread that comes leads: it prepares problems and calls run(), in which it begins to compute at once. The
// others join at the step after they have come and help until the leader has finished. So a team never waits for a
// thread that the system has not started yet, and one thread alone computes everything.
//
// A member that waits spins for some microseconds and then sleeps. A leader that sleeps for a large part of the time
// continues alone, because the others have no core of their own. The bits do not depend on the members: a unit block's
// sums are the same whoever computes it.
class Team {
public:
    // At most `size` threads take part, at least one.
    explicit Team(Index size);
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    // Each of `size` tasks of a parallel_for calls it: the first runs lead(), the others help or find nothing to do.
    void take_part(const std::function<void()>& lead);

    // To be called by lead(), any number of times: every member runs compute(member), which takes it through the steps
    // of one problem with `blocks` unit blocks. Members get a multiple of `grain` where that divides them evenly.
    // Returns when all members have finished, or have returned early because parallel_for was interrupted.
    void run(Index steps, Index blocks, Index grain, const std::function<void(const Member&)>& compute);

    Index size() const { return size_; }

    // False for a while after a leader has continued alone, longer each time until a team works again. Always true in a
    // rehearsal, which waits for nobody.
    static bool promises();

private:
    using Word = std::uint64_t;
    struct Phase { Word number, now, next; };
    // What a member shares, and what it alone reads and writes, in lines of their own (128 bytes are read together).
    struct Place {
        alignas(128) std::atomic<Word> ended{0};  // the last phase that it has ended
        alignas(128) Word phase = 0;
        Word members = 1;
    };
    static Phase unpacked(Word word);
    static Index next_step(const Member& member, Index step, UnitBlocks& mine);
    static Index rehearsed_step(const Member& member, Index step, UnitBlocks& mine);
    void rehearse();
    void help(Index number);
    bool join(Index number);
    void leave(Index number);
    void finish();
    void end_phase(Index number);
    bool await_others(Index number);
    void note_sleep(std::chrono::nanoseconds time);
    bool helpers_ended(Word members, Word phase) const;
    Place& place_of(Index number) const { return places_[static_cast<std::size_t>(number)]; }
    UnitBlocks blocks_of(Index number) const;
    template <class Ready>
    bool wait(const Ready& ready, bool until_interrupted, std::chrono::nanoseconds* slept = nullptr);
    void wake();

    const Index size_;
    const std::unique_ptr<Place[]> places_;
    // Phases are numbered: each step of a problem is one, and the time between two problems. The leader publishes the
    // last one that it has ended, with the number of members in it and in the next one.
    alignas(128) std::atomic<Word> leader_{0};
    Word begin_ = 0;  // the phase of the first step of the problem
    Index steps_ = 0, blocks_ = 0, grain_ = 1;
    const std::function<void(const Member&)>* compute_ = nullptr;
    // Of the leader alone.
    const std::chrono::steady_clock::time_point created_ = std::chrono::steady_clock::now();
    std::chrono::nanoseconds slept_{0};
    int sleeps_ = 0;
    bool alone_ = false;
    alignas(128) std::atomic<Index> joined_{0};  // threads that have come, including the leader
    std::atomic<int> asleep_{0};
    std::mutex mutex_;
    std::condition_variable awake_;
};

}  // namespace pyrnn
