// A stack of layers that runs one time step per call: weights are packed and memory allocated once, and it holds the
// states.
#pragma once

#include <memory>
#include <vector>

#include "operations.hpp"

namespace pyrnn {

template <class T>
class Stream {
public:
    Stream(Index batch, Index features) : batch_(batch), width_(features) {}

    // p: batch rows of one step, its features the width so far; x, states and mask are not read.
    void add_recurrent(const Rnn<T>& p);
    void add_dense(const T* kernel, const T* bias, Index units, Activation activation);
    void add_activation(Activation activation);
    // gamma and beta (width,) may be null.
    void add_layer_norm(const T* gamma, const T* beta, T epsilon);

    // Sets where the last layer writes its output (batch, width), which it never reads. There must be a layer.
    void set_output(T* y);
    void step(const T* x);  // x (batch, features)

    // Copies of the states (batch, units) in the order of the layers: h, then c if there is one.
    Index state_count() const { return static_cast<Index>(states_.size()); }
    Index state_units(Index i) const { return states_[static_cast<std::size_t>(i)].units; }
    void read_state(Index i, T* out) const;
    void write_state(Index i, const T* in);
    void clear_row(Index row);

    Index batch() const { return batch_; }
    Index width() const { return width_; }
    bool empty() const { return stages_.empty(); }

private:
    enum class Kind { kRecurrent, kDense, kActivation, kLayerNorm };
    struct Stage {
        Kind kind;
        Index width_in, width;
        RnnForward<T> recurrent;
        Cell cell;
        Gemm<T> dense;
        Activation activation;
        const T *gamma, *beta;
        T epsilon;
        T* output;
        std::unique_ptr<Workspace> memory;
    };
    struct State {
        T* data;
        Index units, stride;
    };
    Stage& add(Kind kind, Index width);

    Index batch_, width_;
    std::vector<Stage> stages_;
    std::vector<State> states_;
};

}  // namespace pyrnn
