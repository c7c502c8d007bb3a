#include "stream.hpp"

#include <cstring>

#include "denormals.hpp"
#include "packs.hpp"

namespace pyrnn {
namespace {

template <class T>
void copy_rows(T* out, Index ld_out, const T* in, Index ld_in, Index rows, Index n) {
    for (Index r = 0; r < rows; ++r)
        std::memcpy(out + r * ld_out, in + r * ld_in, static_cast<std::size_t>(n) * sizeof(T));
}

// A copy of `count` weights in the stage's memory.
template <class T>
const T* copied(Workspace& memory, Workspace::Role role, const T* weights, Index count) {
    if (!weights) return nullptr;
    T* copy = memory.scratch<T>(role, count);
    std::memcpy(copy, weights, static_cast<std::size_t>(count) * sizeof(T));
    return copy;
}

}  // namespace

template <class T>
typename Stream<T>::Stage& Stream<T>::add(Kind kind, Index width) {
    Stage stage{};
    stage.kind = kind, stage.width = width;
    memories_.push_back(std::make_unique<Workspace>());
    stage.output = memory().template scratch<T>(Workspace::kInputGradient, batch_ * width);
    stages_.push_back(stage);
    width_ = width;
    return stages_.back();
}

template <class T>
void Stream<T>::add_recurrent(const Rnn<T>& p) {
    Stage& stage = add(Kind::kRecurrent, p.units);
    stage.cell = p.cell;
    stage.recurrent = rnn_step(p, memory());
    stage.recurrent.out.states = stage.output;
    const RnnForward<T>& q = stage.recurrent;
    states_.push_back({const_cast<T*>(q.in.initial_state), p.units, p.units});
    if (q.saved.carry) states_.push_back({q.saved.carry, p.units, q.saved.carry_at.row});
}

template <class T>
void Stream<T>::add_dense(const T* kernel, const T* bias, Index units, Activation activation) {
    const Index features = width_;
    Stage& stage = add(Kind::kDense, units);
    const T* w =
        packed_matrix(memory(), Workspace::kW, kernel, features, units, units, Index{1}, Workspace::kNoVersion);
    const T* b = packed_bias(memory(), bias, units, Workspace::kNoVersion);
    stage.dense = {nullptr, features, batch_,       1,     features, 0,          w,
                   b,       units,    stage.output, units, nullptr,  activation, false};
}

template <class T>
void Stream<T>::add_activation(Activation activation) {
    add(Kind::kActivation, width_).activation = activation;
}

template <class T>
void Stream<T>::add_layer_norm(const T* gamma, const T* beta, T epsilon) {
    Stage& stage = add(Kind::kLayerNorm, width_);
    stage.gamma = copied(memory(), Workspace::kScratch, gamma, width_);
    stage.beta = copied(memory(), Workspace::kInput, beta, width_);
    stage.epsilon = epsilon;
}

template <class T>
void Stream<T>::set_output(T* y) {
    Stage& last = stages_.back();
    last.output = last.recurrent.out.states = last.dense.y = y;
}

template <class T>
const T* run_stages(std::vector<StreamStage<T>>& stages, Index rows, const T* x) {
    using Kind = typename StreamStage<T>::Kind;
    const auto& k = kernels<T>();
    for (StreamStage<T>& stage : stages) {
        const Index n = stage.width;
        switch (stage.kind) {
            case Kind::kRecurrent: {
                RnnForward<T>& q = stage.recurrent;
                q.in.x = x;
                scan<T>(stage.cell).forward(q);
                q.options.reversed = !q.options.reversed;  // the next step begins with the weights that L1 still holds
                std::memcpy(const_cast<T*>(q.in.initial_state), stage.output,
                            static_cast<std::size_t>(rows * n) * sizeof(T));
                break;
            }
            case Kind::kDense: {
                stage.dense.a = x;
                k.gemm(stage.dense);
                break;
            }
            case Kind::kActivation: k.activate(stage.activation, x, n, stage.output, n, rows, n); break;
            case Kind::kLayerNorm:
                k.layer_norm(x, stage.gamma, stage.beta, stage.output, nullptr, nullptr, rows, n, stage.epsilon);
                break;
        }
        x = stage.output;
    }
    return x;
}

template <class T>
void Stream<T>::step(const T* x) {
    const FlushSubnormals flush;
    run_stages(stages_, batch_, x);
}

template <class T>
void Stream<T>::read_state(Index i, T* out) const {
    const State& state = states_[static_cast<std::size_t>(i)];
    copy_rows<T>(out, state.units, state.data, state.stride, batch_, state.units);
}
template <class T>
void Stream<T>::write_state(Index i, const T* in) {
    const State& state = states_[static_cast<std::size_t>(i)];
    copy_rows<T>(state.data, state.stride, in, state.units, batch_, state.units);
}
template <class T>
void Stream<T>::clear_row(Index row) {
    for (const State& state : states_)
        std::memset(state.data + row * state.stride, 0, static_cast<std::size_t>(state.units) * sizeof(T));
}

template const float* run_stages(std::vector<StreamStage<float>>&, Index, const float*);
template const double* run_stages(std::vector<StreamStage<double>>&, Index, const double*);
template class Stream<float>;
template class Stream<double>;

}  // namespace pyrnn
