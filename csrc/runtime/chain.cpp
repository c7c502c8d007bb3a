#include "chain.hpp"

#include <stdexcept>
#include <string>

#include "pointwise.hpp"

namespace pyrnn {
namespace {

void require_width(const Extent& input, Index width) {
    if (input.width != width)
        throw std::invalid_argument("a layer with weights for " + std::to_string(width) + " features got " +
                                    std::to_string(input.width));
}

template <class T>
class Recurrent final : public Link<T> {
public:
    Recurrent(const Rnn<T>& problem, T* d_kernel, T* d_recurrent_kernel, T* d_bias, Workspace& workspace)
        : Link<T>(workspace),
          problem_(problem) {
        problem_.version = Workspace::kNoVersion;  // the weights have changed since the last step
        gradients_.d_kernel = d_kernel, gradients_.d_recurrent_kernel = d_recurrent_kernel, gradients_.d_bias = d_bias;
    }

    Extent output(const Extent& input) const override {
        if (!input.steps) throw std::invalid_argument("a recurrent layer needs an input (batch, time, features)");
        require_width(input, problem_.features);
        return {input.batch, problem_.sequences ? input.steps : 0, problem_.units};
    }

    void forward(const Extent& input, const T* x, T* y) override {
        Rnn<T>& p = problem_;
        p.batch = input.batch, p.steps = input.steps, p.x = x;
        const Index state = p.batch * p.units;
        const CellInfo& cell = info(p.cell);
        saved_.states = p.sequences ? y : this->lend(state * p.steps);
        saved_.gates = cell.vectors > 1 ? this->lend(gates_size(p)) : nullptr;
        saved_.carry = cell.states == 2 ? this->lend(carry_size(p)) : nullptr;
        saved_.z = keeps_preactivations(p) ? this->lend(gates_size(p)) : nullptr;
        T* const final_state = this->lend(state);
        T* const final_carry = cell.states == 2 ? this->lend(state) : nullptr;
        const Borrowed ws(this->workspace_);
        rnn_forward(p, saved_, p.sequences ? nullptr : y, final_state, final_carry, *ws);
    }

    void backward(const T* dy, T* dx) override {
        gradients_.d_output = dy, gradients_.dx = dx;
        const Borrowed ws(this->workspace_);
        rnn_backward(problem_, saved_, gradients_, *ws);
    }

private:
    Rnn<T> problem_;
    RnnGradients<T> gradients_{};
    RnnSavedArrays<T> saved_{};
};

template <class T>
class Dense final : public Link<T> {
public:
    Dense(const Conv<T>& problem, T* d_kernel, T* d_bias, Workspace& workspace)
        : Link<T>(workspace),
          problem_(problem),
          d_kernel_(d_kernel),
          d_bias_(d_bias) {
        problem_.version = Workspace::kNoVersion;  // the weights have changed since the last step
    }

    Extent output(const Extent& input) const override {
        require_width(input, problem_.channels);
        return {input.batch, input.steps, problem_.filters};
    }

    void forward(const Extent& input, const T* x, T* y) override {
        Conv<T>& p = problem_;
        p.steps = p.out_steps = input.rows(), p.x = x;
        y_ = y;
        z_ = needs_preactivation(p.activation) ? this->lend(p.steps * p.filters) : nullptr;
        const Borrowed ws(this->workspace_);
        conv_forward(p, y, z_, *ws);
    }

    void backward(const T* dy, T* dx) override {
        const Borrowed ws(this->workspace_);
        conv_backward(problem_, y_, z_, dy, d_kernel_, d_bias_, dx, *ws);
    }

private:
    Conv<T> problem_;
    T *d_kernel_, *d_bias_;
    const T* y_ = nullptr;
    T* z_ = nullptr;
};

}  // namespace

template <class T>
void Chain<T>::add_recurrent(const Rnn<T>& p, T* d_kernel, T* d_recurrent_kernel, T* d_bias, Workspace& workspace) {
    links_.push_back(std::make_unique<Recurrent<T>>(p, d_kernel, d_recurrent_kernel, d_bias, workspace));
}

template <class T>
void Chain<T>::add_dense(const T* kernel, const T* bias, Index features, Index units, Activation activation,
                         T* d_kernel, T* d_bias, Workspace& workspace) {
    Conv<T> p{};
    p.batch = p.taps = p.stride = p.dilation = 1;
    p.channels = features, p.filters = units, p.kernel = kernel, p.bias = bias, p.activation = activation;
    links_.push_back(std::make_unique<Dense<T>>(p, d_kernel, d_bias, workspace));
}

template <class T>
Extent Chain<T>::output(const Extent& input) const {
    Extent extent = input;
    for (const auto& link : links_) extent = link->output(extent);
    return extent;
}

template <class T>
double Chain<T>::squared_error(const Extent& input, const T* x, const T* targets, T* y) {
    struct AtEnd {
        std::vector<std::unique_ptr<Link<T>>>& links;
        ~AtEnd() {
            for (const auto& link : links) link->end();
        }
    } const at_end{links_};
    inputs_.clear();
    Extent extent = input;
    for (const auto& link : links_) {
        inputs_.push_back(extent);
        const Extent output = link->output(extent);
        T* const out = &link == &links_.back() ? y : link->lend(output.count());
        link->forward(extent, x, out);
        x = out, extent = output;
    }
    T* dy = links_.back()->lend(extent.count());
    const double error = pyrnn::squared_error(targets, y, dy, extent.count());
    for (std::size_t i = links_.size(); i-- > 0;) {
        T* const dx = i > 0 ? links_[i]->lend(inputs_[i].count()) : nullptr;
        links_[i]->backward(dy, dx);
        dy = dx;
    }
    return error;
}

template class Chain<float>;
template class Chain<double>;

}  // namespace pyrnn
