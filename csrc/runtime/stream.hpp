// A stack of layers that runs one time step per call: weights are packed and memory allocated once, and it holds the
// states.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "distribution.hpp"
#include "operations.hpp"

namespace pyrnn {

// A layer with what it needs for one step of some rows; all memory belongs to others.
template <class T>
struct StreamStage {
    enum class Kind { kRecurrent, kDense, kActivation, kLayerNorm };
    bool is_recurrent() const { return kind == Kind::kRecurrent; }
    Kind kind;
    Index width;  // of the output
    RnnForward<T> recurrent;
    Cell cell;
    Gemm<T> dense;
    Activation activation;
    const T *gamma, *beta;
    T epsilon;
    T* output;  // (rows, width)
};
// Runs one step; returns the output of the last layer.
template <class T>
const T* run_stages(std::vector<StreamStage<T>>& stages, Index rows, const T* x);

// Sample paths of B series. A step reads a row of the inputs, whose column `column` is, from the second step on, the
// value drawn before it as the model reads it: (value - origin) / unit. The outputs of the last layer plus the offset
// describe the value in units of `width` around `base`.
template <class T>
struct Paths {
    Index features, steps, paths, column;
    const T* inputs;         // (B, steps, features)
    const T *origin, *unit;  // (B,): of what the model reads, in units of the series
    const T* offset;         // (B, steps, outputs) or null
    const T *base, *width;   // (B, steps)
    Distribution distribution;
    std::uint64_t seed;
};

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

    // values (B, paths, steps) that follow the present states, which stay as they are.
    void sample(const Paths<T>&, T* values) const;

    Index batch() const { return batch_; }
    Index width() const { return width_; }
    bool empty() const { return stages_.empty(); }

private:
    using Stage = StreamStage<T>;
    using Kind = typename Stage::Kind;
    struct State {
        T* data;
        Index units, stride;
    };
    Stage& add(Kind kind, Index width);
    Workspace& memory() { return *memories_.back(); }  // of the last layer

    Index batch_, width_;
    std::vector<Stage> stages_;
    std::vector<std::unique_ptr<Workspace>> memories_;  // of each layer
    std::vector<State> states_;
};

}  // namespace pyrnn
