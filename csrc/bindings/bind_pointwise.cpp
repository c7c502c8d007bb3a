// Activations and the squared error on whole arrays, optimizer steps on flat vectors, gathering and scattering of rows.
#include <functional>
#include <numeric>

#include "../runtime/pointwise.hpp"
#include "arrays.hpp"

namespace pyrnn {
namespace {

// The shape of glu's output: its last axis is half of x's.
Shape glu_output(const py::array& x) {
    Shape shape = shape_of(x);
    if (shape.empty() || rows_of(x).length % 2)
        throw py::value_error("glu needs an even last axis, got shape " + text(shape));
    shape.back() /= 2;
    return shape;
}

template <class T>
py::object activation(const py::array& x, const std::string& name) {
    const bool is_glu = name == "glu";
    const Shape shape = is_glu ? glu_output(x) : shape_of(x);
    const Activation kind = is_glu ? Activation::kSigmoid : activation_named(name);
    const T* in = pointer<T>(x, "x", shape_of(x), "of x");
    py::array_t<T> y(shape);
    const Rows rows = rows_of(x);
    T* out = data_of(y);
    {
        const WithoutGil release;
        if (is_glu) glu_forward(in, out, rows.count, rows.length / 2);
        else activation_forward(kind, in, out, rows.count, rows.length);
    }
    return y;
}

template <class T>
py::object activation_gradient(const py::array& x, const py::object& y, const py::object& dy, const std::string& name) {
    const bool is_glu = name == "glu";
    const Shape shape = is_glu ? glu_output(x) : shape_of(x);
    const Activation kind = is_glu ? Activation::kSigmoid : activation_named(name);
    const T* in = pointer<T>(x, "x", shape_of(x), "of x");
    const T* out = is_glu ? nullptr : pointer<T>(y, "y", shape, "of x");
    const T* slopes = pointer<T>(dy, "dy", shape, is_glu ? "of glu's output" : "of x");
    py::array_t<T> dx(shape_of(x));
    T* gradient = data_of(dx);
    const Rows rows = rows_of(x);
    {
        const WithoutGil release;
        if (is_glu) glu_backward(in, slopes, gradient, rows.count, rows.length / 2);
        else activation_backward(kind, in, out, slopes, gradient, rows.count, rows.length);
    }
    return dx;
}

template <class T>
py::tuple error_and_gradient(const py::array& y_true, const py::object& y_pred) {
    const Shape shape = shape_of(y_true);
    const T *y = pointer<T>(y_true, "y_true", shape, "of y_true"),
            *p = pointer<T>(y_pred, "y_pred", shape, "of y_true");
    py::array_t<T> gradient(shape);
    T* const d = data_of(gradient);
    double error = 0;
    {
        const WithoutGil release;
        error = squared_error(y, p, d, y_true.size());
    }
    return py::make_tuple(error, gradient);
}

// The vectors of an optimizer's step, each (N,), and N.
template <class T>
struct Vectors {
    Vectors(const py::object& weights, const py::object& gradients)
        : n(py::reinterpret_borrow<py::array>(weights).shape(0)),
          w(slot(weights, "weights")),
          g(pointer<T>(gradients, "gradients", {n}, "(weights,)")) {}
    T* slot(const py::object& v, const char* name, bool optional = false) const {
        return output<T>(v, name, {n}, "(weights,)", optional);
    }
    Index n;
    T* w;
    const T* g;
};

// Calls f(Vectors<T>) with the type of `weights`, then raises the count (1,), or None, by one. No signal handler runs
// in between, since these calls do not check for signals.
template <class F>
void on_vectors(const py::object& weights, const py::object& gradients, const py::object& count, F f) {
    const py::array w = array_of(weights, "weights");
    require_rank(w, 1, "weights", "(N,)");
    auto* const steps = output<std::int64_t>(count, "count", {1}, "(1,)", true);
    is_double(w, "weights") ? f(Vectors<double>(weights, gradients)) : f(Vectors<float>(weights, gradients));
    if (steps) ++*steps;
}

RowNumbers row_numbers(const py::object& indices, Index rows) {
    const py::array ia = array_of(indices, "indices");
    require_rank(ia, 1, "indices", "(N,)");
    const Index count = ia.shape(0);
    return {pointer<std::int64_t>(indices, "indices", {count}, "(N,)"), count, rows};
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
    shape[0] = rows.count;
    py::array_t<T> out(shape);
    T* to = data_of(out);
    {
        const WithoutGil release;
        gather_rows(from, rows, to, row_length(shape));
    }
    return out;
}

template <class T>
void scatter(const py::array& target, const py::object& indices, const py::object& source) {
    Shape shape = shape_of(target);
    T* to = output<T>(target, "target", shape, "of target");
    if (shape.empty()) throw py::value_error("target must have at least one dimension");
    const Index count = shape[0];
    const RowNumbers rows = row_numbers(indices, count);
    shape[0] = rows.count;
    const T* from = pointer<T>(source, "source", shape, "(indices, ...)");
    const WithoutGil release;
    scatter_rows(from, rows, to, count, row_length(shape));
}

}  // namespace

void bind_pointwise(py::module_& m) {
    m.def(
        "activation_forward",
        [](const py::object& x, const std::string& name) {
            const py::array a = array_of(x, "x");
            return is_double(a, "x") ? activation<double>(a, name) : activation<float>(a, name);
        },
        py::arg("x"), py::arg("activation"));
    m.def(
        "activation_backward",
        [](const py::object& x, const py::object& y, const py::object& dy, const std::string& name) {
            const py::array a = array_of(x, "x");
            return is_double(a, "x") ? activation_gradient<double>(a, y, dy, name)
                                     : activation_gradient<float>(a, y, dy, name);
        },
        py::arg("x"), py::arg("y"), py::arg("dy"), py::arg("activation"));
    m.def(
        "squared_error",
        [](const py::object& y_true, const py::object& y_pred) {
            const py::array y = array_of(y_true, "y_true");
            return is_double(y, "y_true") ? error_and_gradient<double>(y, y_pred)
                                          : error_and_gradient<float>(y, y_pred);
        },
        py::arg("y_true"), py::arg("y_pred"));
    m.def(
        "sgd_step",
        [](const py::object& weights, const py::object& gradients, const py::object& momentum, double learning_rate,
           double momentum_rate, bool nesterov, const py::object& count) {
            on_vectors(weights, gradients, count, [&](const auto& v) {
                sgd_step(v.w, v.g, v.slot(momentum, "momentum", true), v.n, learning_rate, momentum_rate, nesterov);
            });
        },
        py::arg("weights"), py::arg("gradients"), py::arg("momentum"), py::arg("learning_rate"),
        py::arg("momentum_rate"), py::arg("nesterov"), py::arg("count") = py::none());
    m.def(
        "rmsprop_step",
        [](const py::object& weights, const py::object& gradients, const py::object& velocity,
           const py::object& momentum, const py::object& average_gradient, double learning_rate, double rho,
           double momentum_rate, double epsilon, const py::object& count) {
            on_vectors(weights, gradients, count, [&](const auto& v) {
                auto* const second = v.slot(velocity, "velocity");
                auto* const first = v.slot(momentum, "momentum", true);
                auto* const average = v.slot(average_gradient, "average_gradient", true);
                rmsprop_step(v.w, v.g, second, first, average, v.n, learning_rate, rho, momentum_rate, epsilon);
            });
        },
        py::arg("weights"), py::arg("gradients"), py::arg("velocity"), py::arg("momentum"), py::arg("average_gradient"),
        py::arg("learning_rate"), py::arg("rho"), py::arg("momentum_rate"), py::arg("epsilon"),
        py::arg("count") = py::none());
    m.def(
        "adam_step",
        [](const py::object& weights, const py::object& gradients, const py::object& momentum,
           const py::object& velocity, const py::object& velocity_hat, double learning_rate, double beta_1,
           double beta_2, double epsilon, Index step, const py::object& count) {
            require_positive(step, "step");
            on_vectors(weights, gradients, count, [&](const auto& v) {
                auto* const first = v.slot(momentum, "momentum");
                auto* const second = v.slot(velocity, "velocity");
                auto* const largest = v.slot(velocity_hat, "velocity_hat", true);
                adam_step(v.w, v.g, first, second, largest, v.n, learning_rate, beta_1, beta_2, epsilon, step);
            });
        },
        py::arg("weights"), py::arg("gradients"), py::arg("momentum"), py::arg("velocity"), py::arg("velocity_hat"),
        py::arg("learning_rate"), py::arg("beta_1"), py::arg("beta_2"), py::arg("epsilon"), py::arg("step"),
        py::arg("count") = py::none());
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
