// Layer normalization: rows in pieces of a fixed size, so that the sums of the weights' gradients keep their bits.
#include <vector>

#include "../runtime/denormals.hpp"
#include "../runtime/dispatch.hpp"
#include "../runtime/parallel.hpp"
#include "arrays.hpp"

namespace pyrnn {
namespace {

constexpr Index kPieceRows = 256;

Index pieces_of(Index rows) { return (rows + kPieceRows - 1) / kPieceRows; }
Index rows_in(Index rows, Index piece) {
    const Index left = rows - piece * kPieceRows;
    return left < kPieceRows ? left : kPieceRows;
}

struct Rows { Index count, length; };

Rows rows_of(const py::array& x, const char* name) {
    if (x.ndim() < 1 || x.shape(x.ndim() - 1) < 1)
        throw py::value_error(std::string(name) + " must have shape (..., features), got " + text(shape_of(x)));
    const Index length = x.shape(x.ndim() - 1);
    return {x.size() / length, length};
}

template <class T>
py::object forward(const py::array& x, const py::object& gamma, const py::object& beta, double epsilon, bool training) {
    const Rows rows = rows_of(x, "x");
    const Shape shape = shape_of(x);
    const T* const in = pointer<T>(x, "x", shape, "of x");
    const T* const scale = pointer<T>(gamma, "gamma", {rows.length}, "(features,)", true);
    const T* const shift = pointer<T>(beta, "beta", {rows.length}, "(features,)", true);
    py::array_t<T> y(shape), normal(training ? shape : Shape{0}), factor(Shape{training ? rows.count : 0});
    T *const out = data_of(y), *const kept = training ? data_of(normal) : nullptr;
    T* const factors = training ? data_of(factor) : nullptr;
    {
        py::gil_scoped_release release;
        parallel_for(pieces_of(rows.count), [&](Index piece) {
            const FlushSubnormals flush;
            const Index first = piece * kPieceRows, at = first * rows.length;
            kernels<T>().layer_norm(in + at, scale, shift, out + at, kept ? kept + at : nullptr,
                                    factors ? factors + first : nullptr, rows_in(rows.count, piece), rows.length,
                                    static_cast<T>(epsilon));
        });
    }
    if (!training) return py::make_tuple(y, py::tuple());
    return py::make_tuple(y, py::make_tuple(normal, factor));
}

template <class T>
py::object backward(const py::array& dy, const py::object& normal, const py::object& factor, const py::object& gamma,
                    const py::object& d_gamma, const py::object& d_beta, bool need_dx) {
    const Rows rows = rows_of(dy, "dy");
    const Shape shape = shape_of(dy);
    const T* const in = pointer<T>(dy, "dy", shape, "of dy");
    const T* const kept = pointer<T>(normal, "normal", shape, "of dy");
    const T* const factors = pointer<T>(factor, "factor", {rows.count}, "(rows,)");
    const T* const scale = pointer<T>(gamma, "gamma", {rows.length}, "(features,)", true);
    T* const by_gamma = output<T>(d_gamma, "d_gamma", {rows.length}, "(features,)", true);
    T* const by_beta = output<T>(d_beta, "d_beta", {rows.length}, "(features,)", true);
    py::array_t<T> dx(need_dx ? shape : Shape{0});
    T* const out = need_dx ? data_of(dx) : nullptr;
    {
        py::gil_scoped_release release;
        const Index pieces = pieces_of(rows.count), n = rows.length;
        std::vector<T> sums(static_cast<std::size_t>(2 * pieces * n));
        parallel_for(pieces, [&](Index piece) {
            const FlushSubnormals flush;
            const Index first = piece * kPieceRows, at = first * n;
            T* const own = sums.data() + 2 * piece * n;
            kernels<T>().layer_norm_backward(in + at, kept + at, factors + first, scale, out ? out + at : nullptr,
                                             by_gamma ? own : nullptr, by_beta ? own + n : nullptr,
                                             rows_in(rows.count, piece), n);
        });
        for (Index i = 0; i < n; ++i) {
            T gamma_sum = 0, beta_sum = 0;
            for (Index piece = 0; piece < pieces; ++piece) {
                gamma_sum += sums[static_cast<std::size_t>(2 * piece * n + i)];
                beta_sum += sums[static_cast<std::size_t>((2 * piece + 1) * n + i)];
            }
            if (by_gamma) by_gamma[i] = gamma_sum;
            if (by_beta) by_beta[i] = beta_sum;
        }
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
        [](const py::object& dy, const py::tuple& saved, const py::object& gamma, const py::object& d_gamma,
           const py::object& d_beta, bool need_dx) {
            if (saved.size() != 2) throw py::value_error("saved must be what layer_norm_forward kept in training");
            const py::array a = array_of(dy, "dy");
            return is_double(a, "dy") ? backward<double>(a, saved[0], saved[1], gamma, d_gamma, d_beta, need_dx)
                                      : backward<float>(a, saved[0], saved[1], gamma, d_gamma, d_beta, need_dx);
        },
        py::arg("dy"), py::arg("saved"), py::arg("gamma"), py::kw_only(), py::arg("d_gamma"), py::arg("d_beta"),
        py::arg("need_dx"));
}

}  // namespace pyrnn
