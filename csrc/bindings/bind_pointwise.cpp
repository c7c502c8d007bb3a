// Activations and the squared error on whole arrays, optimizer steps on flat vectors, gathering and scattering of rows.
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <vector>

#include "../runtime/dispatch.hpp"
#include "../runtime/parallel.hpp"
#include "arrays.hpp"

namespace pyrnn {
namespace {

// glu halves the last axis, so it stands beside the activations of one shape: y = a * sigmoid(b).
template <class T>
py::object glu_forward(const py::array& x) {
    const Rows rows = rows_of(x);
    if (x.ndim() < 1 || rows.length % 2)
        throw py::value_error("glu needs an even last axis, got shape " + text(shape_of(x)));
    const T* in = pointer<T>(x, "x", shape_of(x), "of x");
    Shape shape = shape_of(x);
    const Index half = shape.back() /= 2;
    py::array_t<T> y(shape);
    T* out = data_of(y);
    for (Index r = 0; r < rows.count; ++r) {
        kernels<T>().activate(Activation::kSigmoid, in + r * 2 * half + half, half, out + r * half, half, 1, half);
        for (Index i = 0; i < half; ++i) out[r * half + i] *= in[r * 2 * half + i];
    }
    return y;
}

template <class T>
py::object glu_backward(const py::array& x, const py::object& dy) {
    const Rows rows = rows_of(x);
    if (x.ndim() < 1 || rows.length % 2)
        throw py::value_error("glu needs an even last axis, got shape " + text(shape_of(x)));
    const T* in = pointer<T>(x, "x", shape_of(x), "of x");
    Shape shape = shape_of(x);
    const Index half = shape.back() /= 2;
    const T* g = pointer<T>(dy, "dy", shape, "of glu's output");
    py::array_t<T> dx(shape_of(x));
    T* out = data_of(dx);
    for (Index r = 0; r < rows.count; ++r, in += 2 * half, out += 2 * half, g += half) {
        kernels<T>().activate(Activation::kSigmoid, in + half, half, out, half, 1, half);
        for (Index i = 0; i < half; ++i) {
            const T gate = out[i];
            out[half + i] = g[i] * in[i] * gate * (1 - gate);
            out[i] = g[i] * gate;
        }
    }
    return dx;
}

template <class T>
py::object activation_forward(const py::array& x, const std::string& name) {
    if (name == "glu") return glu_forward<T>(x);
    const Activation kind = activation_named(name);
    const T* in = pointer<T>(x, "x", shape_of(x), "of x");
    py::array_t<T> y(shape_of(x));
    const Rows rows = rows_of(x);
    T* out = data_of(y);
    {
        const WithoutGil release;
        kernels<T>().activate(kind, in, rows.length, out, rows.length, rows.count, rows.length);
    }
    return y;
}

template <class T>
py::object activation_backward(const py::array& x, const py::object& y, const py::object& dy, const std::string& name) {
    if (name == "glu") return glu_backward<T>(x, dy);
    const Activation kind = activation_named(name);
    const Shape shape = shape_of(x);
    const T* z = pointer<T>(x, "x", shape, "of x");
    const T* out = pointer<T>(y, "y", shape, "of x");
    const T* g = pointer<T>(dy, "dy", shape, "of x");
    py::array_t<T> dx(shape);
    T* d = data_of(dx);
    const Rows rows = rows_of(x);
    {
        const WithoutGil release;
        kernels<T>().activate_backward(kind, out, z, rows.length, g, rows.length, d, rows.length, rows.count,
                                       rows.length);
    }
    return dx;
}

// Calls step(first, count) for all of n numbers, in pieces whose size does not depend on the number of threads. To the
// end: an optimizer's step that a signal stopped halfway would leave some weights new and others old.
constexpr Index kPiece = Index{1} << 15;
template <class F>
void in_pieces(Index n, F step) {
    parallel_for_to_the_end((n + kPiece - 1) / kPiece,
                            [&](Index i) { step(i * kPiece, n - i * kPiece < kPiece ? n - i * kPiece : kPiece); });
}

template <class T>
py::tuple squared_error(const py::array& y_true, const py::object& y_pred) {
    const Shape shape = shape_of(y_true);
    const T *y = pointer<T>(y_true, "y_true", shape, "of y_true"),
            *p = pointer<T>(y_pred, "y_pred", shape, "of y_true");
    const Index n = y_true.size();
    const double share = 1 / static_cast<double>(n > 0 ? n : 1);
    py::array_t<T> gradient(shape);
    T* const d = data_of(gradient);
    std::vector<double> sums(static_cast<std::size_t>((n + kPiece - 1) / kPiece));
    {
        const WithoutGil release;
        in_pieces(n, [&](Index first, Index count) {
            sums[static_cast<std::size_t>(first / kPiece)] =
                kernels<T>().squared_error(y + first, p + first, d + first, count, T(2 * share));
        });
    }
    return py::make_tuple(std::accumulate(sums.begin(), sums.end(), 0.0) * share, gradient);
}

// A flat vector (N,) of the optimizer.
template <class T>
T* flat(const py::object& v, const char* name, Index n, bool optional = false) {
    return output<T>(v, name, {n}, "(weights,)", optional);
}

template <class F>
void on_weights(const py::object& weights, F f) {
    const py::array w = array_of(weights, "weights");
    require_rank(w, 1, "weights", "(N,)");
    is_double(w, "weights") ? f(w, double{}) : f(w, float{});
}

// Where the piece at `first` stands in a vector that may be absent.
template <class T>
T* piece(T* vector, Index first) {
    return vector ? vector + first : nullptr;
}

// Row numbers (N,), each below `rows`.
struct RowNumbers {
    const std::int64_t* at;
    Index count;
};
RowNumbers row_numbers(const py::object& indices, Index rows) {
    const py::array ia = array_of(indices, "indices");
    require_rank(ia, 1, "indices", "(N,)");
    const Index count = ia.shape(0);
    const std::int64_t* at = pointer<std::int64_t>(indices, "indices", {count}, "(N,)");
    for (Index i = 0; i < count; ++i)
        if (at[i] < 0 || at[i] >= rows)
            throw py::index_error("indices must lie in 0.." + std::to_string(rows - 1) + ", got " +
                                  std::to_string(at[i]));
    return {at, count};
}

Index row_length(const Shape& shape) {
    return std::accumulate(shape.begin() + 1, shape.end(), Index{1}, std::multiplies<>());
}

template <class T>
py::object gather(const py::array& source, const py::object& indices) {
    Shape shape = shape_of(source);
    const T* from = pointer<T>(source, "source", shape, "of source");
    if (shape.empty()) throw py::value_error("source must have at least one dimension");
    const RowNumbers rows = row_numbers(indices, shape[0]);
    const Index length = row_length(shape);
    shape[0] = rows.count;
    py::array_t<T> out(shape);
    T* to = data_of(out);
    {
        const WithoutGil release;
        constexpr Index kTaskBytes = Index{1} << 17;
        const Index task = kTaskBytes / (length * static_cast<Index>(sizeof(T)) + 1) + 1;
        parallel_for((rows.count + task - 1) / task, [&](Index part) {
            for (Index i = part * task; i < (part + 1) * task && i < rows.count; ++i)
                std::memcpy(to + i * length, from + rows.at[i] * length, static_cast<std::size_t>(length) * sizeof(T));
        });
    }
    return out;
}

template <class T>
void scatter(const py::array& target, const py::object& indices, const py::object& source) {
    Shape shape = shape_of(target);
    T* to = output<T>(target, "target", shape, "of target");
    if (shape.empty()) throw py::value_error("target must have at least one dimension");
    const RowNumbers rows = row_numbers(indices, shape[0]);
    const Index length = row_length(shape), all = shape[0] * length;
    shape[0] = rows.count;
    const T* from = pointer<T>(source, "source", shape, "(indices, ...)");
    const WithoutGil release;
    std::memset(to, 0, static_cast<std::size_t>(all) * sizeof(T));
    for (Index i = 0; i < rows.count; ++i, from += length) {
        T* row = to + rows.at[i] * length;
        for (Index j = 0; j < length; ++j) row[j] += from[j];
    }
}

}  // namespace

void bind_pointwise(py::module_& m) {
    m.def(
        "activation_forward",
        [](const py::object& x, const std::string& name) {
            const py::array a = array_of(x, "x");
            return is_double(a, "x") ? activation_forward<double>(a, name) : activation_forward<float>(a, name);
        },
        py::arg("x"), py::arg("activation"));
    m.def(
        "activation_backward",
        [](const py::object& x, const py::object& y, const py::object& dy, const std::string& name) {
            const py::array a = array_of(x, "x");
            return is_double(a, "x") ? activation_backward<double>(a, y, dy, name)
                                     : activation_backward<float>(a, y, dy, name);
        },
        py::arg("x"), py::arg("y"), py::arg("dy"), py::arg("activation"));
    m.def(
        "squared_error",
        [](const py::object& y_true, const py::object& y_pred) {
            const py::array y = array_of(y_true, "y_true");
            return is_double(y, "y_true") ? squared_error<double>(y, y_pred) : squared_error<float>(y, y_pred);
        },
        py::arg("y_true"), py::arg("y_pred"));
    m.def(
        "sgd_step",
        [](const py::object& weights, const py::object& gradients, const py::object& momentum, double learning_rate,
           double momentum_rate, bool nesterov) {
            on_weights(weights, [&](const py::array& w, auto zero) {
                using T = decltype(zero);
                const Index n = w.shape(0);
                T* const values = flat<T>(weights, "weights", n);
                const T* const slopes = pointer<T>(gradients, "gradients", {n}, "(weights,)");
                T* const m = flat<T>(momentum, "momentum", n, true);
                in_pieces(n, [&](Index i, Index count) {
                    kernels<T>().sgd(values + i, slopes + i, piece(m, i), count, T(learning_rate), T(momentum_rate),
                                     nesterov);
                });
            });
        },
        py::arg("weights"), py::arg("gradients"), py::arg("momentum"), py::arg("learning_rate"),
        py::arg("momentum_rate"), py::arg("nesterov"));
    m.def(
        "rmsprop_step",
        [](const py::object& weights, const py::object& gradients, const py::object& velocity,
           const py::object& momentum, const py::object& average_gradient, double learning_rate, double rho,
           double momentum_rate, double epsilon) {
            on_weights(weights, [&](const py::array& w, auto zero) {
                using T = decltype(zero);
                const Index n = w.shape(0);
                T* const values = flat<T>(weights, "weights", n);
                const T* const slopes = pointer<T>(gradients, "gradients", {n}, "(weights,)");
                T* const v = flat<T>(velocity, "velocity", n);
                T *const m = flat<T>(momentum, "momentum", n, true), *const average = flat<T>(
                                                                         average_gradient, "average_gradient", n, true);
                in_pieces(n, [&](Index i, Index count) {
                    kernels<T>().rmsprop(values + i, slopes + i, v + i, piece(m, i), piece(average, i), count,
                                         T(learning_rate), T(rho), T(1 - rho), T(momentum_rate), T(epsilon));
                });
            });
        },
        py::arg("weights"), py::arg("gradients"), py::arg("velocity"), py::arg("momentum"), py::arg("average_gradient"),
        py::arg("learning_rate"), py::arg("rho"), py::arg("momentum_rate"), py::arg("epsilon"));
    m.def(
        "adam_step",
        [](const py::object& weights, const py::object& gradients, const py::object& momentum,
           const py::object& velocity, const py::object& velocity_hat, double learning_rate, double beta_1,
           double beta_2, double epsilon, Index step) {
            require_positive(step, "step");
            on_weights(weights, [&](const py::array& w, auto zero) {
                using T = decltype(zero);
                const Index n = w.shape(0);
                const double count = static_cast<double>(step);
                const double alpha =
                    learning_rate * std::sqrt(1 - std::pow(beta_2, count)) / (1 - std::pow(beta_1, count));
                T* const values = flat<T>(weights, "weights", n);
                const T* const slopes = pointer<T>(gradients, "gradients", {n}, "(weights,)");
                T *const m = flat<T>(momentum, "momentum", n), *const v = flat<T>(velocity, "velocity", n);
                T* const largest = flat<T>(velocity_hat, "velocity_hat", n, true);
                in_pieces(n, [&](Index i, Index count) {
                    kernels<T>().adam(values + i, slopes + i, m + i, v + i, piece(largest, i), count, T(alpha),
                                      T(1 - beta_1), T(1 - beta_2), T(epsilon));
                });
            });
        },
        py::arg("weights"), py::arg("gradients"), py::arg("momentum"), py::arg("velocity"), py::arg("velocity_hat"),
        py::arg("learning_rate"), py::arg("beta_1"), py::arg("beta_2"), py::arg("epsilon"), py::arg("step"));
    m.def(
        "gather_rows",
        [](const py::object& source, const py::object& indices) {
            const py::array a = array_of(source, "source");
            return is_double(a, "source") ? gather<double>(a, indices) : gather<float>(a, indices);
        },
        py::arg("source"), py::arg("indices"));
    m.def(
        "scatter_rows",
        [](const py::object& target, const py::object& indices, const py::object& source) {
            const py::array a = array_of(target, "target");
            is_double(a, "target") ? scatter<double>(a, indices, source) : scatter<float>(a, indices, source);
        },
        py::arg("target"), py::arg("indices"), py::arg("source"));
}

}  // namespace pyrnn
