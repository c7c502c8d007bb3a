// What the runtime passes to a kernel: plain structs, shared by baseline and per-ISA code.
//
// Letters: B batch, T time, F features, H units, V vectors of a cell, P lanes of a vector, Hp = H rounded up to a
// multiple of P. Strides count elements, not bytes. All memory belongs to the caller.
#pragma once

#include <cstddef>

#include "activation.hpp"

namespace pyrnn {

using Index = std::ptrdiff_t;

// `count` elements, or null.
template <class T>
struct Coming {
    const T* at;
    Index count;
};

// y = act(bias + A W) on rows of A, or y += A W. Row r of A is `ranges` contiguous ranges of `length` elements, range i
// at a + r * lda + i * offset; the packed panels hold W (ranges * length, n).
template <class T>
struct Gemm {
    const T* a;
    Index lda, rows;
    Index ranges, length, offset;
    const T* panels;  // [ceil(n / P)][k][P]
    const T* bias;    // padded to a multiple of P, or null
    Index n;
    T* y;  // (rows, n), stride ldy
    Index ldy;
    T* z;  // pre-activations at the strides of y, or null
    Activation activation;
    bool accumulate;
    // If there is one range: what tiles ask L2 for meanwhile, since a later call uses it; the first two while they read
    // the first half of a row, the last two in the second half.
    Coming<T> coming[4] = {};
};

// C (m, ranges * width) += A^T B, summed over `sequences` times `rows` rows. A (rows, m) has rows of stride lda and
// sequences of stride a_sequence; B the same, with `ranges` ranges of `width` columns (a multiple of P), range_offset
// apart. C's ranges are c_offset apart.
template <class T>
struct GemmTn {
    const T* a;
    Index lda, a_sequence;
    const T* b;
    Index ldb, b_sequence;
    Index sequences, rows, m, ranges, width, range_offset;
    T* c;
    Index ldc, c_offset;
    T* scratch;             // gemm_tn_scratch(m)
    bool (*interrupted)();  // called every kGemmTnRows rows, if not null: whether to return early
};
// Rows summed before they are added to C, and rows free after each copy of them.
constexpr Index kGemmTnRows = 256, kGemmTnGap = 3;
constexpr Index gemm_tn_scratch(Index m) {
    constexpr Index kLargestVector = 64;  // written beyond the end
    return (kGemmTnRows + kGemmTnGap) * m + kLargestVector;
}

// The problem of one kernel call of a recurrent layer: a block of batch rows through the steps of a segment, a window
// or the whole sequence. V is the cell's number of vectors (abi/cell.hpp). Step s, in the order of computation, reads
// time s, or steps - 1 - s where `backwards`. Arrays of the whole sequence are read and written in place, at the stride
// of a whole row (x_row, mask_row, ...): pointers to states and saved data begin at the call's first row and first
// step, those of x and the mask at its first row and first time. The caller owns all memory and keeps it until the call
// returns; `saved` must last from forward to backward. Pointers never overlap except where a note says so.
struct Strides { Index row, step, block; };

// The sizes of a call. steps: T of the call.
struct RnnSizes { Index rows, steps, features, units; };

template <class T>
struct RnnInput {
    const T* x;                 // (rows, T, F)
    Index x_row, x_copy;        // x_copy: elements to the copy that the next gate reads; 0: all gates read the same x
    const unsigned char* mask;  // (rows, T) or null; a masked step keeps its states
    Index mask_row;
    const T* initial_state;  // h before the first step (rows, H), or null: zero
    Index initial_row;
    const T*
        state_scale;  // recurrent dropout (scale_copies, rows of the whole batch, H), or null: h enters U times this
    Index scale_copies, scale_copy;  // 1, or one copy per gate, scale_copy elements apart
};

template <class T>
struct RnnOutput {
    T* states;  // h (rows, slots, H). Step s writes slot s % slots: slots = T, or 2 if only the last state is wanted
    Index slots, state_row;
    T* output;  // (rows, T, H) only where it differs from states (zeros at masked steps), else null
    Index output_row;
};

// Packed panels (csrc/README.md), valid as long as the weights do not change.
template <class T>
struct RnnWeights {
    const T *w, *u;
    const T* bias;       // [Hp / P][V][P], or null
    const T* candidate;  // U of the candidate that reads r * h (gru_reset_before), else null
};
template <class T>
struct RnnTransposedWeights {
    const T* u;          // U^T, its rows in the order of a row of gates
    const T* candidate;  // or null
};

// What training saves of a row, a step and a unit block: V vectors of gates and of z, and two of carry. The runtime
// chooses the strides: [row][step][unit block] for small layers; [step][unit block][row] for large ones, where what a
// tile reads and writes should be contiguous.
template <class T>
struct RnnSaved {
    T* gates;  // activated, or null: not saved. Backward turns them into dA, 0 in lanes beyond H
    T* z;      // pre-activations, null unless backward needs them
    Strides gates_at;
    T* carry;  // c and, where gates are saved, act(c); null in a cell with one state. Slot 0 is the initial one; step s
               // writes slot (s + 1) % carry_slots, which may be the slot that it reads
    Index carry_slots;
    Strides carry_at;  // `step` is the stride of a slot
};

struct RnnOptions {
    Activation activation, recurrent_activation;
    bool backwards;
    bool streamed;          // the weights do not stay in L2 from step to step: tiles prefetch them
    bool reversed;          // with few rows: the first step computes the unit blocks from the last to the first
    bool (*interrupted)();  // called every kStepsBetweenChecks steps, if not null: whether to return early
};

// The unit blocks [first, end).
struct UnitBlocks { Index first, end; };

// One of several threads that compute the same problem side by side, each its unit blocks in every step. Forward, each
// has scratch and gathered memory of its own; nothing else differs between their problems.
struct Member {
    void* team;
    Index number;
    // Ends a step, waits until all members have, and returns the next one and this member's unit blocks in it. With
    // -1: the first step, which is a later one for a member that comes late. At least `steps` of the problem: return.
    // Steps are counted in the order of computation; backward has one more if an initial state's gradient is wanted.
    // Null: one thread computes all.
    Index (*next_step)(const Member&, Index step, UnitBlocks& mine);
};

// Scratch of a call: scratch_size(rows, Hp) elements, whose contents last for one call, except `direct` and `carry`
// of backward: they are set before the first segment's call, and last from a segment to the segment before it. Each
// field is (rows, Hp) where it says no other.
constexpr Index kTemporaryRows = 8;
constexpr Index scratch_size(Index rows, Index hp) { return (10 * rows + kTemporaryRows) * hp; }
template <class T>
struct ForwardScratch {
    ForwardScratch(T* memory, Index rows, Index hp)
        : scaled(memory),
          gates(memory + 4 * rows * hp),
          reset(memory + 8 * rows * hp),
          product(memory + 9 * rows * hp),
          temporary(memory + 10 * rows * hp) {}
    T* scaled;     // h_{s-1} as it enters U, up to 4 copies of (rows, H)
    T* gates;      // (rows, V Hp), where gates are needed and not saved
    T* reset;      // r * h_{s-1} (rows, H)
    T* product;    // its product with U of the candidate
    T* temporary;  // (kTemporaryRows, Hp)
};
template <class T>
struct BackwardScratch {
    BackwardScratch(T* memory, Index rows, Index hp)
        : direct(memory),
          carry(memory + rows * hp),
          dh(memory + 2 * rows * hp),
          da(memory + 3 * rows * hp),
          product(memory + 4 * rows * hp),
          temporary(memory + 10 * rows * hp) {}
    T* direct;     // the running gradient of h, without what passes through U; at first that of the last state, or 0
    T* carry;      // the running gradient of c; at first that of the last carry, or 0
    T* dh;         // of the current step; after the last step, that of the initial state, if it is wanted
    T* da;         // dA of the candidate
    T* product;    // its product with U^T
    T* temporary;  // (kTemporaryRows, Hp)
};

template <class T>
struct RnnForward : RnnSizes {
    RnnInput<T> in;
    RnnOutput<T> out;
    RnnWeights<T> weights;
    RnnSaved<T> saved;
    RnnOptions options;
    T* scratch;
    T* gathered;  // gathered_size(rows, F, H, P), where a step first gathers what enters its products, or null
    T* hoisted;   // (kHoistedSteps, rows, V Hp), where x W of several steps is computed at once, or null
    Member member;
    T* exchange;  // exchange_size(rows, H): h_{s-1} and h_s for the other members of few rows; else null: they read the
                  // states
};

// Backward through time. in.x and features are not read.
template <class T>
struct RnnBackward : RnnSizes {
    RnnInput<T> in;
    const T* states;  // h (rows, T, H), as forward wrote it
    Index state_row;
    RnnTransposedWeights<T> weights;
    RnnSaved<T> saved;  // gates become dA. A cell of one vector reads states instead and only writes here
    RnnOptions options;
    bool continues;  // a later segment came before: its first dA follows this one's last, and scratch holds its
                     // running gradients
    bool sequences;  // d_output has all steps
    bool zero_output_for_mask;
    const T* d_output;  // (rows, T, H) if sequences, else (rows, H) of the last step; null: zero
    Index d_output_row;
    const T *d_final_state, *d_final_carry;  // (rows, H), or null: zero
    T* reset_states;                         // out: r * h_{s-1} (rows, T, H), for the candidate's dU; or null
    Index reset_row;
    T *d_initial_state, *d_initial_carry;  // (rows, H), or null: not wanted, or an earlier segment follows
    T* scratch;
    Member member;
};

// Elements of a step of `exchange`: a multiple of 4096, so whole pages, since a core that reads a step may prefetch
// what follows it in its page from the cache of another that writes there.
constexpr Index exchange_step(Index rows, Index units) {
    constexpr Index kMultiple = 4096;
    return (rows * units + kMultiple - 1) / kMultiple * kMultiple;
}
constexpr Index exchange_size(Index rows, Index units) { return 2 * exchange_step(rows, units); }

constexpr Index kStepsBetweenChecks = 64;

// With at most kFewRows rows a step is bound by reading its weights; kHoistedSteps steps then read W together.
constexpr Index kFewRows = 2, kHoistedSteps = 32;

// n elements, rounded up to an odd number of vectors.
constexpr Index gathered_width(Index n, Index lanes) { return ((n + lanes - 1) / lanes | 1) * lanes; }
constexpr Index gathered_size(Index rows, Index features, Index units, Index lanes) {
    return rows * (gathered_width(features, lanes) + gathered_width(units, lanes));
}

// Attention. Letters: Q queries, V values.
//
// A mask says with 1 which values a query may read: element (q, v) is at q * query + v * value. `value` is 1, or 0
// where all values have the same.
struct ScoreMask {
    const unsigned char* at;
    Index query, value;
};
constexpr int kMostScoreMasks = 8;

// weights = softmax(scale scores + bias) along the values, for `rows` queries of one head. The bias is -penalty where a
// mask is 0 and, if causal, from value first_query + row + 1 on; else 0.
template <class T>
struct Weigh {
    Index rows, n;  // queries, values
    T* scores;      // (rows, n) with rows of ld elements; become the weights times the factors, any numbers beyond n
    Index ld;       // a multiple of P, at least n
    T scale, penalty;
    ScoreMask masks[kMostScoreMasks];
    int mask_count;
    bool causal, zero_unread;  // zero_unread: the weights of a query that may read no value are 0
    Index first_query;
    const T* factors;        // of dropout (rows, n), or null
    T* weights;              // out: before dropout (rows, n), or null: not wanted
    T* bias;                 // scratch (ld)
    unsigned char* allowed;  // scratch (n)
};

// Its gradient: d, by the weights after dropout, becomes that by scale scores, times `factor`.
template <class T>
struct WeighBackward {
    Index rows, n;
    T* d;  // (rows, n) with rows of ld elements, a multiple of P; any numbers beyond n
    Index ld;
    const T *weights, *factors, *d_weights;  // (rows, n); factors, and the gradient by `weights` itself, may be null
    T* used;                                 // out: weights times factors, as d; null if there are no factors
    T factor;
};

// scores = sum(weights tanh(query + key)) over D features, for `rows` queries and n values of one head.
template <class T>
struct AdditiveScores {
    Index rows, n, depth;
    const T* query;  // (rows, D) with rows query_row apart
    Index query_row;
    const T* key;  // (n, D) with rows key_row apart
    Index key_row;
    const T* weights;  // (D)
    T* scores;         // out: (rows, n) with rows of ld elements, a multiple of P; 0 beyond n
    Index ld;
};
// Its gradients from d, that of the scores.
template <class T>
struct AdditiveScoresBackward {
    AdditiveScores<T> problem;  // its scores are d
    T* d_query;                 // out: (rows, D) with rows query_row apart
    T* d_key;                   // (n, padded D) with rows d_key_row apart, is added to
    Index d_key_row;
    T* d_weights;  // (padded D), is added to
};

struct Pool {
    Index batch, steps, channels, out_steps, size, stride, pad_left;
    bool average;
};

}  // namespace pyrnn
