// What the runtime hands to a kernel: plain structs, shared by baseline and per-ISA code.
//
// Letters: B batch, T time, F features, H units, V vectors of a cell. Strides count elements, not bytes.
// P = number of lanes of a vector;
// Hp = H rounded up to a multiple of P. All memory belongs to the caller.
#pragma once

#include <cstddef>

namespace pyrnn {

using Index = std::ptrdiff_t;

// Every name of Keras's list that maps an array to one of the same shape. The order is that of kActivationNames.
enum class Activation : int {
    kLinear,
    kRelu,
    kTanh,
    kSigmoid,
    kLeakyRelu,
    kRelu6,
    kElu,
    kSelu,
    kCelu,
    kSoftplus,
    kSoftsign,
    kExponential,
    kHardSigmoid,
    kHardTanh,
    kSparseSigmoid,
    kSoftmax,
    kLogSoftmax,
    kSparsemax,
    // From here on the derivative needs the pre-activation.
    kSquareplus,
    kSoftShrink,
    kSparsePlus,
    kSilu,
    kGelu,
    kTanhShrink,
    kHardSilu,
    kHardShrink,
    kMish,
    kLogSigmoid,
    kCount
};

constexpr const char* kActivationNames[] = {
    "linear",         "relu",    "tanh",        "sigmoid",   "leaky_relu",  "relu6",        "elu",
    "selu",           "celu",    "softplus",    "softsign",  "exponential", "hard_sigmoid", "hard_tanh",
    "sparse_sigmoid", "softmax", "log_softmax", "sparsemax", "squareplus",  "soft_shrink",  "sparse_plus",
    "silu",           "gelu",    "tanh_shrink", "hard_silu", "hard_shrink", "mish",         "log_sigmoid"};
static_assert(sizeof(kActivationNames) / sizeof(kActivationNames[0]) == static_cast<int>(Activation::kCount),
              "one name an activation");

constexpr bool needs_preactivation(Activation a) { return a >= Activation::kSquareplus; }
// These leave the accumulators through registers; the others run over the finished rows while they are in L1.
constexpr bool fused_in_registers(Activation a) { return a <= Activation::kSigmoid; }

// y = act(bias + A W) on rows of A, or y += A W. The row r of A is seg_count runs of seg_len elements, the run s
// starting at a + r * lda + s * seg_offset; the packed panels hold W (seg_count * seg_len, n).
template <class T>
struct Gemm {
    const T* a;
    Index lda, rows;
    Index seg_count, seg_len, seg_offset;
    const T* panels;  // [ceil(n / P)][k][P]
    const T* bias;    // padded to a multiple of P, or null
    Index n;
    T* y;  // (rows, n), stride ldy
    Index ldy;
    T* z;  // pre-activations at the strides of y, or null
    Activation activation;
    bool accumulate;
};

// C (m, runs * run) += A^T B, summed over `sequences` times `rows` rows. A (rows, m) has rows of stride lda and
// sequences of stride a_sequence; B the same with `runs` runs of `run` columns (a multiple of P), run_offset apart. C's
// runs stand c_offset apart.
template <class T>
struct GemmTn {
    const T* a;
    Index lda, a_sequence;
    const T* b;
    Index ldb, b_sequence;
    Index sequences, rows, m, runs, run, run_offset;
    T* c;
    Index ldc, c_offset;
    T* scratch;             // gemm_tn_scratch(m)
    bool (*interrupted)();  // asked with each chunk, if not null: whether to return early
};
// Rows summed between two visits of a place in C, and rows left free behind each strip of them.
constexpr Index kGemmTnChunk = 256, kGemmTnGap = 3;
constexpr Index gemm_tn_scratch(Index m) {
    return (kGemmTnChunk + kGemmTnGap) * m + 64;
}  // and a vector beyond the end

// One block of batch rows of a recurrent layer through T time steps, which may be a part of a longer sequence: rows of
// an array of all steps stand at strides of their own (x_row, mask_row, ...), and pointers start at the block's first
// row and the part's first step, those of x and the mask at its first time. V is the cell's number of vectors
// (abi/cell.hpp). Step s, in the order of the walk, reads time s, or T-1-s if backwards.
//
// What training keeps for a row of the batch, a step and a unit block is V vectors of gates and of z, and two of carry:
// c and act(c) (c alone where nothing is kept). The runtime says at which strides: by rows, [row][step][unit block],
// where a layer is small; by tiles, [step][unit block][row], where what a tile reads and writes should lie side by
// side.
//
//   x (rows, T, F)            x_copy elements to the next gate's copy; 0 where all gates read the same x
//   mask (rows, T)            or null; a masked step holds its states
//   states (rows, slots, H)   slots = T, or 2 where only the last state is wanted: step s writes slot s % slots
//   output (rows, T, H)       only where it differs from states (zeroed masked steps), else null
//   carry                     c of a cell with two states: slot 0 is the initial one, step s writes
//                             (s + 1) % carry_slots, which may be the slot it reads
//   gates                     kept for backward (activated), or null
//   z                         pre-activations, null unless backward needs them
struct Strides { Index row, step, block; };
template <class T>
struct RnnForward {
    Index rows, steps, features, units;
    const T* x;
    Index x_row, x_copy;
    bool backwards;
    const T *w_panels, *u_panels, *bias;  // bias: [Hp / P][V][P], or null
    const T* candidate_panels;            // U of the candidate, where it reads r * h (gru_reset_before)
    const T* initial_state;               // (rows, H) or null
    Index initial_row;
    const unsigned char* mask;
    Index mask_row;
    const T* state_scale;  // (scale_copies, rows of the whole batch, H) or null: multiplies h where it enters U
    Index scale_copies, scale_copy;
    T* states;
    Index slots, state_row;
    T* output;
    Index output_row;
    T* carry;
    Index carry_slots;
    Strides carry_at;  // of slots instead of steps
    T *gates, *z;
    Strides gates_at;  // of z too
    T* scratch;        // scratch_size(rows, Hp)
    T* gathered;       // gathered_size(rows, F, H, P), where a step first gathers what enters its products, or null
    T* hoisted;        // (kHoistedSteps, rows, V Hp), where x W of some steps is made ahead, or null
    Activation activation, recurrent_activation;
    bool streamed;          // the weights do not stay in L2 from step to step: tiles ask for them ahead
    bool reversed;          // with few rows: the first step walks the unit blocks from the last to the first
    bool (*interrupted)();  // asked every kStepsBetweenAsking steps, if not null: whether to return early
};

// Its BPTT. gates become dA; states (all T), carry, z and the strides are as in forward.
template <class T>
struct RnnBackward {
    Index rows, steps, units;
    bool continues;  // a later part came before: its first dA stands behind this one's last, its running gradients in
                     // scratch
    const T* states;
    Index state_row;
    const T* initial_state;
    Index initial_row;
    const T* carry;  // T + 1 slots
    Strides carry_at;
    T* gates;  // in: as kept; out: dA, 0 in lanes beyond H. A cell of one vector reads states instead and only writes
               // here.
    const T* z;
    Strides gates_at;
    const T* d_output;  // (rows, T, H) if sequences, else (rows, H) of the last step; null: zero
    Index d_output_row;
    bool sequences, zero_output_for_mask;
    const T *d_final_state, *d_final_carry;  // (rows, H) or null
    const unsigned char* mask;
    Index mask_row;
    bool backwards;
    const T* state_scale;
    Index scale_copies, scale_copy;
    const T *ut_panels, *candidate_t_panels;  // U^T, its rows in the order of a row of gates
    T* reset_states;                          // (rows, T, H): r * h_{t-1}, for the candidate's dU; or null
    Index reset_row;
    T *d_initial_state, *d_initial_carry;  // (rows, H); null where not wanted, or an earlier part follows
    T* scratch;                            // scratch_size(rows, Hp)
    Activation activation, recurrent_activation;
    bool streamed;  // as in forward
    bool (*interrupted)();
};

// Elements of scratch that either direction may use: 10 for each state (up to 4 scaled copies of h and 4 raw gates, or
// the running gradients, and 2 of a cell's own), and 8 rows of temporaries behind them.
constexpr Index scratch_size(Index rows, Index hp) { return (10 * rows + 8) * hp; }

constexpr Index kStepsBetweenAsking = 64;

// So many rows are few: a step is bound by the reading of its weights. And so many steps read W at once then.
constexpr Index kFewRows = 2, kHoistedSteps = 32;

// n elements, rounded up to an odd number of vectors.
constexpr Index gathered_width(Index n, Index lanes) { return ((n + lanes - 1) / lanes | 1) * lanes; }
constexpr Index gathered_size(Index rows, Index features, Index units, Index lanes) {
    return rows * (gathered_width(features, lanes) + gathered_width(units, lanes));
}

struct Pool {
    Index batch, steps, channels, out_steps, size, stride, pad_left;
    bool average;
};

}  // namespace pyrnn
