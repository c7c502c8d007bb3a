// rnn_forward and rnn_backward.
#include "arrays.hpp"

namespace pyrnn {
namespace {

struct Options {
    std::string activation;
    py::object initial_state, mask, input_scale, state_scale;
    bool go_backwards, return_sequences, zero_output_for_mask;
    py::object version;
};

py::object only_state(const py::object& states, const char* name) {
    if (states.is_none()) return states;
    const py::sequence sequence = states;
    if (sequence.size() != 1)
        throw py::value_error(std::string(name) + " must hold 1 array for simple_rnn, got " + std::to_string(sequence.size()));
    return sequence[0];
}

template <class T>
Rnn<T> problem(const std::string& cell, const py::array& x, const py::array& kernel, const py::handle& recurrent_kernel,
               const py::handle& bias, const Options& o) {
    if (cell != "simple_rnn") throw py::value_error("cell must be 'simple_rnn', got '" + cell + "'");
    require_rank(x, 3, "x", "(B, T, F)");
    require_rank(kernel, 2, "kernel", "(F, H)");
    const Index b = x.shape(0), t = x.shape(1), f = x.shape(2), h = kernel.shape(1);
    require_positive(b, "the batch size of x");
    require_positive(t, "the number of time steps of x");
    require_positive(f, "the number of features of x");
    require_positive(h, "units");
    Rnn<T> p{};
    p.batch = b, p.steps = t, p.features = f, p.units = h;
    p.x = pointer<T>(x, "x", {b, t, f}, "(B, T, F)");
    p.kernel = pointer<T>(kernel, "kernel", {f, h}, "(features, units)");
    p.recurrent_kernel = pointer<T>(recurrent_kernel, "recurrent_kernel", {h, h}, "(units, units)");
    p.bias = pointer<T>(bias, "bias", {h}, "(units,)", true);
    p.initial_state = pointer<T>(only_state(o.initial_state, "initial_state"), "initial_state", {b, h}, "(batch, units)", true);
    p.input_scale = pointer<T>(o.input_scale, "input_scale", {b, f}, "(batch, features)", true);
    p.state_scale = pointer<T>(o.state_scale, "state_scale", {b, h}, "(batch, units)", true);
    p.mask = reinterpret_cast<const unsigned char*>(pointer<bool>(o.mask, "mask", {b, t}, "(batch, time)", true));
    p.backwards = o.go_backwards, p.sequences = o.return_sequences, p.zero_output_for_mask = o.zero_output_for_mask;
    p.activation = activation_named(o.activation);
    p.version = version_of(o.version);
    return p;
}

template <class T>
py::tuple forward(const Rnn<T>& p, bool training, Workspace& workspace) {
    const Shape all{p.batch, p.steps, p.units}, one{p.batch, p.units};
    const bool zeroed = p.mask && p.zero_output_for_mask;
    const bool keep = training || p.sequences || zeroed, keep_z = training && needs_preactivation(p.activation);
    py::array_t<T> states(keep ? all : Shape{0, 0, 0}), z(keep_z ? all : Shape{0, 0, 0}), output(zeroed ? all : Shape{0, 0, 0});
    py::array_t<T> final_state(one);
    T *states_data = keep ? data_of(states) : nullptr, *z_data = keep_z ? data_of(z) : nullptr;
    T *output_data = zeroed ? data_of(output) : nullptr, *final_data = data_of(final_state);
    {
        py::gil_scoped_release release;
        Borrowed ws(workspace);
        rnn_forward(p, states_data, z_data, output_data, final_data, *ws);
    }
    const py::array_t<T>& sequence = zeroed ? output : states;
    py::object result = final_state;
    if (p.sequences) result = sequence;
    else if (zeroed)
        result = sequence.attr("__getitem__")(py::make_tuple(py::slice(py::none(), py::none(), py::none()), -1)).attr("copy")();
    else if (p.batch) result = final_state.attr("copy")();
    py::tuple saved;
    if (training && keep_z) saved = py::make_tuple(states, z);
    else if (training) saved = py::make_tuple(states);
    return py::make_tuple(result, py::make_tuple(final_state), saved);
}

template <class T>
py::tuple backward(const Rnn<T>& p, const py::sequence& saved, const py::object& d_output, const py::object& d_final_state,
                   const py::object& d_kernel, const py::object& d_recurrent_kernel, const py::object& d_bias, bool need_dx,
                   Workspace& workspace) {
    const Shape all{p.batch, p.steps, p.units}, one{p.batch, p.units};
    const std::size_t expected = needs_preactivation(p.activation) ? 2 : 1;
    if (saved.size() != expected)
        throw py::value_error("saved must hold " + std::to_string(expected) + " arrays, got " + std::to_string(saved.size()));
    RnnGradients<T> g{};
    g.states = pointer<T>(saved[0], "saved[0]", all, "(batch, time, units)");
    if (expected == 2) g.z = pointer<T>(saved[1], "saved[1]", all, "(batch, time, units)");
    g.d_output = p.sequences ? pointer<T>(d_output, "d_output", all, "(batch, time, units)", true)
                             : pointer<T>(d_output, "d_output", one, "(batch, units)", true);
    g.d_final = pointer<T>(only_state(d_final_state, "d_final_state"), "d_final_state", one, "(batch, units)", true);
    g.d_kernel = output<T>(d_kernel, "d_kernel", {p.features, p.units}, "(features, units)");
    g.d_recurrent_kernel = output<T>(d_recurrent_kernel, "d_recurrent_kernel", {p.units, p.units}, "(units, units)");
    g.d_bias = output<T>(d_bias, "d_bias", {p.units}, "(units,)", true);
    py::array_t<T> dx(need_dx ? Shape{p.batch, p.steps, p.features} : Shape{0, 0, 0}), d_initial(one);
    g.dx = need_dx ? data_of(dx) : nullptr;
    g.d_initial = data_of(d_initial);
    {
        py::gil_scoped_release release;
        Borrowed ws(workspace);
        rnn_backward(p, g, *ws);
    }
    py::object dx_or_none = py::none();
    if (need_dx) dx_or_none = dx;
    return py::make_tuple(dx_or_none, py::make_tuple(d_initial));
}

}  // namespace

void bind_rnn(py::module_& m) {
    m.def(
        "rnn_forward",
        [](const std::string& cell, const py::object& x, const py::object& kernel, const py::object& recurrent_kernel,
           const py::object& bias, const std::string& activation, py::object initial_state, py::object mask,
           py::object input_scale, py::object state_scale, bool go_backwards, bool return_sequences,
           bool zero_output_for_mask, bool training, Workspace& workspace, py::object version) {
            const py::array xa = array_of(x, "x"), ka = array_of(kernel, "kernel");
            const Options o{activation, initial_state, mask, input_scale, state_scale, go_backwards, return_sequences,
                            zero_output_for_mask, version};
            return is_double(xa, "x") ? forward(problem<double>(cell, xa, ka, recurrent_kernel, bias, o), training, workspace)
                                      : forward(problem<float>(cell, xa, ka, recurrent_kernel, bias, o), training, workspace);
        },
        py::arg("cell"), py::arg("x"), py::arg("kernel"), py::arg("recurrent_kernel"), py::arg("bias"), py::kw_only(),
        py::arg("activation"), py::arg("initial_state"), py::arg("mask"), py::arg("input_scale"), py::arg("state_scale"),
        py::arg("go_backwards"), py::arg("return_sequences"), py::arg("zero_output_for_mask"), py::arg("training"),
        py::arg("workspace"), py::arg("version"));
    m.def(
        "rnn_backward",
        [](const std::string& cell, const py::object& x, const py::object& kernel, const py::object& recurrent_kernel,
           const py::sequence& saved, const py::object& d_output, const std::string& activation, py::object initial_state,
           py::object mask, py::object input_scale, py::object state_scale, bool go_backwards, bool return_sequences,
           bool zero_output_for_mask, const py::object& d_final_state, const py::object& d_kernel,
           const py::object& d_recurrent_kernel, const py::object& d_bias, bool need_dx, Workspace& workspace,
           py::object version) {
            const py::array xa = array_of(x, "x"), ka = array_of(kernel, "kernel");
            const Options o{activation, initial_state, mask, input_scale, state_scale, go_backwards, return_sequences,
                            zero_output_for_mask, version};
            const py::none no_bias;
            return is_double(xa, "x")
                       ? backward(problem<double>(cell, xa, ka, recurrent_kernel, no_bias, o), saved, d_output, d_final_state,
                                  d_kernel, d_recurrent_kernel, d_bias, need_dx, workspace)
                       : backward(problem<float>(cell, xa, ka, recurrent_kernel, no_bias, o), saved, d_output, d_final_state,
                                  d_kernel, d_recurrent_kernel, d_bias, need_dx, workspace);
        },
        py::arg("cell"), py::arg("x"), py::arg("kernel"), py::arg("recurrent_kernel"), py::arg("saved"), py::arg("d_output"),
        py::kw_only(), py::arg("activation"), py::arg("initial_state"), py::arg("mask"), py::arg("input_scale"),
        py::arg("state_scale"), py::arg("go_backwards"), py::arg("return_sequences"), py::arg("zero_output_for_mask"),
        py::arg("d_final_state"), py::arg("d_kernel"), py::arg("d_recurrent_kernel"), py::arg("d_bias"), py::arg("need_dx"),
        py::arg("workspace"), py::arg("version"));
}

}  // namespace pyrnn
