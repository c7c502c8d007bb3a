// Forward of a recurrent layer: fills the kernel's problem for a block of rows and a range of steps.
#pragma once

#include <cstring>

#include "rnn_panels.hpp"

namespace pyrnn {
namespace {

template <class T>
RnnOptions kernel_options(const Rnn<T>& p, const Sizes<T>& z, const Split<T>& split, Index rows) {
    const bool streamed = streams_weights(z, rows) && !split.resident;
    return {p.activation, p.recurrent_activation, p.backwards, streamed, false, interrupted};
}

// What both directions read of the layer's arrays, without x and the initial state.
template <class T>
RnnInput<T> kernel_input(const Rnn<T>& p, const Block& block, const Steps& range) {
    RnnInput<T> in{};
    in.mask = p.mask ? p.mask + block.row * p.steps + first_time(p, range) : nullptr, in.mask_row = p.steps;
    in.state_scale = p.state_scale ? p.state_scale + block.row * p.units : nullptr;
    in.scale_copies = p.state_copies, in.scale_copy = p.batch * p.units;
    return in;
}

// Runs blocks of rows forward over ranges of steps, in scratch of its own.
template <class T>
class ForwardWalk {
public:
    ForwardWalk(const Rnn<T>& p, const Sizes<T>& z, const Split<T>& split, Workspace::Role scratch, Workspace& ws)
        : p_(p),
          z_(z),
          split_(split),
          weights_(forward_panels(p, z, ws)),
          scratch_rows_(scratch_size(split.rows, z.hp)),
          gathered_rows_(gathered_size(split.rows, p.features, p.units, z.lanes)),
          scratch_(ws.scratch<T>(scratch, split.blocks * split.members * scratch_rows_)) {
        if (split.rows > kFewRows && (split.members > 1 || streams_weights(z, split.rows)))
            gathered_ = ws.scratch<T>(Workspace::kGathered, split.blocks * split.members * gathered_rows_);
        if (split.members > 1 && p.batch <= kFewRows)
            exchange_ = ws.scratch<T>(Workspace::kExchange, exchange_size(p.batch, p.units));
        // Only the last block can have few rows.
        if ((p.batch - 1) % split.rows < kFewRows && p.steps > 1 && p.input_copies == 1)
            hoisted_ = ws.scratch<T>(Workspace::kHoisted, kHoistedSteps * kFewRows * z.width);
    }

    // The states before the first step: (rows, H) at a stride each; null: zero.
    struct Start {
        const T* state;
        Index state_row;
        const T* carry;
        Index carry_row;
    };

    // Writes h to `out`, and to `saved` the carry and what training saves. team: computes the block, or null.
    void run(const Block& block, const Steps& range, const typename EnteringInput<T>::View& x, const Start& start,
             const RnnOutput<T>& out, const RnnSaved<T>& saved, Team* team) const {
        RnnForward<T> q{};
        q.rows = block.rows, q.steps = range.count(), q.features = p_.features, q.units = p_.units;
        q.in = kernel_input(p_, block, range);
        q.in.x = x.x, q.in.x_row = x.row, q.in.x_copy = x.copy;
        q.in.initial_state = start.state, q.in.initial_row = start.state_row;
        q.out = out, q.weights = weights_, q.saved = saved;
        q.options = kernel_options(p_, z_, split_, block.rows);
        q.hoisted = block.rows <= kFewRows ? hoisted_ : nullptr;
        for_carry(block, saved, 0, [&](Index row, T* at, Index unit, std::size_t size) {
            std::memset(at, 0, bytes<T>(z_.lanes));
            if (start.carry) std::memcpy(at, start.carry + row * start.carry_row + unit, size);
        });
        const auto compute = [&](const Member& member) {
            const Index place = block.index * split_.members + member.number;
            RnnForward<T> part = q;
            part.member = member, part.exchange = exchange_, part.scratch = scratch_ + place * scratch_rows_;
            if (gathered_ && block.rows > kFewRows) part.gathered = gathered_ + place * gathered_rows_;
            scan<T>(p_.cell).forward(part);
        };
        if (!team) return compute({});
        constexpr Index kFewRowsVectors = 4, kPair = 2;  // of a tile
        const Index few = std::max(kPair, kFewRowsVectors / z_.cell.vectors), many = z_.cell.vectors == 1 ? kPair : 1;
        team->run(range.count(), z_.blocks, block.rows <= kFewRows ? few : many, compute);
    }

    // Copies the states after the last of `steps` steps.
    void copy_last(const Block& block, const RnnOutput<T>& out, const RnnSaved<T>& saved, Index steps, T* state,
                   Index state_row, T* carry, Index carry_row) const {
        const T* last = out.states + (steps - 1) % out.slots * p_.units;
        for (Index r = 0; r < block.rows; ++r)
            std::memcpy(state + r * state_row, last + r * out.state_row, bytes<T>(p_.units));
        for_carry(block, saved, saved.carry ? steps % saved.carry_slots : 0,
                  [&](Index row, const T* at, Index unit, std::size_t size) {
                      std::memcpy(carry + row * carry_row + unit, at, size);
                  });
    }

private:
    // Calls f(row, carry at the slot, its first unit, their bytes) for each row and unit block.
    template <class F>
    void for_carry(const Block& block, const RnnSaved<T>& saved, Index slot, const F& f) const {
        const Strides& at = saved.carry_at;
        for (Index r = 0; saved.carry && r < block.rows; ++r)
            for (Index b = 0; b < z_.blocks; ++b)
                f(r, saved.carry + r * at.row + slot * at.step + b * at.block, b * z_.lanes,
                  bytes<T>(std::min(z_.lanes, p_.units - b * z_.lanes)));
    }

    const Rnn<T>& p_;
    const Sizes<T>& z_;
    const Split<T>& split_;
    RnnWeights<T> weights_;
    Index scratch_rows_, gathered_rows_;
    T *scratch_, *gathered_ = nullptr, *hoisted_ = nullptr, *exchange_ = nullptr;
};

}  // namespace
}  // namespace pyrnn
