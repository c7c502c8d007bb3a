// The entries of a recurrent layer: forward, backward, and the problem of a stream's step.
#include "rnn_backward.hpp"

namespace pyrnn {

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

namespace {

// output (B, H) of a block's rows: the final state, or zeros where the last step is masked.
template <class T>
void write_last_output(const Rnn<T>& p, const Block& block, const T* final_state, T* output) {
    const Index h = p.units, last = p.backwards ? 0 : p.steps - 1;
    for (Index r = block.row; r < block.row + block.rows; ++r) {
        const bool masked = p.zero_output_for_mask && p.mask && !p.mask[r * p.steps + last];
        if (masked) std::memset(output + r * h, 0, bytes<T>(h));
        else std::memcpy(output + r * h, final_state + r * h, bytes<T>(h));
    }
}

}  // namespace

template <class T>
void rnn_forward(const Rnn<T>& p, const RnnSavedArrays<T>& arrays, T* output, T* final_state, T* final_carry,
                 Workspace& ws) {
    const Sizes<T> z(p);
    const Split<T> split(p, z, Direction::kForward);
    const Index h = p.units, th = p.steps * h, checkpoint_row = z.windows * h;
    const Index range_steps = arrays.checkpoints ? z.window : p.steps;
    const ForwardWalk<T> walk(p, z, split, Workspace::kScratch, ws);
    const EnteringInput<T> input(p, p.batch, range_steps, ws);
    const Index slots = arrays.states ? p.steps : 2, carry_slots = arrays.carry ? p.steps + 1 : 2;
    T* states = arrays.states ? arrays.states : ws.scratch<T>(Workspace::kStates, p.batch * slots * h);
    const auto carry_layout = arrays.carry ? z.carry : z.layout(p.batch, carry_slots, z.lanes);
    T* carry = arrays.carry;
    if (z.cell.states == 2 && !carry) carry = ws.scratch<T>(Workspace::kCarry, carry_layout.size);
    for_row_blocks(split, [&](Index index, Team* team) {
        const Index b = index * split.rows;
        const Block block{index, b, std::min(split.rows, p.batch - b), b};
        RnnOutput<T> out{states + b * slots * h, slots, slots * h, nullptr, th};
        const RnnSaved<T> saved{arrays.gates ? arrays.gates + b * z.gates.at.row : nullptr,
                                arrays.z ? arrays.z + b * z.gates.at.row : nullptr,
                                z.gates.at,
                                carry ? carry + b * carry_layout.at.row : nullptr,
                                carry_slots,
                                carry_layout.at};
        typename ForwardWalk<T>::Start start{p.initial_state ? p.initial_state + b * h : nullptr, h,
                                             p.initial_carry ? p.initial_carry + b * h : nullptr, h};
        T* checkpoint = arrays.checkpoints ? arrays.checkpoints + b * checkpoint_row : nullptr;
        T* carry_checkpoint = arrays.carry_checkpoints ? arrays.carry_checkpoints + b * checkpoint_row : nullptr;
        for (Index first = 0; first < p.steps && !interrupted(); first += range_steps) {
            const Steps range = range_of(p.steps, range_steps, first);
            input.scale(block, first);
            if (arrays.states) out.states = states + b * th + first * h;
            out.output = output && p.sequences ? output + b * th + first * h : nullptr;
            walk.run(block, range, input.of(block, range), start, out, saved, team);
            if (!checkpoint) continue;
            walk.copy_last(block, out, saved, range.count(), checkpoint, checkpoint_row, carry_checkpoint,
                           checkpoint_row);
            start = {checkpoint, checkpoint_row, carry_checkpoint, checkpoint_row};
            checkpoint += h;
            if (carry_checkpoint) carry_checkpoint += h;
        }
        const Steps last = range_of(p.steps, range_steps, p.steps - 1);
        walk.copy_last(block, out, saved, last.count(), final_state + b * h, h,
                       final_carry ? final_carry + b * h : nullptr, h);
        if (output && !p.sequences) write_last_output(p, block, final_state, output);
    });
}

template <class T>
RnnForward<T> rnn_step(const Rnn<T>& p, Workspace& ws) {
    const Sizes<T> z(p);
    T* state = ws.scratch<T>(Workspace::kStates, p.batch * p.units);
    std::memset(state, 0, bytes<T>(p.batch * p.units));
    RnnForward<T> q{};
    q.rows = p.batch, q.steps = 1, q.features = p.features, q.units = p.units;
    q.in.x_row = p.features;
    q.in.initial_state = state, q.in.initial_row = p.units;
    q.out.slots = 1, q.out.state_row = p.units;
    q.weights = forward_panels(p, z, ws);
    if (z.cell.states == 2) {
        q.saved.carry = ws.scratch<T>(Workspace::kCarry, p.batch * z.hp);
        q.saved.carry_slots = 1, q.saved.carry_at = {z.hp, 0, z.lanes};
        std::memset(q.saved.carry, 0, bytes<T>(p.batch * z.hp));
    }
    q.scratch = ws.scratch<T>(Workspace::kScratch, scratch_size(p.batch, z.hp));
    q.options.activation = p.activation, q.options.recurrent_activation = p.recurrent_activation;
    return q;
}

namespace {

// States, carry and scratch of a step, one after the other at multiples of a vector.
template <class T>
struct StepMemory {
    StepMemory(const RnnForward<T>& q, Index rows) {
        const Index lanes = kernels<T>().lanes, hp = (q.units + lanes - 1) / lanes * lanes;
        carry = rows * hp;
        scratch = carry + (q.saved.carry ? rows * hp : 0);
        size = scratch + scratch_size(rows, hp);
    }
    Index carry, scratch, size;  // where they begin; states begin at 0
};

}  // namespace

template <class T>
Index rnn_step_memory(const RnnForward<T>& q, Index rows) {
    return StepMemory<T>(q, rows).size;
}

template <class T>
RnnForward<T> rnn_step_of(RnnForward<T> q, Index rows, T* memory) {
    const StepMemory<T> at(q, rows);
    std::memset(memory, 0, bytes<T>(at.scratch));
    q.rows = rows;
    q.in.initial_state = memory;
    if (q.saved.carry) q.saved.carry = memory + at.carry;
    q.scratch = memory + at.scratch;
    return q;
}

template <class T>
void rnn_backward(const Rnn<T>& p, const RnnSavedArrays<T>& saved, const RnnGradients<T>& g, Workspace& ws) {
    BackwardWalk<T>(p, saved, g, ws).run();
}

#define PYRNN_INSTANTIATE(T)                                                                    \
    template Index gates_size(const Rnn<T>&);                                                   \
    template Index carry_size(const Rnn<T>&);                                                   \
    template Index checkpoint_count(const Rnn<T>&);                                             \
    template void rnn_forward(const Rnn<T>&, const RnnSavedArrays<T>&, T*, T*, T*, Workspace&); \
    template RnnForward<T> rnn_step(const Rnn<T>&, Workspace&);                                 \
    template Index rnn_step_memory(const RnnForward<T>&, Index);                                \
    template RnnForward<T> rnn_step_of(RnnForward<T>, Index, T*);                               \
    template void rnn_backward(const Rnn<T>&, const RnnSavedArrays<T>&, const RnnGradients<T>&, Workspace&);
PYRNN_INSTANTIATE(float)
PYRNN_INSTANTIATE(double)
#undef PYRNN_INSTANTIATE

}  // namespace pyrnn
