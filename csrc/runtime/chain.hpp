// Layers that run one after the other: forward, loss and backward of a training step in one call. A step of a small
// model takes a hundred microseconds, and a call from Python several of them.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "operations.hpp"

namespace pyrnn {

// The sizes of an array (batch, steps, width), or (batch, width) where steps is 0.
struct Extent {
    Index batch, steps, width;
    Index rows() const { return steps ? batch * steps : batch; }
    Index count() const { return rows() * width; }
};

// A layer of a chain. Weights, gradients and the workspace belong to others; what a step saves is memory of the
// workspace's recycler, as when the layer is called alone.
template <class T>
class Link {
public:
    explicit Link(Workspace& workspace) : workspace_(workspace) {}
    virtual ~Link() = default;
    // Throws std::invalid_argument if the layer does not take such an input.
    virtual Extent output(const Extent& input) const = 0;
    // x and y must last until backward.
    virtual void forward(const Extent& input, const T* x, T* y) = 0;
    // Of the last forward. dx is null where it is not wanted.
    virtual void backward(const T* dy, T* dx) = 0;

    // Memory until `end`.
    T* lend(Index count) {
        loans_.emplace_back(workspace_.recycler(), count * Index{sizeof(T)});
        return static_cast<T*>(loans_.back().data());
    }
    void end() { loans_.clear(); }

protected:
    Workspace& workspace_;

private:
    std::vector<Loan> loans_;
};

template <class T>
class Chain {
public:
    // p: weights, activations, directions and copies; sizes of the batch, x and states are not read.
    void add_recurrent(const Rnn<T>& p, T* d_kernel, T* d_recurrent_kernel, T* d_bias, Workspace&);
    void add_dense(const T* kernel, const T* bias, Index features, Index units, Activation activation, T* d_kernel,
                   T* d_bias, Workspace&);
    Index size() const { return static_cast<Index>(links_.size()); }
    // The extent of the last layer's output. Throws std::invalid_argument if a layer does not take its input.
    Extent output(const Extent& input) const;
    // Runs forward, returns the mean squared error of y and the targets, and runs backward.
    double squared_error(const Extent& input, const T* x, const T* targets, T* y);
    // One thread at a time may use the chain.
    bool claim() { return !in_use_.exchange(true, std::memory_order_acquire); }
    void release() { in_use_.store(false, std::memory_order_release); }

private:
    std::vector<std::unique_ptr<Link<T>>> links_;
    std::vector<Extent> inputs_;
    std::atomic<bool> in_use_{false};
};

}  // namespace pyrnn
