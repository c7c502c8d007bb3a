// Dense, Conv1D and pooling.
#include "arrays.hpp"

namespace pyrnn {
namespace {

Padding padding_named(const std::string& name, bool causal_allowed) {
    if (name == "valid") return Padding::kValid;
    if (name == "same") return Padding::kSame;
    if (name == "causal" && causal_allowed) return Padding::kCausal;
    throw py::value_error(std::string("padding must be 'valid'") +
                          (causal_allowed ? ", 'same' or 'causal'" : " or 'same'") + ", got '" + name + "'");
}

template <class T>
Conv<T> dense_problem(const py::array& x, const py::array& kernel, const py::handle& bias,
                      const std::string& activation, const py::object& version) {
    require_rank(kernel, 2, "kernel", "(F, H)");
    if (x.ndim() < 1) throw py::value_error("x must have shape (..., F), got ()");
    const Shape shape = shape_of(x);
    const Index f = shape.back(), h = kernel.shape(1);
    Index rows = 1;
    for (std::size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
    require_positive(rows, "the number of rows of x");
    require_positive(f, "the number of features of x");
    require_positive(h, "units");
    Conv<T> p{};
    p.batch = 1, p.steps = rows, p.channels = f, p.filters = h, p.taps = 1, p.stride = 1, p.dilation = 1,
    p.out_steps = rows;
    p.x = pointer<T>(x, "x", shape, "(..., features)");
    p.kernel = pointer<T>(kernel, "kernel", {f, h}, "(features, units)");
    p.bias = pointer<T>(bias, "bias", {h}, "(units,)", true);
    p.activation = activation_named(activation);
    p.version = version_of(version);
    return p;
}

template <class T>
Conv<T> conv_problem(const py::array& x, const py::array& kernel, const py::handle& bias, Index strides,
                     const std::string& padding, Index dilation, const std::string& activation,
                     const py::object& version) {
    require_rank(x, 3, "x", "(B, T, C)");
    require_rank(kernel, 3, "kernel", "(K, C, O)");
    require_size(strides, "strides");
    require_size(dilation, "dilation_rate");
    Conv<T> p{};
    p.batch = x.shape(0), p.steps = x.shape(1), p.channels = x.shape(2), p.taps = kernel.shape(0),
    p.filters = kernel.shape(2);
    require_positive(p.batch, "the batch size of x");
    require_positive(p.steps, "the number of time steps of x");
    require_positive(p.channels, "the number of channels of x");
    require_positive(p.taps, "kernel_size");
    require_positive(p.filters, "filters");
    p.stride = strides, p.dilation = dilation;
    const Windows windows = windows_over(p.steps, p.taps, strides, dilation, padding_named(padding, true));
    p.pad_left = windows.pad_left, p.pad_right = windows.pad_right, p.out_steps = windows.out_steps;
    p.x = pointer<T>(x, "x", shape_of(x), "(batch, time, channels)");
    p.kernel = pointer<T>(kernel, "kernel", {p.taps, p.channels, p.filters}, "(kernel_size, channels, filters)");
    p.bias = pointer<T>(bias, "bias", {p.filters}, "(filters,)", true);
    p.activation = activation_named(activation);
    p.version = version_of(version);
    return p;
}

template <class T>
py::tuple forward(const Conv<T>& p, const Shape& out, bool training, Workspace& workspace) {
    const bool keep_z = training && needs_preactivation(p.activation);
    T *y_data = nullptr, *z_data = nullptr;
    const py::object y = result_array(out, true, y_data, workspace), z = result_array(out, keep_z, z_data, workspace);
    {
        const WithoutGil release;
        Borrowed ws(workspace);
        conv_forward(p, y_data, z_data, *ws);
    }
    py::tuple saved;
    if (keep_z) saved = py::make_tuple(y, z);
    else if (training) saved = py::make_tuple(y);
    return py::make_tuple(y, saved);
}

template <class T>
py::object backward(const Conv<T>& p, const Shape& out, const Shape& in, const Shape& weights, const py::tuple& saved,
                    const py::object& dy, const py::object& d_kernel, const py::object& d_bias, bool need_dx,
                    Workspace& workspace) {
    const std::size_t expected = needs_preactivation(p.activation) ? 2 : 1;
    if (saved.size() != expected)
        throw py::value_error("saved must hold " + std::to_string(expected) + " arrays, got " +
                              std::to_string(saved.size()));
    const T* y = pointer<T>(saved[0], "saved[0]", out, "of the output");
    const T* z = expected == 2 ? pointer<T>(saved[1], "saved[1]", out, "of the output") : nullptr;
    const T* dy_data = pointer<T>(dy, "dy", out, "of the output");
    T* dw = output<T>(d_kernel, "d_kernel", weights, "of the kernel");
    T* db = output<T>(d_bias, "d_bias", {p.filters}, "(units,)", true);
    T* dx_data = nullptr;
    const py::object dx = result_array(in, need_dx, dx_data, workspace);
    {
        const WithoutGil release;
        Borrowed ws(workspace);
        conv_backward(p, y, z, dy_data, dw, db, dx_data, *ws);
    }
    return dx;
}

Shape dense_output(const py::array& x, Index units) {
    Shape shape = shape_of(x);
    shape.back() = units;
    return shape;
}

Pool pool_problem(const py::array& x, const std::string& mode, Index size, Index stride, const std::string& padding) {
    require_rank(x, 3, "x", "(B, T, C)");
    require_size(size, "pool_size");
    require_size(stride, "strides");
    if (mode != "max" && mode != "average")
        throw py::value_error("mode must be 'max' or 'average', got '" + mode + "'");
    for (int i = 0; i < 3; ++i) require_positive(x.shape(i), i == 0 ? "the batch size of x" : "each dimension of x");
    const Windows windows = windows_over(x.shape(1), size, stride, 1, padding_named(padding, false));
    return {x.shape(0), x.shape(1), x.shape(2), windows.out_steps, size, stride, windows.pad_left, mode == "average"};
}

template <class T>
py::object pooled(const py::array& x, const Pool& p) {
    const T* x_data = pointer<T>(x, "x", shape_of(x), "(batch, time, channels)");
    py::array_t<T> y(Shape{p.batch, p.out_steps, p.channels});
    T* y_data = data_of(y);
    {
        const WithoutGil release;
        pool_forward(p, x_data, y_data);
    }
    return y;
}

template <class T>
py::object pool_gradient(const py::array& x, const py::object& dy, const Pool& p) {
    const T* x_data = pointer<T>(x, "x", shape_of(x), "(batch, time, channels)");
    const T* dy_data = pointer<T>(dy, "dy", {p.batch, p.out_steps, p.channels}, "(batch, out_time, channels)");
    py::array_t<T> dx(shape_of(x));
    T* dx_data = data_of(dx);
    {
        const WithoutGil release;
        pool_backward(p, x_data, dy_data, dx_data);
    }
    return dx;
}

}  // namespace

void bind_conv(py::module_& m) {
    m.def(
        "dense_forward",
        [](const py::object& x, const py::object& kernel, const py::object& bias, const std::string& activation,
           bool training, Workspace& workspace, const py::object& version) {
            const py::array xa = array_of(x, "x"), ka = array_of(kernel, "kernel");
            if (is_double(xa, "x")) {
                const auto p = dense_problem<double>(xa, ka, bias, activation, version);
                return forward(p, dense_output(xa, p.filters), training, workspace);
            }
            const auto p = dense_problem<float>(xa, ka, bias, activation, version);
            return forward(p, dense_output(xa, p.filters), training, workspace);
        },
        py::arg("x"), py::arg("kernel"), py::arg("bias"), py::arg("activation"), py::arg("training"),
        py::arg("workspace"), py::arg("version"));
    m.def(
        "dense_backward",
        [](const py::object& x, const py::object& kernel, const py::object& saved, const py::object& dy,
           const std::string& activation, const py::object& d_kernel, const py::object& d_bias, bool need_dx,
           Workspace& workspace, const py::object& version) {
            const py::array xa = array_of(x, "x"), ka = array_of(kernel, "kernel");
            const py::none no_bias;
            const auto run = [&](const auto& p) {
                return backward(p, dense_output(xa, p.filters), shape_of(xa), shape_of(ka), tuple_of(saved, "saved"),
                                dy, d_kernel, d_bias, need_dx, workspace);
            };
            return is_double(xa, "x") ? run(dense_problem<double>(xa, ka, no_bias, activation, version))
                                      : run(dense_problem<float>(xa, ka, no_bias, activation, version));
        },
        py::arg("x"), py::arg("kernel"), py::arg("saved"), py::arg("dy"), py::arg("activation"), py::arg("d_kernel"),
        py::arg("d_bias"), py::arg("need_dx"), py::arg("workspace"), py::arg("version"));
    m.def(
        "conv1d_forward",
        [](const py::object& x, const py::object& kernel, const py::object& bias, Index strides,
           const std::string& padding, Index dilation, const std::string& activation, bool training,
           Workspace& workspace, const py::object& version) {
            const py::array xa = array_of(x, "x"), ka = array_of(kernel, "kernel");
            const auto run = [&](const auto& p) {
                return forward(p, Shape{p.batch, p.out_steps, p.filters}, training, workspace);
            };
            return is_double(xa, "x")
                       ? run(conv_problem<double>(xa, ka, bias, strides, padding, dilation, activation, version))
                       : run(conv_problem<float>(xa, ka, bias, strides, padding, dilation, activation, version));
        },
        py::arg("x"), py::arg("kernel"), py::arg("bias"), py::kw_only(), py::arg("strides"), py::arg("padding"),
        py::arg("dilation_rate"), py::arg("activation"), py::arg("training"), py::arg("workspace"), py::arg("version"));
    m.def(
        "conv1d_backward",
        [](const py::object& x, const py::object& kernel, const py::object& saved, const py::object& dy, Index strides,
           const std::string& padding, Index dilation, const std::string& activation, const py::object& d_kernel,
           const py::object& d_bias, bool need_dx, Workspace& workspace, const py::object& version) {
            const py::array xa = array_of(x, "x"), ka = array_of(kernel, "kernel");
            const py::none no_bias;
            const auto run = [&](const auto& p) {
                return backward(p, Shape{p.batch, p.out_steps, p.filters}, shape_of(xa), shape_of(ka),
                                tuple_of(saved, "saved"), dy, d_kernel, d_bias, need_dx, workspace);
            };
            return is_double(xa, "x")
                       ? run(conv_problem<double>(xa, ka, no_bias, strides, padding, dilation, activation, version))
                       : run(conv_problem<float>(xa, ka, no_bias, strides, padding, dilation, activation, version));
        },
        py::arg("x"), py::arg("kernel"), py::arg("saved"), py::arg("dy"), py::kw_only(), py::arg("strides"),
        py::arg("padding"), py::arg("dilation_rate"), py::arg("activation"), py::arg("d_kernel"), py::arg("d_bias"),
        py::arg("need_dx"), py::arg("workspace"), py::arg("version"));
    m.def(
        "pool1d_forward",
        [](const py::object& x, const std::string& mode, Index size, Index stride, const std::string& padding) {
            const py::array xa = array_of(x, "x");
            const Pool p = pool_problem(xa, mode, size, stride, padding);
            return is_double(xa, "x") ? pooled<double>(xa, p) : pooled<float>(xa, p);
        },
        py::arg("x"), py::kw_only(), py::arg("mode"), py::arg("pool_size"), py::arg("strides"), py::arg("padding"));
    m.def(
        "pool1d_backward",
        [](const py::object& x, const py::object& dy, const std::string& mode, Index size, Index stride,
           const std::string& padding) {
            const py::array xa = array_of(x, "x");
            const Pool p = pool_problem(xa, mode, size, stride, padding);
            return is_double(xa, "x") ? pool_gradient<double>(xa, dy, p) : pool_gradient<float>(xa, dy, p);
        },
        py::arg("x"), py::arg("dy"), py::kw_only(), py::arg("mode"), py::arg("pool_size"), py::arg("strides"),
        py::arg("padding"));
}

}  // namespace pyrnn
