// How a recurrent layer is split into blocks, segments and groups, and how its saved data is laid out.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "../system/system.hpp"
#include "operations.hpp"
#include "packs.hpp"
#include "parallel.hpp"
#include "team.hpp"

namespace pyrnn {
namespace {

template <class T>
std::size_t bytes(Index count) {
    return static_cast<std::size_t>(count) * sizeof(T);
}

// The steps [first, end), in the order of computation.
struct Steps {
    Index first, end;
    Index count() const { return end - first; }
};
// The steps are split into ranges of `size`: the range that contains step s.
inline Steps range_of(Index steps, Index size, Index s) {
    const Index first = s / size * size;
    return {first, std::min(steps, first + size)};
}

// Sizes that follow from the problem. A partial result of the weight gradients is
//   dW (F, Hp / P, gates, P) | dU (H, Hp / P, u_count, P) | sums of dA (Hp / P, V, P) | dU of the candidate (H, Hp)
// where a large layer has the rows inside the unit blocks.
template <class T>
struct Sizes {
    explicit Sizes(const Rnn<T>& p)
        : cell(info(p.cell)),
          lanes(kernels<T>().lanes),
          hp(padded<T>(p.units)),
          blocks(hp / lanes),
          width(cell.vectors * hp),
          w_width(cell.gates * hp),
          u_width(cell.u_count * hp),
          candidate(p.cell == Cell::kGruResetBefore),
          u_at(p.features * w_width),
          bias_at(u_at + p.units * u_width),
          candidate_at(bias_at + width),
          partial(candidate_at + (candidate ? p.units * hp : 0)),
          large((p.features + p.units) * w_width * static_cast<Index>(sizeof(T)) > kSmallWeightBytes),
          segment(std::max(large ? kLargeSegment : kSmallSegment, kGemmTnRows / p.batch)),
          window(p.steps),
          gates(layout(p.batch, p.steps, cell.vectors * lanes)),
          carry(layout(p.batch, p.steps + 1, 2 * lanes)) {
        if (p.checkpoint_steps) window = std::min(p.steps, (p.checkpoint_steps + segment - 1) / segment * segment);
        windows = (p.steps + window - 1) / window;
    }

    // How training saves `vectors` elements for each row, step and unit block (abi/problem.hpp).
    struct Layout {
        Strides at;
        Index size;
    };
    Layout layout(Index batch, Index steps, Index vectors) const {
        // Free vectors after each step: steps a power of two apart would compete for the same sets of a cache.
        constexpr Index kSetPadding = 17;
        if (!large) return {{steps * blocks * vectors, blocks * vectors, vectors}, batch * steps * blocks * vectors};
        const Index step = batch * blocks * vectors + kSetPadding * lanes;
        return {{vectors, step, batch * vectors}, steps * step};
    }

    // How a partial result stores `rows` rows of weights of `count` gates: rows of Hp / P unit blocks, or unit blocks
    // of rows in a large layer.
    Strides sums(Index rows, Index count) const {
        const Index v = count * lanes;
        return large ? Strides{v, 0, rows * v} : Strides{blocks * v, 0, v};
    }

    static constexpr Index kSmallWeightBytes = Index{1} << 20;  // half of a common L2
    static constexpr Index kSmallSegment = 128, kLargeSegment = 32;
    const CellInfo& cell;
    Index lanes, hp, blocks, width, w_width, u_width;
    bool candidate;
    Index u_at, bias_at, candidate_at, partial;
    bool large;  // the weights do not stay in L2 from step to step
    // Weight gradients are summed segment by segment, from the last to the first. So their bits are the same whether
    // all steps were saved or, with checkpoints, a window of whole segments was computed again.
    Index segment, window, windows;
    Layout gates, carry;  // where all steps are saved
    bool checkpointed() const { return windows > 1; }
};

// Multiply-adds of a row in forward; backward has about twice as many.
template <class T>
Index row_work(const Rnn<T>& p, const Sizes<T>& z) {
    return p.steps * (p.features + p.units) * z.w_width;
}
// Multiply-adds that take as long as to start and end a call.
constexpr Index kCallWork = Index{1} << 18;
constexpr Index kMostMembers = 16, kLeastTeamSteps = 8;

// The rows of the blocks of a small layer: 16, so that their states stay in L1, or fewer where that feeds too few
// threads. A row then takes longer, because a tile has fewer accumulators.
struct BlockRows { Index rows, percent; };
constexpr Index kMostRows = 16, kFewestRows = 4;
inline BlockRows costs_of(Index rows, bool gated) {
    if (rows >= kMostRows) return {kMostRows, 100};
    if (rows > kFewestRows) return {2 * kFewestRows, gated ? 101 : 108};
    return {kFewestRows, gated ? 112 : 140};
}

// What the busiest thread has to do, in percent of a row, where `rows` rows go out at a time.
inline Index busiest(Index batch, Index rows, Index percent, Index threads) {
    const Index tasks = (batch + rows - 1) / rows, each = (tasks + threads - 1) / threads;
    return std::min(each * rows, batch) * percent;
}
inline BlockRows best_block(Index batch, bool gated, Index threads) {
    BlockRows best = costs_of(kMostRows, gated);
    for (Index rows = kMostRows / 2; rows >= kFewestRows; rows /= 2) {
        const BlockRows block = costs_of(rows, gated);
        if (busiest(batch, rows, block.percent, threads) < busiest(batch, best.rows, best.percent, threads))
            best = block;
    }
    return best;
}

// How many threads a layer can use: one if more would save less than a call costs.
template <class T>
Index useful_threads(const Rnn<T>& p, const Sizes<T>& z) {
    const Index threads = num_threads(), work = p.batch * row_work(p, z);
    const Index most = std::min(threads, work / kCallWork);
    if (z.large || most < 2) return std::max<Index>(1, most);
    const BlockRows block = best_block(p.batch, z.cell.vectors > 1, most);
    const Index saved = p.batch - busiest(p.batch, block.rows, block.percent, most) / 100;
    return saved * row_work(p, z) < kCallWork ? 1 : most;
}

// The batch in groups of rows, whose weight gradients are summed one after the other; then the sums of the groups are
// added in order. They depend on the sizes only, and so do the bits of the gradients. Within a group, the products of
// at most kMostRows rows at a time are added (all rows in a large layer).
struct Groups {
    template <class T>
    Groups(const Rnn<T>& p, const Sizes<T>& z) {
        constexpr Index kSmallPartial = Index{1} << 15, kLargePartial = Index{1} << 20, kStepsPerGroup = 1600;
        const Index bytes = z.partial * static_cast<Index>(sizeof(T));
        const bool small = bytes <= kSmallPartial;
        Index most = std::clamp<Index>(p.batch * p.steps / kStepsPerGroup, 8, 64);
        if (small) most = 64;
        if (bytes > kLargePartial) most = 2;
        if (z.large) most = 1;
        rows = small ? kMostRows / 2 : kMostRows;
        if (p.batch > most * rows) rows = ((p.batch + most - 1) / most + kMostRows - 1) / kMostRows * kMostRows;
        if (z.large) rows = p.batch;
        count = (p.batch + rows - 1) / rows;
        add_rows = z.large ? rows : std::min(rows, kMostRows);
    }
    Index rows, count;
    Index add_rows;  // whose products are added at a time
};

// Whether the unit blocks of a step can be computed side by side: no activation spans a row, and no product reads what
// another one of the same step makes.
template <class T>
bool units_apart(const Rnn<T>& p, const Sizes<T>& z) {
    return !z.candidate && !spans_row(p.activation) && (z.cell.gates == 1 || !spans_row(p.recurrent_activation));
}

// How many threads compute the units of each step side by side in forward, where there is nothing else to split: one or
// two rows of a layer whose weights take long to read.
template <class T>
Index team_of_few_rows(const Rnn<T>& p, const Sizes<T>& z) {
    constexpr Index kMemberBytes = Index{96} << 10;
    const Index read = p.units * z.u_width * static_cast<Index>(sizeof(T));
    return std::max<Index>(1, std::min({read / kMemberBytes, kMostMembers, static_cast<Index>(num_threads())}));
}

// How a large layer is split: blocks of `rows` rows, and in each the unit blocks over `members` threads.
struct Grid { Index rows, members; };

enum class Direction { kForward, kBackward };

// What a step costs a thread of a grid, in multiply-adds at the peak: its products or reading its weights, whichever
// takes longer, half of the other, and what it reads from the caches of the others in its team.
template <class T>
class GridCosts {
public:
    GridCosts(const Rnn<T>& p, const Sizes<T>& z, Direction direction)
        : z_(z),
          backward_(direction == Direction::kBackward),
          weights_((backward_ ? z.hp * z.cell.u_count : p.features * z.cell.gates + p.units * z.cell.u_count) *
                   z.lanes) {}

    // Whether the weights that a member of a team reads in each step stay in its L2.
    bool resident(Index members) const {
        constexpr std::size_t kUsual = std::size_t{1} << 20;
        static const std::size_t stated = second_level_cache(), cache = stated > 0 ? stated : kUsual;
        return members > 1 && bytes<T>(unit_blocks(members) * weights_) <= cache / 4 * 3;
    }
    Index of(const Grid& grid) const {
        // The first three per number that is read, the last per step.
        constexpr Index kFromL2 = 3, kFromL3 = 13, kFromOthers = 32, kBarrier = 40000;
        const Index weights = unit_blocks(grid.members) * weights_, products = grid.rows * weights;
        const Index read = weights * (resident(grid.members) ? kFromL2 : kFromL3);
        const Index others = (z_.blocks - unit_blocks(grid.members)) * z_.lanes * (backward_ ? z_.cell.u_count : 1);
        return std::max(products, read) + std::min(products, read) / 2 +
               (grid.members > 1 ? grid.rows * others * kFromOthers + kBarrier : 0);
    }

private:
    Index unit_blocks(Index members) const { return (z_.blocks + members - 1) / members; }
    const Sizes<T>& z_;
    const bool backward_;
    const Index weights_;  // of a unit block
};

template <class T>
Grid best_grid(const Rnn<T>& p, const Sizes<T>& z, Index threads, const GridCosts<T>& costs) {
    constexpr Index kRowStep = 8;
    const auto with = [&](Index members) {
        const Index blocks = std::max<Index>(1, threads / members), rows = (p.batch + blocks - 1) / blocks;
        if (members == 1 || rows > kRowStep) return Grid{(rows + kRowStep - 1) / kRowStep * kRowStep, members};
        return Grid{std::max(rows, std::min(p.batch, kFewestRows)), members};
    };
    // A team waits in each step for the member that the system delays most, so its costs must be this much lower.
    constexpr Index kGainPercent = 30;
    Grid best = with(1);
    Index least = costs.of(best) * (100 - kGainPercent) / 100;
    if (p.steps < kLeastTeamSteps || !units_apart(p, z) || !Team::promises()) return best;
    for (Index members = 2; members <= std::min({threads, kMostMembers, z.blocks}); ++members)
        if (const Grid grid = with(members); costs.of(grid) < least) best = grid, least = costs.of(grid);
    return best;
}

// How the batch is split. While the weights stay in L2, a task takes the few rows of a block, so that their states stay
// in L1. Larger weights are read from memory in each step, so a block has all rows of its thread or its team.
template <class T>
struct Split {
    Split(const Rnn<T>& p, const Sizes<T>& z, Direction direction) {
        threads = useful_threads(p, z);
        if (z.large) {
            const GridCosts<T> costs(p, z, direction);
            const Grid grid = best_grid(p, z, threads, costs);
            take(p, grid.rows);
            members = grid.members, resident = costs.resident(members);
        } else {
            take(p, best_block(p.batch, z.cell.vectors > 1, threads).rows);
        }
        if (direction == Direction::kForward && p.batch <= kFewRows && p.steps >= kLeastTeamSteps &&
            units_apart(p, z) && Team::promises())
            take(p, p.batch), members = team_of_few_rows(p, z), resident = false;
        task_rows = p.batch;
    }
    void take(const Rnn<T>& p, Index block_rows) {
        rows = block_rows;
        blocks = (p.batch + rows - 1) / rows;
    }
    Index threads;  // at most
    Index rows, blocks;
    Index task_rows;        // rows that are computed at the same time
    Index members = 1;      // of the team that computes a block
    bool resident = false;  // whether a member's weights stay in its L2
};

// Calls run(index, its team or null) for each block of rows.
template <class T, class F>
void for_row_blocks(const Split<T>& split, const F& run) {
    if (split.members == 1) return parallel_for(split.blocks, [&](Index index) { run(index, nullptr); }, split.threads);
    std::vector<std::unique_ptr<Team>> teams;
    teams.reserve(static_cast<std::size_t>(split.blocks));
    for (Index i = 0; i < split.blocks; ++i) teams.push_back(std::make_unique<Team>(split.members));
    parallel_for(split.blocks * split.members, [&](Index task) {
        const Index index = task / split.members;
        Team& team = *teams[static_cast<std::size_t>(index)];
        team.take_part([&] { run(index, &team); });
    });
}

// How backward is split. A task of a small layer takes the blocks of one group or two through all segments and adds the
// weight gradients of a block right after its backward. Where that feeds too few threads, and in a large layer, all
// blocks go through a segment first, and its weight gradients follow, split by groups and unit blocks. The sums are the
// same.
template <class T>
struct BackwardSplit : Split<T> {
    BackwardSplit(const Rnn<T>& p, const Sizes<T>& z) : Split<T>(p, z, Direction::kBackward), groups(p, z) {
        if (z.large) {
            share_gradients(p, z);
            return;
        }
        const Index threads = this->threads;
        // Backward of all blocks and the weight gradients that follow share the work about equally; what the one leaves
        // in a core's cache, another core reads. It must save enough to pay for a second call, whose threads are
        // awake.
        constexpr Index kApartPercent = 10;
        const bool gated = z.cell.vectors > 1;
        const BlockRows block = best_block(p.batch, gated, threads);
        const Index gradient_tasks = groups.count * z.blocks;
        const Index gradients = p.batch * 100 / std::min(threads, gradient_tasks);
        const Index cost = (busiest(p.batch, block.rows, block.percent, threads) + gradients) / 2;
        // Both orders add the same only if a group has one block or the sequence one segment.
        apart = !z.checkpointed() && (groups.rows == groups.add_rows || p.steps <= z.segment);
        const Index extra = 100 * (kCallWork / 2) / row_work(p, z);
        Index best = apart ? cost * (100 + kApartPercent) / 100 + extra : 0;
        for (Index in_task = groups.rows < kMostRows ? 2 : 1; in_task > 0; --in_task) {
            const Index rows = in_task * groups.rows, at_once = std::min(rows, kMostRows);
            const Index together = busiest(p.batch, rows, costs_of(at_once, gated).percent, threads);
            if (best > 0 && together > best) continue;
            best = together, apart = false;
            this->take(p, at_once);
            task_groups = in_task;
        }
        if (apart) {
            this->take(p, block.rows);
            ranges = std::min((threads + groups.count - 1) / groups.count, z.blocks);
        } else {
            tasks = (groups.count + task_groups - 1) / task_groups;
            this->task_rows = tasks * this->rows;
        }
    }
    Groups groups;
    bool apart = true;
    Index task_groups = 1, tasks = 0;  // unless apart
    // If apart: of a group's weight gradients, ranges of unit blocks times parts of the weights' rows.
    Index ranges = 1, parts = 1;

private:
    // A task copies the operands of its products, which pays only with this many vectors of dA and rows of the weights.
    void share_gradients(const Rnn<T>& p, const Sizes<T>& z) {
        constexpr Index kLeastVectors = 16, kLeastRows = 64;
        const Index wide = std::max<Index>(1, z.width / z.lanes / kLeastVectors);
        ranges = std::min(this->threads, wide);
        for (Index n = 2; n <= std::min(this->threads, p.units / kLeastRows); ++n)
            if (const Index each = std::min(this->threads / n, wide); n * each > parts * ranges)
                parts = n, ranges = each;
    }
};

// A block of batch rows, and its first row in the memory of task_rows rows.
struct Block { Index index, row, rows, task_row; };

// Whether tiles prefetch weights; those of a few rows could not prefetch all.
template <class T>
bool streams_weights(const Sizes<T>& z, Index rows) {
    return z.large && rows >= 8;
}

// Keras's gate that reads copy j of x: copies are in the order of the vectors.
template <class T>
Index input_gate(const Rnn<T>& p, Index j) {
    return p.input_copies == 1 ? 0 : (j + info(p.cell).x_shift) % info(p.cell).gates;
}

// The first time of a range of steps.
template <class T>
Index first_time(const Rnn<T>& p, const Steps& range) {
    return p.backwards ? p.steps - range.end : range.first;
}

// out = in * scale for `rows` rows of `steps` steps of n; one row of scale for each row.
template <class T>
void scale_steps(T* out, Index out_row, const T* in, Index in_row, const T* scale, Index rows, Index steps, Index n) {
    for (Index r = 0; r < rows; ++r, scale += n)
        for (Index t = 0; t < steps; ++t)
            for (Index i = 0; i < n; ++i) out[r * out_row + t * n + i] = in[r * in_row + t * n + i] * scale[i];
}

// x as it enters W: x itself or, under dropout, its copies (input_copies, rows, steps, F) for a range of `steps` steps
// at a time.
template <class T>
class EnteringInput {
public:
    EnteringInput(const Rnn<T>& p, Index rows, Index steps, Workspace& ws)
        : p_(p),
          steps_(steps),
          copy_(rows * steps * p.features),
          scaled_(p.input_scale ? ws.scratch<T>(Workspace::kInput, p.input_copies * copy_) : nullptr) {}

    // Makes the copies of the block's rows for the range that contains step s.
    void scale(const Block& block, Index s) const {
        if (!scaled_) return;
        const Steps range = range_of(p_.steps, steps_, s);
        const Index f = p_.features;
        for (Index j = 0; j < p_.input_copies; ++j)
            scale_steps(scaled_ + j * copy_ + block.task_row * steps_ * f, steps_ * f,
                        p_.x + (block.row * p_.steps + first_time(p_, range)) * f, p_.steps * f,
                        p_.input_scale + (input_gate(p_, j) * p_.batch + block.row) * f, block.rows, range.count(), f);
    }

    struct View {
        const T* x;  // of the first row at the first time
        Index row, copy;
    };
    View of(const Block& block, const Steps& range) const {
        const Index f = p_.features, time = first_time(p_, range);
        if (!scaled_) return {p_.x + (block.row * p_.steps + time) * f, p_.steps * f, 0};
        const Index before = time - first_time(p_, range_of(p_.steps, steps_, range.first));
        return {scaled_ + (block.task_row * steps_ + before) * f, steps_ * f, p_.input_copies > 1 ? copy_ : 0};
    }

private:
    const Rnn<T>& p_;
    Index steps_, copy_;
    T* scaled_;
};

}  // namespace
}  // namespace pyrnn
