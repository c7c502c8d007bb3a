// The functions of one ISA, by scalar type. One object file fills each struct of functions (kernels/*.cpp), and
// table.cpp joins them.
#pragma once

#include "cell.hpp"

namespace pyrnn {

// The time loops of one cell.
template <class T>
struct Scan {
    void (*forward)(const RnnForward<T>&);
    void (*backward)(const RnnBackward<T>&);
};

// All other operations.
template <class T>
struct Kernels {
    Index lanes;  // P
    // panels[blk][k][P] = w[k * stride_k + n * stride_n], zero-padded in n.
    void (*pack)(T* panels, const T* w, Index k, Index n, Index stride_k, Index stride_n);
    void (*gemm)(const Gemm<T>&);
    void (*gemm_tn)(const GemmTn<T>&);
    void (*activate)(Activation, const T* z, Index ldz, T* y, Index ldy, Index rows, Index n);
    // dz = dy * act'(...); z may be null if the derivative is a function of y. dz may be dy.
    void (*activate_backward)(Activation, const T* y, const T* z, Index ldy, const T* dy, Index lddy, T* dz, Index lddz,
                              Index rows, Index n);
    // Packs `count` gates of a weight matrix w (rows, gates * units), cyclically from gate `shift` on:
    // panels[unit block][row][gate][lane], and transposed panels[row block][unit block][gate][unit][lane of rows].
    void (*pack_gates)(T* panels, const T* w, Index rows, Index units, Index gates, Index shift, Index count);
    void (*pack_gates_t)(T* panels, const T* w, Index rows, Index units, Index gates, Index shift, Index count);
    // sum (np) += each of `count` rows of each of `sequences`, which are `sequence` elements apart.
    void (*add_rows)(T* sum, const T* rows, Index ld, Index count, Index sequence, Index sequences, Index np);
    void (*pool_forward)(const Pool&, const T* x, T* y);
    void (*pool_backward)(const Pool&, const T* x, const T* dy, T* dx);
    void (*layer_norm)(const T* x, const T* gamma, const T* beta, T* y, T* normal, T* factor, Index rows, Index n,
                       T epsilon);
    void (*layer_norm_backward)(const T* dy, const T* normal, const T* factor, const T* gamma, T* dx, T* d_gamma,
                                T* d_beta, Index rows, Index n);
    void (*weigh)(const Weigh<T>&);
    void (*weigh_backward)(const WeighBackward<T>&);
    void (*additive_scores)(const AdditiveScores<T>&);
    void (*additive_scores_backward)(const AdditiveScoresBackward<T>&);
    // d = factor (p - y); returns the sum of (p - y)^2.
    T (*squared_error)(const T* y, const T* p, T* d, Index n, T factor);
    void (*sgd)(T* w, const T* g, T* m, Index n, T rate, T momentum, bool nesterov);
    void (*rmsprop)(T* w, const T* g, T* v, T* m, T* avg, Index n, T rate, T rho, T gain, T momentum, T epsilon);
    void (*adam)(T* w, const T* g, T* m, T* v, T* vhat, Index n, T alpha, T gain1, T gain2, T epsilon);
    double (*fma_burst)(Index repeats);                         // returns its number of floating-point operations
    void (*read_burst)(const T* from, Index n, Index repeats);  // reads n elements, a multiple of 8 P, `repeats` times
};

template <class T>
struct ScalarTable {
    const Kernels<T>* kernels;
    const Scan<T>* scans[kCellCount];
};

struct KernelTable {
    const char* isa;
    ScalarTable<float> f32;
    ScalarTable<double> f64;
};

}  // namespace pyrnn
