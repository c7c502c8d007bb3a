// Convolution and pooling over time. An output step of a convolution is a row of `taps` ranges of C elements of the
// padded input. Without dilation they are contiguous: one range of K * C elements. A dense layer is a convolution of
// one tap.
#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "denormals.hpp"
#include "operations.hpp"
#include "packs.hpp"
#include "parallel.hpp"

namespace pyrnn {
namespace {

// Output rows that are computed at a time.
constexpr Index kBlockRows = 64;
// Multiply-adds of a task: some microseconds' work.
constexpr Index kTaskWork = Index{1} << 18;

template <class T>
Index padded_steps(const Conv<T>& p) {
    return p.steps + p.pad_left + p.pad_right;
}

template <class T>
const T* padded_input(const Conv<T>& p, Workspace& ws) {
    if (p.pad_left == 0 && p.pad_right == 0) return p.x;
    const Index row = p.steps * p.channels, row_padded = padded_steps(p) * p.channels;
    T* out = ws.scratch<T>(Workspace::kInput, p.batch * row_padded);
    std::memset(out, 0, static_cast<std::size_t>(p.batch * row_padded) * sizeof(T));
    for (Index b = 0; b < p.batch; ++b)
        std::memcpy(out + b * row_padded + p.pad_left * p.channels, p.x + b * row,
                    static_cast<std::size_t>(row) * sizeof(T));
    return out;
}

// Some output rows of one sequence.
struct Block {
    Index sequence, first, rows;
    Index row;  // the first one's number among those of all sequences
};

// The output rows of all sequences in blocks: their number, and the multiply-adds of all.
template <class T>
struct Blocks {
    explicit Blocks(const Conv<T>& conv)
        : p(conv),
          per_sequence((p.out_steps + kBlockRows - 1) / kBlockRows),
          count(per_sequence * p.batch),
          work(p.batch * p.out_steps * p.taps * p.channels * p.filters) {}
    Block at(Index index) const {
        const Index b = index / per_sequence, first = index % per_sequence * kBlockRows;
        return {b, first, std::min(kBlockRows, p.out_steps - first), b * p.out_steps + first};
    }
    // Calls f(block) for each, some in a task.
    template <class F>
    void for_each(const F& f) const {
        const Index tasks = std::min(count, work / kTaskWork + 1);
        parallel_for(tasks, [&](Index task) {
            for (Index i = task * count / tasks; i < (task + 1) * count / tasks; ++i) f(at(i));
        });
    }

    const Conv<T>& p;
    const Index per_sequence, count, work;
};

// The gradients of a convolution's weights. Groups of blocks have a partial result each, which depends on sizes only.
// It has a row for each weight of a filter, whose vectors are the filters', and one for the biases. The one filter of a
// dense layer would fill a single number of a vector: there a vector is of x, and the first row the whole kernel.
template <class T>
class ConvGradients {
public:
    ConvGradients(const Conv<T>& p, const T* x, const T* y, const T* z, const T* dy, Workspace& ws)
        : p_(p),
          x_(x),
          y_(y),
          z_(z),
          dy_(dy),
          single_(p.filters == 1 && p.taps == 1 && p.channels % kernels<T>().lanes == 0),
          rows_(single_ ? 1 : p.taps * p.channels),
          columns_(single_ ? p.channels : padded<T>(p.filters)),
          blocks_(p),
          groups_(std::min(group_count(blocks_.count, partial_size() * static_cast<Index>(sizeof(T))),
                           blocks_.work / kTaskWork + 1)),
          dz_(ws.scratch<T>(Workspace::kGradient, p.batch * p.out_steps * width())),
          partials_(ws.scratch<T>(Workspace::kPartials, groups_ * partial_size())) {}

    // Computes dz (rows, width()) and the gradients.
    const T* run(T* d_kernel, T* d_bias) const {
        const Index lanes = kernels<T>().lanes, vectors = columns_ / lanes;
        // Where there are fewer groups than threads, the sums are split by columns too, for which dz must be complete.
        const Index useful = std::min<Index>(num_threads(), blocks_.work / kTaskWork + 1);
        const Index ranges = std::min((useful + groups_ - 1) / groups_, vectors);
        if (ranges > 1) blocks_.for_each([&](const Block& block) { differentiate(block); });
        parallel_for(groups_ * ranges, [&](Index task) {
            const Index group = task / ranges, range = task % ranges;
            const Index first = range * vectors / ranges, end = (range + 1) * vectors / ranges;
            T* const partial = partials_ + group * partial_size() + first * lanes;
            for (Index row = 0; row <= rows_; ++row)
                std::memset(partial + row * columns_, 0, static_cast<std::size_t>((end - first) * lanes) * sizeof(T));
            for (Index i = group * blocks_.count / groups_; i < (group + 1) * blocks_.count / groups_; ++i) {
                const Block block = blocks_.at(i);
                if (ranges == 1) differentiate(block);
                add(block, partial, first * lanes, (end - first) * lanes);
            }
        });
        reduce(d_kernel, partials_, groups_, partial_size(), rows_, single_ ? columns_ : p_.filters, columns_);
        if (d_bias)
            reduce(d_bias, partials_ + rows_ * columns_, groups_, partial_size(), Index{1}, p_.filters, columns_);
        return dz_;
    }

    // Of a row of dz.
    Index width() const { return single_ ? 1 : columns_; }

private:
    Index partial_size() const { return (rows_ + 1) * columns_; }

    // dz of the block's rows, with zeros in the padding.
    void differentiate(const Block& block) const {
        const Index o = p_.filters, at = block.row * o;
        T* const dz = dz_ + block.row * width();
        for (Index r = 0; r < block.rows; ++r)
            for (Index i = o; i < width(); ++i) dz[r * width() + i] = T(0);
        kernels<T>().activate_backward(p_.activation, y_ + at, z_ ? z_ + at : nullptr, o, dy_ + at, o, dz, width(),
                                       block.rows, o);
    }

    // Adds the products of the block's rows to `columns` columns of a partial result.
    void add(const Block& block, T* partial, Index first, Index columns) const {
        const auto& k = kernels<T>();
        const Index c = p_.channels, w = width();
        const T* const from = x_ + (block.sequence * padded_steps(p_) + block.first * p_.stride) * c;
        if (single_) {
            const T* const dz = dz_ + block.row;
            k.gemm_tn({dz, 1, 0, from + first, p_.stride * c, 0, 1, block.rows, 1, 1, columns, 0, partial, columns_, 0,
                       thread_scratch<T, ThreadUse::kCopies>(gemm_tn_scratch(1)), interrupted});
            if (first == 0)
                for (Index r = 0; r < block.rows; ++r) partial[columns_] += dz[r];
            return;
        }
        const T* const dz = dz_ + block.row * w + first;
        const Index products = p_.dilation == 1 ? 1 : p_.taps, rows = p_.dilation == 1 ? rows_ : c;
        for (Index tap = 0; tap < products; ++tap)
            k.gemm_tn({from + tap * p_.dilation * c, p_.stride * c, 0, dz, w, 0, 1, block.rows, rows, 1, columns, 0,
                       partial + tap * c * w, w, 0, thread_scratch<T, ThreadUse::kCopies>(gemm_tn_scratch(rows)),
                       interrupted});
        k.add_rows(partial + rows_ * w, dz, w, block.rows, 0, 1, columns);
    }

    const Conv<T>& p_;
    const T *x_, *y_, *z_, *dy_;
    bool single_;
    Index rows_, columns_;  // of a partial result, without the biases
    Blocks<T> blocks_;
    Index groups_;
    T *dz_, *partials_;
};

}  // namespace

Windows windows_over(Index steps, Index size, Index stride, Index dilation, Padding padding) {
    // There are zeros next to x as far as a window reaches.
    constexpr Index kMostReach = Index{1} << 24;
    if (dilation > 1 && size > 1 && dilation > kMostReach / (size - 1))
        throw std::invalid_argument("dilation_rate must let a window reach over at most " + std::to_string(kMostReach) +
                                    " time steps, got " + std::to_string(dilation));
    const Index reach = (size - 1) * dilation + 1;
    if (padding == Padding::kCausal) return {reach - 1, 0, (steps - 1) / stride + 1};
    if (padding == Padding::kSame) {
        const Index out = (steps + stride - 1) / stride, zeros = (out - 1) * stride + reach - steps;
        const Index total = zeros > 0 ? zeros : 0;
        return {total / 2, total - total / 2, out};
    }
    if (steps < reach)
        throw std::invalid_argument("x must have at least " + std::to_string(reach) +
                                    " time steps for this window, got " + std::to_string(steps));
    return {0, 0, (steps - reach) / stride + 1};
}

template <class T>
void conv_forward(const Conv<T>& p, T* y, T* z, Workspace& ws) {
    const Index k_all = p.taps * p.channels, o = p.filters;
    const T* w = packed_matrix(ws, Workspace::kW, p.kernel, k_all, o, o, Index{1}, p.version);
    const T* bias = packed_bias(ws, p.bias, o, p.version);
    const T* x = padded_input(p, ws);
    const bool contiguous = p.dilation == 1;
    Blocks<T>(p).for_each([&](const Block& block) {
        const Index at = block.row * o;
        kernels<T>().gemm({x + (block.sequence * padded_steps(p) + block.first * p.stride) * p.channels,
                           p.stride * p.channels, block.rows, contiguous ? Index{1} : p.taps,
                           contiguous ? k_all : p.channels, p.dilation * p.channels, w, bias, o, y + at, o,
                           z ? z + at : nullptr, p.activation, false});
    });
}

template <class T>
void conv_backward(const Conv<T>& p, const T* y, const T* z, const T* dy, T* d_kernel, T* d_bias, T* dx,
                   Workspace& ws) {
    const auto& k = kernels<T>();
    const ConvGradients<T> gradients(p, padded_input(p, ws), y, z, dy, ws);
    const T* const dz = gradients.run(d_kernel, d_bias);
    if (!dx) return;

    const Index o = p.filters, op = gradients.width(), c = p.channels, ldx = padded_steps(p) * c;
    // dx: each tap adds dz W[tap]^T to its rows of the padded input. A task has whole rows of the result: sequences,
    // or blocks of steps if there is one tap.
    const Index lanes_c = padded<T>(c);
    bool fresh = false;
    T* wt = ws.packed<T>(Workspace::kWt, p.taps * o * lanes_c, p.version, fresh);
    if (!fresh)
        for (Index tap = 0; tap < p.taps; ++tap)
            k.pack(wt + tap * o * lanes_c, p.kernel + tap * c * o, o, c, Index{1}, o);
    if (p.taps == 1 && p.stride == 1) {
        Blocks<T>(p).for_each([&](const Block& block) {
            k.gemm({dz + block.row * op, op, block.rows, 1, o, 0, wt, nullptr, c, dx + block.row * c, c, nullptr,
                    Activation::kLinear, false});
        });
        return;
    }
    T* dxp = ws.scratch<T>(Workspace::kInputGradient, p.batch * ldx);
    parallel_for(p.batch, [&](Index b) {
        T* out = dxp + b * ldx;
        std::memset(out, 0, static_cast<std::size_t>(ldx) * sizeof(T));
        for (Index tap = 0; tap < p.taps; ++tap)
            k.gemm({dz + b * p.out_steps * op, op, p.out_steps, 1, o, 0, wt + tap * o * lanes_c, nullptr, c,
                    out + tap * p.dilation * c, p.stride * c, nullptr, Activation::kLinear, true});
        std::memcpy(dx + b * p.steps * c, out + p.pad_left * c, static_cast<std::size_t>(p.steps * c) * sizeof(T));
    });
}

namespace {

// Calls f(pooling of some sequences, their first one).
template <class F>
void for_sequences(const Pool& p, F f) {
    constexpr Index kTaskNumbers = Index{1} << 13;
    const Index each = kTaskNumbers / (p.out_steps * p.size * p.channels + 1) + 1;
    parallel_for_to_the_end((p.batch + each - 1) / each, in_this_mode([&](Index task) {
                                Pool some = p;
                                some.batch = std::min(each, p.batch - task * each);
                                f(some, task * each);
                            }));
}

}  // namespace

template <class T>
void pool_forward(const Pool& p, const T* x, T* y) {
    for_sequences(p, [&](const Pool& some, Index b) {
        kernels<T>().pool_forward(some, x + b * p.steps * p.channels, y + b * p.out_steps * p.channels);
    });
}

template <class T>
void pool_backward(const Pool& p, const T* x, const T* dy, T* dx) {
    for_sequences(p, [&](const Pool& some, Index b) {
        const Index at = b * p.steps * p.channels;
        std::fill(dx + at, dx + at + some.batch * p.steps * p.channels, T(0));
        kernels<T>().pool_backward(some, x + at, dy + b * p.out_steps * p.channels, dx + at);
    });
}

#define PYRNN_INSTANTIATE(T)                                                                           \
    template void conv_forward(const Conv<T>&, T*, T*, Workspace&);                                    \
    template void conv_backward(const Conv<T>&, const T*, const T*, const T*, T*, T*, T*, Workspace&); \
    template void pool_forward(const Pool&, const T*, T*);                                             \
    template void pool_backward(const Pool&, const T*, const T*, T*);
PYRNN_INSTANTIATE(float)
PYRNN_INSTANTIATE(double)
#undef PYRNN_INSTANTIATE

}  // namespace pyrnn
