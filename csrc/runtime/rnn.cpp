// A recurrent layer over whole sequences: packs, cuts the batch into blocks, runs the cell, sums the gradients.
#include <cstring>
#include <optional>

#include "rnn_gradients.hpp"
#include "rnn_panels.hpp"

namespace pyrnn {
namespace {

// Walks blocks of rows forward over parts of the sequence, in scratch of its own.
template <class T>
class ForwardWalk {
public:
    ForwardWalk(const Rnn<T>& p, const Sizes<T>& z, const Cut<T>& cut, Workspace::Role scratch, Workspace& ws)
        : p_(p),
          z_(z),
          panels_(forward_panels(p, z, ws)),
          scratch_rows_(scratch_size(cut.rows, z.hp)),
          gathered_rows_(gathered_size(cut.rows, p.features, p.units, z.lanes)),
          scratch_(ws.scratch<T>(scratch, cut.blocks * scratch_rows_)) {
        if (asks_ahead(z, cut.rows)) gathered_ = ws.scratch<T>(Workspace::kGathered, cut.blocks * gathered_rows_);
        // Only the last block can have few rows.
        if ((p.batch - 1) % cut.rows < kFewRows && p.steps > 1 && p.input_copies == 1)
            hoisted_ = ws.scratch<T>(Workspace::kHoisted, kHoistedSteps * kFewRows * z.width);
    }

    // Where a block's states go, and the carry: (row, slots, ...) at the strides, null for a cell of one state.
    struct Memory {
        T* states;
        Index slots, state_row;
        T* carry;
        Index carry_slots;
        Strides carry_at;
    };
    // And where they come from: (rows, H) at a stride each; null: zero.
    struct Start {
        const T* state;
        Index state_row;
        const T* carry;
        Index carry_row;
    };

    // Runs the kernel after set(its problem) has said where to write what training keeps.
    template <class Set>
    void run(const Block& block, const Steps& part, const typename EnteringInput<T>::Part& x, const Start& start,
             const Memory& memory, const Set& set) const {
        const Index h = p_.units;
        RnnForward<T> q{};
        q.rows = block.rows, q.steps = part.count(), q.features = p_.features, q.units = h;
        q.x = x.x, q.x_row = x.row, q.x_copy = x.copy;
        q.backwards = p_.backwards;
        q.w_panels = panels_.w, q.u_panels = panels_.u, q.bias = panels_.bias, q.candidate_panels = panels_.candidate;
        q.initial_state = start.state, q.initial_row = start.state_row;
        q.mask = p_.mask ? p_.mask + block.row * p_.steps + first_time(p_, part) : nullptr, q.mask_row = p_.steps;
        q.state_scale = p_.state_scale ? p_.state_scale + block.row * h : nullptr;
        q.scale_copies = p_.state_copies, q.scale_copy = p_.batch * h;
        q.states = memory.states, q.slots = memory.slots, q.state_row = memory.state_row;
        q.carry = memory.carry, q.carry_slots = memory.carry_slots, q.carry_at = memory.carry_at;
        q.scratch = scratch_ + block.index * scratch_rows_;
        q.gathered = gathered_ ? gathered_ + block.index * gathered_rows_ : nullptr;
        q.hoisted = block.rows <= kFewRows ? hoisted_ : nullptr;
        q.activation = p_.activation, q.recurrent_activation = p_.recurrent_activation;
        q.streamed = asks_ahead(z_, block.rows);
        q.interrupted = interrupted;
        set(q);
        for_carry(block, memory, 0, [&](Index row, T* at, Index unit, std::size_t size) {
            std::memset(at, 0, bytes<T>(z_.lanes));
            if (start.carry) std::memcpy(at, start.carry + row * start.carry_row + unit, size);
        });
        scan<T>(p_.cell).forward(q);
    }

    // Copies the states that the last of `steps` steps left.
    void take(const Block& block, const Memory& memory, Index steps, T* state, Index state_row, T* carry,
              Index carry_row) const {
        const T* last = memory.states + (steps - 1) % memory.slots * p_.units;
        for (Index r = 0; r < block.rows; ++r)
            std::memcpy(state + r * state_row, last + r * memory.state_row, bytes<T>(p_.units));
        for_carry(block, memory, steps % memory.carry_slots, [&](Index row, const T* at, Index unit, std::size_t size) {
            std::memcpy(carry + row * carry_row + unit, at, size);
        });
    }

private:
    // Calls f(row, carry at the slot, its first unit, their bytes) for each row and unit block.
    template <class F>
    void for_carry(const Block& block, const Memory& memory, Index slot, const F& f) const {
        const Strides& at = memory.carry_at;
        for (Index r = 0; memory.carry && r < block.rows; ++r)
            for (Index b = 0; b < z_.blocks; ++b)
                f(r, memory.carry + r * at.row + slot * at.step + b * at.block, b * z_.lanes,
                  bytes<T>(std::min(z_.lanes, p_.units - b * z_.lanes)));
    }

    const Rnn<T>& p_;
    const Sizes<T>& z_;
    Panels<T> panels_;
    Index scratch_rows_, gathered_rows_;
    T *scratch_, *gathered_ = nullptr, *hoisted_ = nullptr;
};

// What backward walks over: all steps, as forward kept them, or a window of them that is walked forward again. Step s
// stands at s % steps; behind the states of a window's rows, and before its first one, there is room for one more (rows
// begin at s = 0).
template <class T>
struct Walked {
    Index steps;
    T* states;
    Index state_row;
    T *gates, *z;
    typename Sizes<T>::Kept gates_kept;
    T* carry;
    Strides carry_at;
};

template <class T>
Walked<T> walked(const Rnn<T>& p, const Sizes<T>& z, const Cut<T>& cut, const RnnKept<T>& kept, Workspace& ws) {
    const Index h = p.units, rows = cut.task_rows, slots = z.window + 1, vectors = z.cell.vectors * z.lanes;
    if (!z.checkpointed())
        return {p.steps, kept.states, p.steps * h, kept.gates, kept.z, z.gates, kept.carry, z.carry.at};
    const auto gates = z.kept(rows, slots, vectors), carry = z.kept(rows, slots, 2 * z.lanes);
    return {z.window,
            ws.scratch<T>(Workspace::kStates, rows * slots * h) + h,
            slots * h,
            z.cell.vectors > 1 ? ws.scratch<T>(Workspace::kGradient, gates.size) : nullptr,
            keeps_preactivations(p) ? ws.scratch<T>(Workspace::kPreactivations, gates.size) : nullptr,
            gates,
            z.cell.states == 2 ? ws.scratch<T>(Workspace::kCarry, carry.size) : nullptr,
            carry.at};
}

// dA while backward walks: in the place of the gates where there are any; else of a segment. Step s stands at s %
// steps, and dA of the first of so many steps is moved behind the last when the steps before them follow.
template <class T>
struct GradientMemory {
    Index steps;
    typename Sizes<T>::Kept kept;
    T* memory;  // or null: the task's own
    void move(T* da, const Block& block, const Sizes<T>& z) const {
        const Strides& at = kept.at;
        for (Index b = 0; b < z.blocks; ++b)
            for (Index r = 0; r < block.rows; ++r) {
                T* first = da + r * at.row + b * at.block;
                std::memcpy(first + steps * at.step, first, bytes<T>(z.cell.vectors * z.lanes));
            }
    }
};

template <class T>
GradientMemory<T> gradient_memory(const Rnn<T>& p, const Sizes<T>& z, const Cut<T>& cut, const Walked<T>& w,
                                  Workspace& ws) {
    if (w.gates) return {w.steps, w.gates_kept, w.gates};
    if (w.z) return {w.steps, w.gates_kept, ws.scratch<T>(Workspace::kGradient, w.gates_kept.size)};
    // A small layer's dA is used up by the task that makes it and can stay in that thread's L2.
    const Index steps = std::min(p.steps, z.segment), slots = steps < p.steps ? steps + 1 : steps;
    const auto kept = z.kept(z.large ? p.batch : cut.rows, slots, z.cell.vectors * z.lanes);
    return {steps, kept, z.large ? ws.scratch<T>(Workspace::kGradient, kept.size) : nullptr};
}

}  // namespace

template <class T>
Index gates_size(const Rnn<T>& p) {
    return Sizes<T>(p).gates.size;
}
template <class T>
Index carry_size(const Rnn<T>& p) {
    return Sizes<T>(p).carry.size;
}
template <class T>
Index checkpoint_count(const Rnn<T>& p) {
    const Sizes<T> z(p);
    return z.checkpointed() ? z.windows : 0;
}

template <class T>
void rnn_forward(const Rnn<T>& p, const RnnKept<T>& kept, T* output, T* final_state, T* final_carry, Workspace& ws) {
    const Sizes<T> z(p);
    const Cut<T> cut(p, z);
    const Index h = p.units, rows = cut.rows, th = p.steps * h;
    const bool whole = !kept.checkpoints;
    const Index piece = whole ? p.steps : z.window, row = z.windows * h;  // of checkpoints
    const ForwardWalk<T> walk(p, z, cut, Workspace::kScratch, ws);
    const EnteringInput<T> input(p, p.batch, piece, ws);
    const Index slots = kept.states ? p.steps : 2, carry_slots = kept.carry ? p.steps + 1 : 2;
    T* states = kept.states ? kept.states : ws.scratch<T>(Workspace::kStates, p.batch * slots * h);
    const auto carry_kept = kept.carry ? z.carry : z.kept(p.batch, carry_slots, z.lanes);
    T* carry = kept.carry;
    if (z.cell.states == 2 && !carry) carry = ws.scratch<T>(Workspace::kCarry, carry_kept.size);
    parallel_for(cut.blocks, [&](Index index) {
        const Index b = index * rows;
        const Block block{index, b, std::min(rows, p.batch - b), b};
        T* const own_carry = carry ? carry + b * carry_kept.at.row : nullptr;
        typename ForwardWalk<T>::Memory memory{states + b * slots * h, slots, slots * h, own_carry, carry_slots,
                                               carry_kept.at};
        typename ForwardWalk<T>::Start start{p.initial_state ? p.initial_state + b * h : nullptr, h,
                                             p.initial_carry ? p.initial_carry + b * h : nullptr, h};
        T* kept_state = kept.checkpoints ? kept.checkpoints + b * row : nullptr;
        T* kept_carry = kept.carry_checkpoints ? kept.carry_checkpoints + b * row : nullptr;
        for (Index first = 0; first < p.steps && !interrupted(); first += piece) {
            const Steps part = piece_of(p.steps, piece, first);
            input.scale(block, first);
            if (kept.states) memory.states = states + b * th + first * h;
            walk.run(block, part, input.of(block, part), start, memory, [&](RnnForward<T>& q) {
                q.output = output && p.sequences ? output + b * th + first * h : nullptr, q.output_row = th;
                q.gates = kept.gates ? kept.gates + b * z.gates.at.row : nullptr;
                q.z = kept.z ? kept.z + b * z.gates.at.row : nullptr;
                q.gates_at = z.gates.at;
            });
            if (whole) continue;
            walk.take(block, memory, part.count(), kept_state, row, kept_carry, row);
            start = {kept_state, row, kept_carry, row};
            kept_state += h;
            if (kept_carry) kept_carry += h;
        }
        const Steps last = piece_of(p.steps, piece, p.steps - 1);
        walk.take(block, memory, last.count(), final_state + b * h, h, final_carry ? final_carry + b * h : nullptr, h);
        if (!output || p.sequences) return;
        for (Index r = b; r < b + block.rows; ++r) {
            const bool masked =
                p.zero_output_for_mask && p.mask && !p.mask[r * p.steps + (p.backwards ? 0 : p.steps - 1)];
            if (masked) std::memset(output + r * h, 0, bytes<T>(h));
            else std::memcpy(output + r * h, final_state + r * h, bytes<T>(h));
        }
    });
}

template <class T>
RnnForward<T> rnn_step(const Rnn<T>& p, Workspace& ws) {
    const Sizes<T> z(p);
    const Panels<T> panels = forward_panels(p, z, ws);
    T* held = ws.scratch<T>(Workspace::kStates, p.batch * p.units);
    std::memset(held, 0, bytes<T>(p.batch * p.units));
    RnnForward<T> q{};
    q.rows = p.batch, q.steps = 1, q.features = p.features, q.units = p.units;
    q.x_row = p.features;
    q.w_panels = panels.w, q.u_panels = panels.u, q.bias = panels.bias, q.candidate_panels = panels.candidate;
    q.initial_state = held, q.initial_row = p.units;
    q.slots = 1, q.state_row = p.units;
    if (z.cell.states == 2) {
        q.carry = ws.scratch<T>(Workspace::kCarry, p.batch * z.hp);
        q.carry_slots = 1, q.carry_at = {z.hp, 0, z.lanes};
        std::memset(q.carry, 0, bytes<T>(p.batch * z.hp));
    }
    q.scratch = ws.scratch<T>(Workspace::kScratch, scratch_size(p.batch, z.hp));
    q.activation = p.activation, q.recurrent_activation = p.recurrent_activation;
    return q;
}

template <class T>
void rnn_backward(const Rnn<T>& p, const RnnKept<T>& kept, const RnnGradients<T>& g, Workspace& ws) {
    const Sizes<T> z(p);
    const Cut<T> cut(p, z);
    const Index h = p.units, f = p.features, th = p.steps * h, rows = cut.rows, blocks = cut.blocks;
    const Index scratch_rows = scratch_size(rows, z.hp), segment = std::min(p.steps, z.segment);
    const BackwardPanels<T> panels = backward_panels(p, z, g.dx != nullptr, ws);
    const bool again = z.checkpointed();
    std::optional<ForwardWalk<T>> forward;
    if (again) forward.emplace(p, z, cut, Workspace::kForwardScratch, ws);
    const Walked<T> w = walked(p, z, cut, kept, ws);
    const GradientMemory<T> da_memory = gradient_memory(p, z, cut, w, ws);
    const Strides& da_at = da_memory.kept.at;
    const Index input_steps = again ? z.window : segment;
    const EnteringInput<T> input(p, cut.task_rows, input_steps, ws);
    const Index entering_row = segment * h, entering_copy = cut.task_rows * entering_row;
    T* entering = p.state_scale ? ws.scratch<T>(Workspace::kScaledStates, p.state_copies * entering_copy) : nullptr;
    T* reset_states = z.candidate ? ws.scratch<T>(Workspace::kResetStates, entering_copy) : nullptr;
    T* scratch = ws.scratch<T>(Workspace::kScratch, blocks * scratch_rows);
    T* partials = ws.scratch<T>(Workspace::kPartials, cut.groups * z.partial);
    const Index product_size = std::max(rows, segment) * f;
    T* products = p.input_copies > 1 ? ws.scratch<T>(Workspace::kInputGradient, blocks * product_size) : nullptr;
    const WeightGradients<T> gradients{p, z, da_at};

    // The row of what backward walks over, and h_{s-1} of a block's rows there.
    const auto kept_row = [&](const Block& block) { return again ? block.task_row : block.row; };
    const auto states_of = [&](const Block& block, Index s) {
        return w.states + kept_row(block) * w.state_row + s % w.steps * h;
    };
    const auto held = [&](const Block& block, Index s) -> const T* {
        if (s > 0) return states_of(block, s) - h;
        return p.initial_state ? p.initial_state + block.row * h : nullptr;
    };
    const auto da_of = [&](const Block& block) {
        return da_memory.memory ? da_memory.memory + kept_row(block) * da_at.row
                                : thread_scratch<T, ThreadUse::kGradient>(da_memory.kept.size);
    };
    const auto walk_again = [&](const Block& block, const Steps& part) {
        T *states = states_of(block, part.first), *before = states - h;
        const Index row = kept_row(block), checkpoint_row = z.windows * h;
        const T* const initial_carry = p.initial_carry ? p.initial_carry + block.row * h : nullptr;
        typename ForwardWalk<T>::Start start{held(block, part.first), h, initial_carry, h};
        if (part.first > 0) {
            const Index at = block.row * checkpoint_row + (part.first / z.window - 1) * h;
            for (Index r = 0; r < block.rows; ++r)
                std::memcpy(before + r * w.state_row, kept.checkpoints + at + r * checkpoint_row, bytes<T>(h));
            start = {before, w.state_row, kept.carry_checkpoints ? kept.carry_checkpoints + at : nullptr,
                     checkpoint_row};
        }
        T* carry = w.carry ? w.carry + row * w.carry_at.row : nullptr;
        forward->run(block, part, input.of(block, part), start,
                     {states, w.steps, w.state_row, carry, w.steps + 1, w.carry_at}, [&](RnnForward<T>& q) {
                         q.gates = w.gates ? w.gates + row * w.gates_kept.at.row : nullptr;
                         q.z = w.z ? w.z + row * w.gates_kept.at.row : nullptr;
                         q.gates_at = w.gates_kept.at;
                     });
    };
    const auto walk_back = [&](const Block& block, const Steps& part) {
        const Index b = block.row, row = kept_row(block), at = part.first % w.steps;
        const auto ends = [&](Index steps) {
            return part.end == p.steps || part.end % steps == 0;
        };  // the last of so many steps
        T* const all_da = da_of(block);
        if (part.end < p.steps && ends(da_memory.steps)) da_memory.move(all_da, block, z);
        if (ends(input_steps)) input.scale(block, part.first);
        if (again && ends(z.window)) walk_again(block, piece_of(p.steps, z.window, part.first));
        T* const da = all_da + part.first % da_memory.steps * da_at.step;
        T* const entered = entering ? entering + block.task_row * entering_row : nullptr;
        RnnBackward<T> q{};
        q.rows = block.rows, q.steps = part.count(), q.units = h;
        q.continues = part.end < p.steps;
        q.states = states_of(block, part.first), q.state_row = w.state_row;
        q.initial_state = held(block, part.first), q.initial_row = part.first > 0 ? w.state_row : h;
        q.carry = w.carry ? w.carry + row * w.carry_at.row + at * w.carry_at.step : nullptr;
        q.carry_at = w.carry_at;
        q.gates = da;
        q.z = w.z ? w.z + row * w.gates_kept.at.row + at * w.gates_kept.at.step : nullptr;
        q.gates_at = da_at;
        if (g.d_output && p.sequences) q.d_output = g.d_output + b * th + part.first * h, q.d_output_row = th;
        else if (g.d_output && !q.continues) q.d_output = g.d_output + b * h, q.d_output_row = h;
        q.sequences = p.sequences, q.zero_output_for_mask = p.zero_output_for_mask;
        q.d_final_state = g.d_final_state ? g.d_final_state + b * h : nullptr;
        q.d_final_carry = g.d_final_carry ? g.d_final_carry + b * h : nullptr;
        q.mask = p.mask ? p.mask + b * p.steps + first_time(p, part) : nullptr, q.mask_row = p.steps;
        q.backwards = p.backwards;
        q.state_scale = p.state_scale ? p.state_scale + b * h : nullptr;
        q.scale_copies = p.state_copies, q.scale_copy = p.batch * h;
        q.ut_panels = panels.ut, q.candidate_t_panels = panels.candidate_t;
        q.reset_states = reset_states ? reset_states + block.task_row * entering_row : nullptr,
        q.reset_row = entering_row;
        if (part.first == 0 && g.d_initial_state) q.d_initial_state = g.d_initial_state + b * h;
        if (part.first == 0 && g.d_initial_carry) q.d_initial_carry = g.d_initial_carry + b * h;
        q.scratch = scratch + block.index * scratch_rows;
        q.activation = p.activation, q.recurrent_activation = p.recurrent_activation;
        q.streamed = asks_ahead(z, block.rows);
        q.interrupted = interrupted;
        scan<T>(p.cell).backward(q);
        if (entered) scale_states(p, block, q, entered, entering_row, entering_copy);
        T* const product = products ? products + block.index * product_size : nullptr;
        if (g.dx) input_gradient(p, z, block, part, da, da_at, panels.wt, g.dx, product);
    };
    // What the gradients of the weights are made of after that: of a block's rows and some blocks of units.
    const auto gradients_of = [&](const Block& block, const Steps& part, T* all_da, Index first, Index count) {
        typename WeightGradients<T>::Part of{};
        of.da = all_da + part.first % da_memory.steps * da_at.step;
        of.x = input.of(block, part);
        if (p.mask) of.x = without_masked(p, block, part, of.x);
        of.begins = part.first == 0;
        of.initial_state = of.begins ? held(block, 0) : nullptr;
        of.held = of.begins ? states_of(block, 0) : held(block, part.first), of.state_row = w.state_row;
        of.entering = entering ? entering + block.task_row * entering_row : nullptr;
        of.reset_states = reset_states ? reset_states + block.task_row * entering_row : nullptr;
        of.entering_row = entering_row, of.entering_copy = entering_copy;
        of.rows = block.rows, of.steps = part.count(), of.block = first, of.blocks = count;
        return of;
    };
    const auto block_of = [&](Index index, Index task_row) {
        return Block{index, index * rows, std::min(rows, p.batch - index * rows), task_row};
    };
    std::memset(partials, 0, bytes<T>(cut.groups * z.partial));
    const Index segments = (p.steps + segment - 1) / segment;
    if (z.large) {
        const Index per_task =
            (z.blocks + num_threads() - 1) / num_threads();  // each sum runs in one piece: no bits depend on it
        const Block batch{0, 0, p.batch, 0};
        for (Index s = segments - 1; s >= 0; --s) {
            const Steps part = piece_of(p.steps, segment, s * segment);
            parallel_for(blocks, [&](Index index) { walk_back(block_of(index, index * rows), part); });
            parallel_for((z.blocks + per_task - 1) / per_task, [&](Index task) {
                const Index first = task * per_task;
                gradients.add(gradients_of(batch, part, da_memory.memory, first, std::min(per_task, z.blocks - first)),
                              partials);
            });
        }
    } else {
        parallel_for(cut.groups, [&](Index group) {
            for (Index index = group * blocks / cut.groups; index < (group + 1) * blocks / cut.groups; ++index) {
                const Block block = block_of(index, group * rows);
                for (Index s = segments - 1; s >= 0 && !interrupted(); --s) {
                    const Steps part = piece_of(p.steps, segment, s * segment);
                    walk_back(block, part);
                    gradients.add(gradients_of(block, part, da_of(block), 0, z.blocks), partials + group * z.partial);
                }
            }
        });
    }
    reduce_gradients(g, partials, cut.groups, p, z);
}

#define PYRNN_INSTANTIATE(T)                                                             \
    template Index gates_size(const Rnn<T>&);                                            \
    template Index carry_size(const Rnn<T>&);                                            \
    template Index checkpoint_count(const Rnn<T>&);                                      \
    template void rnn_forward(const Rnn<T>&, const RnnKept<T>&, T*, T*, T*, Workspace&); \
    template RnnForward<T> rnn_step(const Rnn<T>&, Workspace&);                          \
    template void rnn_backward(const Rnn<T>&, const RnnKept<T>&, const RnnGradients<T>&, Workspace&);
PYRNN_INSTANTIATE(float)
PYRNN_INSTANTIATE(double)
#undef PYRNN_INSTANTIATE

}  // namespace pyrnn
