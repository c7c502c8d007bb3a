// Backward through time of a recurrent layer, and the gradients of its weights.
#pragma once

#include <optional>

#include "rnn_forward.hpp"
#include "rnn_gradients.hpp"

namespace pyrnn {
namespace {

// What backward reads: all steps as forward saved them, or a window of them that is computed again. Step s is at
// s % steps. After the states of a window's rows, and before its first one, there is room for one more (rows begin at
// s = 0).
template <class T>
struct SavedSteps {
    Index steps;
    T* states;
    Index state_row;
    T *gates, *z;
    typename Sizes<T>::Layout gates_layout;
    T* carry;
    Strides carry_at;
};

template <class T>
SavedSteps<T> saved_steps(const Rnn<T>& p, const Sizes<T>& z, const Split<T>& split, const RnnSavedArrays<T>& saved,
                          Workspace& ws) {
    const Index h = p.units, rows = split.task_rows, slots = z.window + 1, vectors = z.cell.vectors * z.lanes;
    if (!z.checkpointed())
        return {p.steps, saved.states, p.steps * h, saved.gates, saved.z, z.gates, saved.carry, z.carry.at};
    const auto gates = z.layout(rows, slots, vectors), carry = z.layout(rows, slots, 2 * z.lanes);
    return {z.window,
            ws.scratch<T>(Workspace::kStates, rows * slots * h) + h,
            slots * h,
            z.cell.vectors > 1 ? ws.scratch<T>(Workspace::kGradient, gates.size) : nullptr,
            keeps_preactivations(p) ? ws.scratch<T>(Workspace::kPreactivations, gates.size) : nullptr,
            gates,
            z.cell.states == 2 ? ws.scratch<T>(Workspace::kCarry, carry.size) : nullptr,
            carry.at};
}

// dA: in the place of the gates if there are any, else of one segment. Step s is at s % steps. Before the segment ahead
// of it follows, dA of the first step moves behind that of the last.
template <class T>
struct GradientMemory {
    Index steps;
    typename Sizes<T>::Layout layout;
    T* memory;  // or null: the thread's scratch
    void move_first(T* da, const Block& block, const Sizes<T>& z) const {
        const Strides& at = layout.at;
        for (Index b = 0; b < z.blocks; ++b)
            for (Index r = 0; r < block.rows; ++r) {
                T* first = da + r * at.row + b * at.block;
                std::memcpy(first + steps * at.step, first, bytes<T>(z.cell.vectors * z.lanes));
            }
    }
};

template <class T>
GradientMemory<T> gradient_memory(const Rnn<T>& p, const Sizes<T>& z, const BackwardSplit<T>& split,
                                  const SavedSteps<T>& saved, Workspace& ws) {
    if (saved.gates) return {saved.steps, saved.gates_layout, saved.gates};
    if (saved.z) return {saved.steps, saved.gates_layout, ws.scratch<T>(Workspace::kGradient, saved.gates_layout.size)};
    // Where only the task that computes dA reads it, it can stay in that thread's L2.
    const Index steps = std::min(p.steps, z.segment), slots = steps < p.steps ? steps + 1 : steps;
    const auto layout = z.layout(split.apart ? p.batch : split.rows, slots, z.cell.vectors * z.lanes);
    return {steps, layout, split.apart ? ws.scratch<T>(Workspace::kGradient, layout.size) : nullptr};
}

// Runs blocks of rows backward, segment by segment from the last to the first, and adds the weight gradients of a
// segment before it goes to the one before.
template <class T>
class BackwardWalk {
public:
    BackwardWalk(const Rnn<T>& p, const RnnSavedArrays<T>& saved, const RnnGradients<T>& g, Workspace& ws)
        : p_(p),
          z_(p),
          split_(p, z_),
          arrays_(saved),
          g_(g),
          weights_(backward_panels(p, z_, g.dx != nullptr, ws)),
          saved_(saved_steps(p, z_, split_, saved, ws)),
          da_memory_(gradient_memory(p, z_, split_, saved_, ws)),
          segment_(std::min(p.steps, z_.segment)),
          input_steps_(z_.checkpointed() ? z_.window : segment_),
          input_(p, split_.task_rows, input_steps_, ws),
          entering_row_(segment_ * p.units),
          entering_copy_(split_.task_rows * entering_row_),
          scratch_rows_(scratch_size(split_.rows, z_.hp)),
          product_size_(std::max(split_.members > 1 ? p.batch : split_.rows, segment_) * p.features),
          gradients_{p, z_, da_memory_.layout.at} {
        if (z_.checkpointed()) forward_.emplace(p, z_, split_, Workspace::kForwardScratch, ws);
        if (p.state_scale) entering_ = ws.scratch<T>(Workspace::kScaledStates, p.state_copies * entering_copy_);
        if (z_.candidate) reset_states_ = ws.scratch<T>(Workspace::kResetStates, entering_copy_);
        scratch_ = ws.scratch<T>(Workspace::kScratch, split_.blocks * scratch_rows_);
        if (p.input_copies > 1)
            products_ =
                ws.scratch<T>(Workspace::kInputGradient, std::max(split_.blocks, split_.threads) * product_size_);
        partials_ = ws.scratch<T>(Workspace::kPartials, split_.groups.count * z_.partial);
    }

    void run() const {
        if (split_.apart) run_segments();
        else parallel_for(split_.tasks, [&](Index task) { run_task(task); }, split_.threads);
        reduce_gradients(g_, partials_, split_.groups.count, p_, z_);
    }

private:
    // All blocks through a segment, then its weight gradients, split by groups, unit blocks and rows of the weights.
    void run_segments() const {
        const Index groups = split_.groups.count, ranges = split_.ranges, parts = split_.parts;
        for (Index s = segment_count() - 1; s >= 0; --s) {
            const Steps range = range_of(p_.steps, segment_, s * segment_);
            for_row_blocks<T>(split_, [&](Index index, Team* team) {
                run_segment(block_of(index, index * split_.rows), range, team);
            });
            if (g_.dx && split_.members > 1) add_input_gradient(range);
            const auto add = [&](Index task) {
                const Index group = task / (ranges * parts), at = task / parts % ranges;
                const Index first = at * z_.blocks / ranges, count = (at + 1) * z_.blocks / ranges - first;
                const Part part{task % parts, parts};
                if (range.end == p_.steps) gradients_.clear(partial(group), first, count, part);
                const Index row = group * split_.groups.rows;
                add_group(group, {0, row, std::min(split_.groups.rows, p_.batch - row), row}, range,
                          da_memory_.memory + row * da_memory_.layout.at.row, first, count, part);
            };
            parallel_for(groups * ranges * parts, add, split_.threads);
        }
    }

    // Where a team computes a block of rows: split by steps.
    void add_input_gradient(const Steps& range) const {
        const Block all{0, 0, p_.batch, 0};
        const Index tasks = std::min(split_.threads, range.count());
        const auto add = [&](Index task) {
            const Steps steps{range.first + task * range.count() / tasks,
                              range.first + (task + 1) * range.count() / tasks};
            const T* const da = da_memory_.memory + steps.first % da_memory_.steps * da_memory_.layout.at.step;
            T* const product = products_ ? products_ + task * product_size_ : nullptr;
            input_gradient(p_, z_, all, steps, da, da_memory_.layout.at, weights_.wt, g_.dx, product);
        };
        parallel_for(tasks, add, split_.threads);
    }

    // The blocks of some groups one after the other, each through all segments, with its weight gradients.
    void run_task(Index task) const {
        const Index group_rows = split_.groups.rows, rows = split_.task_groups * group_rows;
        const Index first = task * split_.task_groups, last = std::min(first + split_.task_groups, split_.groups.count);
        for (Index group = first; group < last; ++group) gradients_.clear(partial(group), 0, z_.blocks, {0, 1});
        for (Index row = task * rows; row < std::min((task + 1) * rows, p_.batch); row += split_.rows) {
            const Block block = block_of(row / split_.rows, task * split_.rows);
            T* const da = da_of(block);
            for (Index s = segment_count() - 1; s >= 0 && !interrupted(); --s) {
                const Steps range = range_of(p_.steps, segment_, s * segment_);
                run_segment(block, range, nullptr);
                for (Index r = 0; r < block.rows; r += group_rows)
                    add_group((row + r) / group_rows, part_of(block, r, group_rows), range,
                              da + r * da_memory_.layout.at.row, 0, z_.blocks, {0, 1});
            }
        }
    }

    // Adds the gradients of a part of the weights by `rows`, which belong to one group, and by `count` unit blocks from
    // `first`. dA of the rows is at `da`.
    void add_group(Index group, const Block& rows, const Steps& range, T* da, Index first, Index count,
                   const Part& part) const {
        for (Index r = 0; r < rows.rows; r += split_.groups.add_rows) {
            const Block block = part_of(rows, r, split_.groups.add_rows);
            T* const from = da + r * da_memory_.layout.at.row;
            gradients_.add(operands(block, range, from, first, count, part), partial(group));
        }
    }
    static Block part_of(const Block& block, Index first, Index rows) {
        return {block.index, block.row + first, std::min(rows, block.rows - first), block.task_row + first};
    }
    T* partial(Index group) const { return partials_ + group * z_.partial; }

    void run_segment(const Block& block, const Steps& range, Team* team) const {
        T* const all_da = da_of(block);
        if (range.end < p_.steps && ends(range, da_memory_.steps)) da_memory_.move_first(all_da, block, z_);
        if (ends(range, input_steps_)) input_.scale(block, range.first);
        if (forward_ && ends(range, z_.window))
            recompute(*forward_, block, range_of(p_.steps, z_.window, range.first), team);
        T* const da = all_da + range.first % da_memory_.steps * da_memory_.layout.at.step;
        const RnnBackward<T> q = problem(block, range, da);
        begin(q);
        if (team) run_team(*team, q);
        else scan<T>(p_.cell).backward(q);
        end(q);
        if (entering_) scale_states(p_, block, q, entering_of(entering_, block), entering_row_, entering_copy_);
        T* const product = products_ ? products_ + block.index * product_size_ : nullptr;
        if (g_.dx && split_.members == 1)
            input_gradient(p_, z_, block, range, da, da_memory_.layout.at, weights_.wt, g_.dx, product);
    }

    // The running gradients before the first segment, and those of the initial state after the last one.
    void begin(const RnnBackward<T>& q) const {
        if (q.continues) return;
        const BackwardScratch<T> scratch(q.scratch, q.rows, z_.hp);
        std::memset(scratch.direct, 0, bytes<T>(q.rows * z_.hp));
        std::memset(scratch.carry, 0, bytes<T>(q.rows * z_.hp));
        copy_states(scratch.direct, z_.hp, q.d_final_state, p_.units, q.rows);
        copy_states(scratch.carry, z_.hp, q.d_final_carry, p_.units, q.rows);
    }
    void end(const RnnBackward<T>& q) const {
        if (!q.d_initial_state) return;
        const BackwardScratch<T> scratch(q.scratch, q.rows, z_.hp);
        copy_states(q.d_initial_state, p_.units, scratch.dh, z_.hp, q.rows);
        if (q.saved.carry) copy_states(q.d_initial_carry, p_.units, scratch.carry, z_.hp, q.rows);
    }
    void copy_states(T* to, Index to_row, const T* from, Index from_row, Index rows) const {
        for (Index r = 0; from && r < rows; ++r) std::memcpy(to + r * to_row, from + r * from_row, bytes<T>(p_.units));
    }

    void run_team(Team& team, const RnnBackward<T>& q) const {
        constexpr Index kPair = 2;  // unit blocks of a tile
        team.run(q.steps + (q.d_initial_state ? 1 : 0), z_.blocks, kPair, [&](const Member& member) {
            RnnBackward<T> part = q;
            part.member = member;
            scan<T>(p_.cell).backward(part);
        });
    }

    RnnBackward<T> problem(const Block& block, const Steps& range, T* da) const {
        const Index b = block.row, h = p_.units, row = saved_row(block), at = range.first % saved_.steps;
        const bool first = range.first == 0, last = range.end == p_.steps;
        RnnBackward<T> q{};
        q.rows = block.rows, q.steps = range.count(), q.units = h;
        q.in = kernel_input(p_, block, range);
        q.in.initial_state = state_before(block, range.first), q.in.initial_row = first ? h : saved_.state_row;
        q.states = states_of(block, range.first), q.state_row = saved_.state_row;
        q.weights = weights_.recurrent;
        q.saved.gates = da, q.saved.gates_at = da_memory_.layout.at;
        if (saved_.z) q.saved.z = saved_.z + row * saved_.gates_layout.at.row + at * saved_.gates_layout.at.step;
        if (saved_.carry) q.saved.carry = saved_.carry + row * saved_.carry_at.row + at * saved_.carry_at.step;
        q.saved.carry_at = saved_.carry_at;
        q.options = kernel_options(p_, z_, split_, block.rows);
        q.continues = !last, q.sequences = p_.sequences, q.zero_output_for_mask = p_.zero_output_for_mask;
        if (g_.d_output && (p_.sequences || last)) {
            q.d_output_row = p_.sequences ? p_.steps * h : h;
            q.d_output = g_.d_output + b * q.d_output_row + (p_.sequences ? range.first * h : 0);
        }
        q.d_final_state = g_.d_final_state ? g_.d_final_state + b * h : nullptr;
        q.d_final_carry = g_.d_final_carry ? g_.d_final_carry + b * h : nullptr;
        if (reset_states_) q.reset_states = entering_of(reset_states_, block);
        q.reset_row = entering_row_;
        if (first && g_.d_initial_state) q.d_initial_state = g_.d_initial_state + b * h;
        if (first && g_.d_initial_carry) q.d_initial_carry = g_.d_initial_carry + b * h;
        q.scratch = scratch_ + block.index * scratch_rows_;
        return q;
    }

    // Forward again over a window, from its checkpoint.
    void recompute(const ForwardWalk<T>& forward, const Block& block, const Steps& range, Team* team) const {
        const Index h = p_.units, row = saved_row(block), checkpoint_row = z_.windows * h;
        T *states = states_of(block, range.first), *before = states - h;
        const T* const initial_carry = p_.initial_carry ? p_.initial_carry + block.row * h : nullptr;
        typename ForwardWalk<T>::Start start{state_before(block, range.first), h, initial_carry, h};
        if (range.first > 0) {
            const Index at = block.row * checkpoint_row + (range.first / z_.window - 1) * h;
            for (Index r = 0; r < block.rows; ++r)
                std::memcpy(before + r * saved_.state_row, arrays_.checkpoints + at + r * checkpoint_row, bytes<T>(h));
            start = {before, saved_.state_row, arrays_.carry_checkpoints ? arrays_.carry_checkpoints + at : nullptr,
                     checkpoint_row};
        }
        const Strides& gates_at = saved_.gates_layout.at;
        forward.run(
            block, range, input_.of(block, range), start, {states, saved_.steps, saved_.state_row, nullptr, 0},
            {saved_.gates ? saved_.gates + row * gates_at.row : nullptr,
             saved_.z ? saved_.z + row * gates_at.row : nullptr, gates_at,
             saved_.carry ? saved_.carry + row * saved_.carry_at.row : nullptr, saved_.steps + 1, saved_.carry_at},
            team);
    }

    // The operands of the gradients of a part of the weights by a block's rows and `count` unit blocks from `first`.
    typename WeightGradients<T>::Operands operands(const Block& block, const Steps& range, T* all_da, Index first,
                                                   Index count, const Part& part) const {
        typename WeightGradients<T>::Operands of{};
        of.da = all_da + range.first % da_memory_.steps * da_memory_.layout.at.step;
        of.x = input_.of(block, range);
        if (p_.mask) of.x = without_masked(p_, block, range, of.x);
        of.begins = range.first == 0;
        of.initial_state = of.begins ? state_before(block, 0) : nullptr;
        of.states = of.begins ? states_of(block, 0) : state_before(block, range.first);
        of.state_row = saved_.state_row;
        of.entering = entering_ ? entering_of(entering_, block) : nullptr;
        of.reset_states = reset_states_ ? entering_of(reset_states_, block) : nullptr;
        of.entering_row = entering_row_, of.entering_copy = entering_copy_;
        of.rows = block.rows, of.steps = range.count(), of.block = first, of.blocks = count;
        of.part = part;
        return of;
    }

    Index segment_count() const { return (p_.steps + segment_ - 1) / segment_; }
    Block block_of(Index index, Index task_row) const {
        return {index, index * split_.rows, std::min(split_.rows, p_.batch - index * split_.rows), task_row};
    }
    // Whether `range` is the last of `steps` steps.
    bool ends(const Steps& range, Index steps) const { return range.end == p_.steps || range.end % steps == 0; }
    // A block's first row in saved_.
    Index saved_row(const Block& block) const { return forward_ ? block.task_row : block.row; }
    T* states_of(const Block& block, Index s) const {
        return saved_.states + saved_row(block) * saved_.state_row + s % saved_.steps * p_.units;
    }
    // h_{s-1}, or null: zero.
    const T* state_before(const Block& block, Index s) const {
        if (s > 0) return states_of(block, s) - p_.units;
        return p_.initial_state ? p_.initial_state + block.row * p_.units : nullptr;
    }
    T* da_of(const Block& block) const {
        return da_memory_.memory ? da_memory_.memory + saved_row(block) * da_memory_.layout.at.row
                                 : thread_scratch<T, ThreadUse::kGradient>(da_memory_.layout.size);
    }
    T* entering_of(T* array, const Block& block) const { return array + block.task_row * entering_row_; }

    const Rnn<T>& p_;
    Sizes<T> z_;
    BackwardSplit<T> split_;
    const RnnSavedArrays<T>& arrays_;
    const RnnGradients<T>& g_;
    BackwardPanels<T> weights_;
    std::optional<ForwardWalk<T>> forward_;  // where steps are computed again
    SavedSteps<T> saved_;
    GradientMemory<T> da_memory_;
    Index segment_, input_steps_;
    EnteringInput<T> input_;
    Index entering_row_, entering_copy_, scratch_rows_, product_size_;
    // (state_copies, task_rows, segment, H): h_{s-1} as it entered U, and r * h_{s-1}; or null
    T *entering_ = nullptr, *reset_states_ = nullptr;
    T *scratch_ = nullptr, *products_ = nullptr, *partials_ = nullptr;
    WeightGradients<T> gradients_;
};

}  // namespace
}  // namespace pyrnn
