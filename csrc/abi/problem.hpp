// What the runtime hands to a kernel: plain structs, shared by baseline and per-ISA code.
//
// Letters: B batch, T time, F features, H units. Strides count elements, not bytes. P = number of lanes of a vector;
// Hp = H rounded up to a multiple of P. All memory belongs to the caller.
#pragma once

#include <cstddef>

namespace pyrnn {

using Index = std::ptrdiff_t;

// Every name of Keras's list that maps an array to one of the same shape. The order is that of kActivationNames.
enum class Activation : int {
    kLinear, kRelu, kTanh, kSigmoid, kLeakyRelu, kRelu6, kElu, kSelu, kCelu, kSoftplus, kSoftsign, kExponential,
    kHardSigmoid, kHardTanh, kSparseSigmoid, kSoftmax, kLogSoftmax, kSparsemax,
    // From here on the derivative needs the pre-activation.
    kSquareplus, kSoftShrink, kSparsePlus, kSilu, kGelu, kTanhShrink, kHardSilu, kHardShrink, kMish, kLogSigmoid,
    kCount
};

constexpr const char* kActivationNames[] = {
    "linear", "relu", "tanh", "sigmoid", "leaky_relu", "relu6", "elu", "selu", "celu", "softplus", "softsign",
    "exponential", "hard_sigmoid", "hard_tanh", "sparse_sigmoid", "softmax", "log_softmax", "sparsemax",
    "squareplus", "soft_shrink", "sparse_plus", "silu", "gelu", "tanh_shrink", "hard_silu", "hard_shrink", "mish",
    "log_sigmoid"};
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
    T* y;   // (rows, n), stride ldy
    Index ldy;
    T* z;   // pre-activations at the strides of y, or null
    Activation activation;
    bool accumulate;
};

// C (m, np) += A^T B over `rows`: A (rows, m) stride lda, B (rows, np) stride ldb, np a multiple of P.
template <class T>
struct GemmTn {
    const T* a;
    Index lda;
    const T* b;
    Index ldb;
    Index rows, m, np;
    T* c;
    Index ldc;
};

// One block of batch rows of a SimpleRNN through all time steps. Pointers start at the block's first row.
//   x (rows, T, F)           stride T*F a row; step s reads time s, or T-1-s if backwards
//   states (rows, slots, H)  slots = T, or 2 where only the last state is wanted (step s writes slot s % slots)
//   output (rows, T, H)      only where it differs from states (zeroed masked steps), else null
//   z (rows, T, H)           pre-activations, null unless backward needs them
template <class T>
struct RnnForward {
    Index rows, steps, features, units;
    const T* x;
    bool backwards;
    const T* w_panels;
    const T* u_panels;
    const T* bias;           // padded, or null
    const T* initial_state;  // (rows, H) or null
    const unsigned char* mask;  // (rows, T) or null
    const T* state_scale;       // (rows, H) or null
    T* states;
    Index slots;
    T* output;
    T* z;
    T* scratch;  // (rows, H): the scaled h_{t-1}; unused without state_scale
    Activation activation;
};

// Its BPTT: fills da (rows, T, Hp), zero-padded, in walk order, and d_initial (rows, H).
template <class T>
struct RnnBackward {
    Index rows, steps, units;
    const T* states;
    const T* z;
    const T* d_output;  // (rows, T, H) if sequences, else (rows, H); null: zero
    bool sequences, zero_output_for_mask;
    const T* d_final;   // (rows, H) or null
    const unsigned char* mask;
    bool backwards;
    const T* state_scale;
    const T* ut_panels;  // U^T packed
    T* da;
    T* d_initial;  // (rows, H), the running dL/dh as well
    T* scratch;    // 2 * (rows, H)
    Activation activation;
};

struct Pool {
    Index batch, steps, channels, out_steps, size, stride, pad_left;
    bool average;
};

}  // namespace pyrnn
