#include "team.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "parallel.hpp"
#include "rehearsal.hpp"
#include "relax.hpp"

namespace pyrnn {
namespace {

constexpr int kMemberBits = 8;
constexpr std::uint64_t kMemberMask = (1U << kMemberBits) - 1;
constexpr std::uint64_t kEnd = std::numeric_limits<std::uint64_t>::max() >> (2 * kMemberBits);  // after all phases

constexpr std::uint64_t packed(std::uint64_t phase, std::uint64_t now, std::uint64_t next) {
    return phase << (2 * kMemberBits) | now << kMemberBits | next;
}

std::chrono::nanoseconds now() { return std::chrono::steady_clock::now().time_since_epoch(); }

// When a team may be formed again after one that failed, and how long the next one has to wait if it fails too.
constexpr std::chrono::nanoseconds kLeastRest = std::chrono::microseconds(500);
constexpr std::chrono::nanoseconds kMostRest = std::chrono::microseconds(64000);
std::atomic<std::chrono::nanoseconds::rep> next_attempt{0}, rest{kLeastRest.count()};

}  // namespace

Team::Phase Team::unpacked(Word word) {
    return {word >> (2 * kMemberBits), word >> kMemberBits & kMemberMask, word & kMemberMask};
}

Team::Team(Index size) : size_(size), places_(std::make_unique<Place[]>(static_cast<std::size_t>(size))) {
    place_of(0).phase = 1;  // phase 0 has ended; the leader is the only member
    leader_.store(packed(0, 1, 1));
}

void Team::take_part(const std::function<void()>& lead) {
    const Index number = joined_.fetch_add(1);
    if (number > 0) return help(number);
    struct Finish {
        Team& team;
        ~Finish() { team.finish(); }
    } const finish{*this};
    lead();
}

void Team::finish() {
    if (!alone_ && place_of(0).members > 1) rest.store(kLeastRest.count(), std::memory_order_relaxed);
    leader_.store(packed(kEnd, 1, 1));
    wake();
}

void Team::run(Index steps, Index blocks, Index grain, const std::function<void(const Member&)>& compute) {
    Place& place = place_of(0);
    begin_ = place.phase + 1, steps_ = steps, blocks_ = blocks, grain_ = grain, compute_ = &compute;
    if (rehearsing()) return rehearse();
    end_phase(0);
    if (await_others(0)) compute({this, 0, next_step});
    if (place.phase == begin_ + static_cast<Word>(steps)) return;
    // Interrupted: the others use the problem until they have stopped.
    const Word members = unpacked(leader_.load()).next;
    wait([&] { return helpers_ended(members, kEnd); }, false);
}

// Each member's part of all steps, one member after the other. What they read of each other is not there yet, so the
// results are wrong, but they take as long as side by side, without waiting.
void Team::rehearse() {
    constexpr double kBarrier = 0.2e-6;  // seconds, of two
    double all = 0, longest = 0;
    for (Index number = 0; number < size_; ++number) {
        place_of(number).members = static_cast<Word>(size_);
        const auto start = std::chrono::steady_clock::now();
        (*compute_)({this, number, rehearsed_step});
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        all += took.count(), longest = std::max(longest, took.count());
    }
    place_of(0).members = 1;
    rehearse_side_by_side(all - longest -
                          static_cast<double>(steps_) * kBarrier * std::log2(static_cast<double>(size_)));
}

Index Team::rehearsed_step(const Member& member, Index step, UnitBlocks& mine) {
    if (step < 0) mine = static_cast<Team*>(member.team)->blocks_of(member.number);
    return step + 1;
}

void Team::help(Index number) {
    if (!join(number)) return leave(number);
    const Place& place = place_of(number);
    for (;;) {
        const Word end = begin_ + static_cast<Word>(steps_);  // before the leader changes them
        (*compute_)({this, number, next_step});
        if (place.phase != end) break;
        end_phase(number);
        if (!await_others(number)) break;
    }
    leave(number);
}

// Waits until the leader lets this thread take part. False if there is nothing more to do.
bool Team::join(Index number) {
    Place& place = place_of(number);
    const Word self = static_cast<Word>(number);
    Phase seen{};
    const auto admitted = [&] {
        seen = unpacked(leader_.load(std::memory_order_acquire));
        return seen.number == kEnd || seen.now > self || seen.next > self;
    };
    if (!wait(admitted, true) || seen.number == kEnd) return false;
    if (seen.now > self) {  // the leader has ended the first phase of this member already
        place.phase = seen.number, place.members = seen.now;
        return true;
    }
    place.phase = seen.number + 1, place.members = seen.next;
    return wait([&] { return helpers_ended(seen.now, seen.number); }, true);
}

void Team::leave(Index number) {
    place_of(number).ended.store(kEnd);
    wake();
}

void Team::end_phase(Index number) {
    Place& place = place_of(number);
    if (number > 0) {
        place.ended.store(place.phase, std::memory_order_release);
    } else {
        // Threads join in time for a step, since only then the problem stays as it is.
        const bool step_follows = place.phase + 1 < begin_ + static_cast<Word>(steps_);
        Word next = place.members;
        if (step_follows) next = alone_ ? 1 : static_cast<Word>(joined_.load(std::memory_order_relaxed));
        leader_.store(packed(place.phase, place.members, next), std::memory_order_release);
    }
    if (asleep_.load(std::memory_order_relaxed) > 0) wake();
}

bool Team::helpers_ended(Word members, Word phase) const {
    for (Word i = 1; i < members; ++i)
        if (places_[i].ended.load() < phase) return false;
    return true;
}

// Continues alone if the others lack a core, or wait for each other: that is faster. A few long sleeps may come from
// other processes.
void Team::note_sleep(std::chrono::nanoseconds time) {
    constexpr int kFewSleeps = 3, kFraction = 4;
    slept_ += time;
    if (++sleeps_ <= kFewSleeps || slept_ * kFraction < std::chrono::steady_clock::now() - created_) return;
    alone_ = true;
    const auto pause = rest.load(std::memory_order_relaxed);
    next_attempt.store(now().count() + pause, std::memory_order_relaxed);
    rest.store(std::min(2 * pause, kMostRest.count()), std::memory_order_relaxed);
}

bool Team::promises() { return rehearsing() || now().count() >= next_attempt.load(std::memory_order_relaxed); }

// Waits until all members have ended the phase of this one. False after an interrupt, or if this member is no longer
// needed.
bool Team::await_others(Index number) {
    Place& place = place_of(number);
    Phase leader{};
    const auto ended = [&] {
        leader = unpacked(leader_.load());
        return leader.number >= place.phase && helpers_ended(place.members, place.phase);
    };
    std::chrono::nanoseconds slept{0};
    if (!wait(ended, true, &slept) || leader.number == kEnd) return false;
    if (number == 0 && slept.count() > 0) note_sleep(slept);
    place.members = leader.number == place.phase ? leader.next : leader.now;  // it may be a phase ahead
    if (static_cast<Word>(number) >= place.members) return false;
    ++place.phase;
    return true;
}

UnitBlocks Team::blocks_of(Index number) const {
    const Index members = static_cast<Index>(place_of(number).members);
    const auto first_of = [&](Index i) {
        return i == members ? blocks_ : (2 * blocks_ * i + grain_ * members) / (2 * grain_ * members) * grain_;
    };
    return {first_of(number), first_of(number + 1)};
}

Index Team::next_step(const Member& member, Index step, UnitBlocks& mine) {
    Team& team = *static_cast<Team*>(member.team);
    constexpr Index kStop = std::numeric_limits<Index>::max();
    const Place& place = team.place_of(member.number);
    if (step < 0) {
        mine = team.blocks_of(member.number);
        return static_cast<Index>(place.phase - team.begin_);
    }
    const Word members = place.members;
    team.end_phase(member.number);
    if (!team.await_others(member.number)) return kStop;
    // Nobody joins after the last step, when the leader may already prepare another problem.
    if (place.members != members) mine = team.blocks_of(member.number);
    return step + 1;
}

// Waits until ready(). False if parallel_for was interrupted before.
template <class Ready>
bool Team::wait(const Ready& ready, bool until_interrupted, std::chrono::nanoseconds* slept) {
    constexpr int kFirstLooks = 200, kLooks = 16;
    constexpr auto kSpin = std::chrono::microseconds(30), kNap = std::chrono::microseconds(10000);
    for (int i = 0; i < kFirstLooks; ++i)
        if (ready()) return true;
    wake();  // whom this thread missed when it ended its phase
    const auto begin = std::chrono::steady_clock::now(), end = begin + kSpin;
    do {
        for (int i = 0; i < kLooks; ++i, relax())
            if (ready()) return true;
        if (until_interrupted && interrupted()) return false;
    } while (std::chrono::steady_clock::now() < end);
    for (bool is_ready = false; !is_ready;) {
        {
            std::unique_lock<std::mutex> lock(mutex_);
            asleep_.fetch_add(1);
            is_ready = awake_.wait_for(lock, kNap, ready);
            asleep_.fetch_sub(1);
        }
        if (!is_ready && until_interrupted && interrupted()) return false;
    }
    if (slept) *slept = std::chrono::steady_clock::now() - begin;
    return true;
}

// Either this thread sees that others sleep, or they see what it has written before they do: its write to asleep_, even
// of the same number, comes after or before theirs. As that takes a tenth of the time of a barrier, a member that ends
// a phase only reads at first: the others have slept for longer than its writes take, or see them.
void Team::wake() {
    if (asleep_.fetch_add(0) == 0) return;
    { const std::lock_guard<std::mutex> lock(mutex_); }
    awake_.notify_all();
}

}  // namespace pyrnn
