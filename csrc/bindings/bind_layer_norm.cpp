// Layer normalization.
#include "arrays.hpp"

namespace pyrnn {
namespace {

Rows features_of(const py::array& x, const char* name) {
    if (x.ndim() < 1 || x.shape(x.ndim() - 1) < 1)
        throw py::value_error(std::string(name) + " must have shape (..., features), got " + text(shape_of(x)));
    return rows_of(x);
}

template <class T>
py::object forward(const py::array& x, const py::object& gamma, const py::object& beta, double epsilon, bool training) {
    const Rows rows = features_of(x, "x");
    const Shape shape = shape_of(x), features = {rows.length};
    const T* const in = pointer<T>(x, "x", shape, "of x");
    const LayerNorm<T> p = {rows.count, rows.length, pointer<T>(gamma, "gamma", features, "(features,)", true),
                            pointer<T>(beta, "beta", features, "(features,)", true), static_cast<T>(epsilon)};
    py::array_t<T> y(shape), normal(training ? shape : Shape{0}), factor(Shape{training ? rows.count : 0});
    T *const out = data_of(y), *const saved_normal = training ? data_of(normal) : nullptr;
    T* const factors = training ? data_of(factor) : nullptr;
    {
        const WithoutGil release;
        layer_norm_forward(p, in, out, saved_normal, factors);
    }
    if (!training) return py::make_tuple(y, py::tuple());
    return py::make_tuple(y, py::make_tuple(normal, factor));
}

template <class T>
py::object backward(const py::array& dy, const py::object& normal, const py::object& factor, const py::object& gamma,
                    const py::object& d_gamma, const py::object& d_beta, bool need_dx) {
    const Rows rows = features_of(dy, "dy");
    const Shape shape = shape_of(dy), features = {rows.length};
    const T* const in = pointer<T>(dy, "dy", shape, "of dy");
    const T* const saved_normal = pointer<T>(normal, "saved[0]", shape, "of dy");
    const T* const factors = pointer<T>(factor, "saved[1]", {rows.count}, "(rows,)");
    const LayerNorm<T> p = {rows.count, rows.length, pointer<T>(gamma, "gamma", features, "(features,)", true), nullptr,
                            T(0)};
    T* const by_gamma = output<T>(d_gamma, "d_gamma", features, "(features,)", true);
    T* const by_beta = output<T>(d_beta, "d_beta", features, "(features,)", true);
    py::array_t<T> dx(need_dx ? shape : Shape{0});
    T* const out = need_dx ? data_of(dx) : nullptr;
    {
        const WithoutGil release;
        layer_norm_backward(p, in, saved_normal, factors, out, by_gamma, by_beta);
    }
    return need_dx ? py::object(dx) : py::object(py::none());
}

}  // namespace

void bind_layer_norm(py::module_& m) {
    m.def(
        "layer_norm_forward",
        [](const py::object& x, const py::object& gamma, const py::object& beta, double epsilon, bool training) {
            const py::array a = array_of(x, "x");
            return is_double(a, "x") ? forward<double>(a, gamma, beta, epsilon, training)
                                     : forward<float>(a, gamma, beta, epsilon, training);
        },
        py::arg("x"), py::arg("gamma"), py::arg("beta"), py::kw_only(), py::arg("epsilon"), py::arg("training"));
    m.def(
        "layer_norm_backward",
        [](const py::object& dy, const py::object& saved_pair, const py::object& gamma, const py::object& d_gamma,
           const py::object& d_beta, bool need_dx) {
            const py::tuple saved = tuple_of(saved_pair, "saved");
            if (saved.size() != 2) throw py::value_error("saved must be what layer_norm_forward kept in training");
            const py::array a = array_of(dy, "dy");
            return is_double(a, "dy") ? backward<double>(a, saved[0], saved[1], gamma, d_gamma, d_beta, need_dx)
                                      : backward<float>(a, saved[0], saved[1], gamma, d_gamma, d_beta, need_dx);
        },
        py::arg("dy"), py::arg("saved"), py::arg("gamma"), py::kw_only(), py::arg("d_gamma"), py::arg("d_beta"),
        py::arg("need_dx"));
}

}  // namespace pyrnn
