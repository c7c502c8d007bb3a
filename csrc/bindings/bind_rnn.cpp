// rnn_forward and rnn_backward.
#include "arrays.hpp"

namespace pyrnn {

Cell cell_named(const std::string& name) {
    std::string names;
    for (int i = 0; i < kCellCount; ++i) {
        if (name == kCells[i].name) return static_cast<Cell>(i);
        names += (i ? ", '" : "'") + std::string(kCells[i].name) + "'";
    }
    throw py::value_error("cell must be one of " + names + ", got '" + name + "'");
}

template <class T>
void set_cell(Rnn<T>& p, const std::string& name, const py::array& kernel, const py::array& recurrent_kernel,
              const py::handle& bias, const std::string& activation, const py::object& recurrent_activation) {
    p.cell = cell_named(name);
    const CellInfo& cell = info(p.cell);
    const Index gates = cell.gates;
    require_rank(kernel, 2, "kernel", "(F, G * H)");
    require_rank(recurrent_kernel, 2, "recurrent_kernel", "(H, G * H)");
    const Index h = p.units = kernel.shape(1) / gates;
    require_positive(h, "units");
    const std::string times = gates == 1 ? "units)" : std::to_string(gates) + " * units)";
    p.kernel = pointer<T>(kernel, "kernel", {p.features, gates * h}, ("(features, " + times).c_str());
    p.recurrent_kernel = pointer<T>(recurrent_kernel, "recurrent_kernel", {h, gates * h}, ("(units, " + times).c_str());
    p.bias = cell.bias_rows == 2
                 ? pointer<T>(bias, "bias", {2, gates * h}, ("(2, " + times).c_str(), true)
                 : pointer<T>(bias, "bias", {gates * h}, gates == 1 ? "(units,)" : ("(" + times).c_str(), true);
    p.activation = activation_named(activation);
    if (gates > 1) {
        if (recurrent_activation.is_none()) throw py::type_error("recurrent_activation must be a name for " + name);
        if (!py::isinstance<py::str>(recurrent_activation))
            throw py::type_error("recurrent_activation must be a name, got " +
                                 std::string(py::str(py::type::of(recurrent_activation).attr("__name__"))));
        p.recurrent_activation = activation_named(recurrent_activation.cast<std::string>());
    } else if (!recurrent_activation.is_none()) {
        throw py::type_error("recurrent_activation must be None for " + name);
    }
}
template void set_cell(Rnn<float>&, const std::string&, const py::array&, const py::array&, const py::handle&,
                       const std::string&, const py::object&);
template void set_cell(Rnn<double>&, const std::string&, const py::array&, const py::array&, const py::handle&,
                       const std::string&, const py::object&);

namespace {

struct Options {
    std::string activation;
    py::object recurrent_activation, initial_state, mask, input_scale, state_scale;
    bool go_backwards, return_sequences, zero_output_for_mask;
    py::object checkpoint_steps, version;
};

// None, or the arrays of a sequence.
py::object states_or_none(const py::object& states, const char* name) {
    return states.is_none() ? states : tuple_of(states, name);
}

// The state number `which`, or None; `states` is None or a tuple of one array for each state of the cell.
py::object state_of(const py::object& states, std::size_t which, const CellInfo& cell, const char* name) {
    if (states.is_none()) return states;
    const py::tuple sequence = states;
    if (sequence.size() != static_cast<std::size_t>(cell.states))
        throw py::value_error(std::string(name) + " must hold " + std::to_string(cell.states) + " array(s) for " +
                              cell.name + ", got " + std::to_string(sequence.size()));
    if (which >= sequence.size()) return py::none();
    return sequence[which];
}

// Dropout factors: (batch, n) for all gates or (gates, batch, n).
template <class T>
const T* scale_of(const py::object& scale, const char* name, Index gates, Index batch, Index n, Index& copies) {
    copies = 1;
    if (scale.is_none()) return nullptr;
    if (array_of(scale, name).ndim() == 3) {
        copies = gates;
        return pointer<T>(scale, name, {gates, batch, n}, "(gates, batch, width)");
    }
    return pointer<T>(scale, name, {batch, n}, "(batch, width)");
}

template <class T>
Rnn<T> problem(const std::string& cell_name, const py::array& x, const py::array& kernel,
               const py::array& recurrent_kernel, const py::handle& bias, const Options& o) {
    Rnn<T> p{};
    require_rank(x, 3, "x", "(B, T, F)");
    const Index b = x.shape(0), t = x.shape(1), f = x.shape(2);
    require_positive(b, "the batch size of x");
    require_positive(t, "the number of time steps of x");
    require_positive(f, "the number of features of x");
    p.batch = b, p.steps = t, p.features = f;
    set_cell(p, cell_name, kernel, recurrent_kernel, bias, o.activation, o.recurrent_activation);
    const CellInfo& cell = info(p.cell);
    const Index gates = cell.gates, h = p.units;
    p.x = pointer<T>(x, "x", {b, t, f}, "(B, T, F)");
    const char* states = "(batch, units)";
    p.initial_state =
        pointer<T>(state_of(o.initial_state, 0, cell, "initial_state"), "initial_state", {b, h}, states, true);
    p.initial_carry =
        pointer<T>(state_of(o.initial_state, 1, cell, "initial_state"), "initial_state", {b, h}, states, true);
    p.input_scale = scale_of<T>(o.input_scale, "input_scale", gates, b, f, p.input_copies);
    p.state_scale = scale_of<T>(o.state_scale, "state_scale", gates, b, h, p.state_copies);
    p.mask = reinterpret_cast<const unsigned char*>(pointer<bool>(o.mask, "mask", {b, t}, "(batch, time)", true));
    p.backwards = o.go_backwards, p.sequences = o.return_sequences, p.zero_output_for_mask = o.zero_output_for_mask;
    if (!o.checkpoint_steps.is_none()) {
        p.checkpoint_steps = integer_of(o.checkpoint_steps, "checkpoint_steps");
        require_size(p.checkpoint_steps, "checkpoint_steps");
    }
    p.version = version_of(o.version);
    return p;
}

// The shapes of what training saves: states, gates, carry and z, or checkpoints; an empty shape for none.
struct SavedShapes { Shape states, gates, carry, z, checkpoints, carry_checkpoints; };
template <class T>
SavedShapes saved_shapes(const Rnn<T>& p) {
    const CellInfo& cell = info(p.cell);
    SavedShapes shapes;
    if (const Index count = checkpoint_count(p)) {
        shapes.checkpoints = {p.batch, count, p.units};
        if (cell.states == 2) shapes.carry_checkpoints = shapes.checkpoints;
        return shapes;
    }
    shapes.states = {p.batch, p.steps, p.units};
    if (cell.vectors > 1) shapes.gates = {gates_size(p)};
    if (cell.states == 2) shapes.carry = {carry_size(p)};
    if (keeps_preactivations(p)) shapes.z = {gates_size(p)};
    return shapes;
}

// The states of a cell as a tuple: (h,) or (h, c).
py::tuple states_tuple(const py::object& state, const py::object& carry) {
    if (carry.is_none()) return py::make_tuple(state);
    return py::make_tuple(state, carry);
}

template <class T>
py::tuple forward(const Rnn<T>& p, bool training, Workspace& workspace) {
    const Shape all{p.batch, p.steps, p.units}, one{p.batch, p.units};
    const CellInfo& cell = info(p.cell);
    const bool separate = !p.sequences || (p.mask && p.zero_output_for_mask);
    const SavedShapes shapes = training ? saved_shapes(p) : SavedShapes{};
    RnnSavedArrays<T> arrays{};
    T *output_data = nullptr, *final_data = nullptr, *carry_data = nullptr;
    const py::object states = new_array(all, !shapes.states.empty() || !separate, arrays.states, workspace);
    const py::object gates = new_array(shapes.gates, training, arrays.gates, workspace);
    const py::object carry = new_array(shapes.carry, training, arrays.carry, workspace);
    const py::object z = new_array(shapes.z, training, arrays.z, workspace);
    const py::object checkpoints = new_array(shapes.checkpoints, training, arrays.checkpoints, workspace);
    const py::object carry_checkpoints =
        new_array(shapes.carry_checkpoints, training, arrays.carry_checkpoints, workspace);
    const py::object output = new_array(p.sequences ? all : one, separate, output_data, workspace);
    const py::object final_state = new_array(one, true, final_data, workspace);
    const py::object final_carry = new_array(one, cell.states == 2, carry_data, workspace);
    {
        const WithoutGil release;
        Borrowed ws(workspace);
        rnn_forward(p, arrays, output_data, final_data, carry_data, *ws);
    }
    py::tuple saved;
    if (!shapes.checkpoints.empty()) saved = py::make_tuple(checkpoints, carry_checkpoints);
    else if (training) saved = py::make_tuple(states, gates, carry, z);
    return py::make_tuple(separate ? output : states, states_tuple(final_state, final_carry), saved);
}

template <class T>
T* saved_array(const py::tuple& saved, std::size_t which, const char* name, const Shape& shape, bool writable = false) {
    if (shape.empty()) return nullptr;
    return pointer<T>(saved[which], name, shape, "of what forward saved", false, writable);
}

template <class T>
py::tuple backward(const Rnn<T>& p, const py::tuple& saved, const py::object& d_output, const py::object& d_final_state,
                   const py::object& d_kernel, const py::object& d_recurrent_kernel, const py::object& d_bias,
                   bool need_dx, Workspace& workspace) {
    const CellInfo& cell = info(p.cell);
    const Index width = cell.gates * p.units;
    const Shape all{p.batch, p.steps, p.units}, one{p.batch, p.units};
    const SavedShapes shapes = saved_shapes(p);
    const bool checkpointed = !shapes.checkpoints.empty();
    if (saved.size() != (checkpointed ? 2 : 4))
        throw py::value_error("saved must be what rnn_forward(training=True) returned");
    RnnSavedArrays<T> arrays{};
    if (checkpointed) {
        arrays.checkpoints = saved_array<T>(saved, 0, "saved[0]", shapes.checkpoints);
        arrays.carry_checkpoints = saved_array<T>(saved, 1, "saved[1]", shapes.carry_checkpoints);
    } else {
        arrays.states = saved_array<T>(saved, 0, "saved[0]", shapes.states);
        arrays.gates = saved_array<T>(saved, 1, "saved[1]", shapes.gates, true);
        arrays.carry = saved_array<T>(saved, 2, "saved[2]", shapes.carry);
        arrays.z = saved_array<T>(saved, 3, "saved[3]", shapes.z);
    }
    RnnGradients<T> g{};
    g.d_output = p.sequences ? pointer<T>(d_output, "d_output", all, "(batch, time, units)", true)
                             : pointer<T>(d_output, "d_output", one, "(batch, units)", true);
    g.d_final_state =
        pointer<T>(state_of(d_final_state, 0, cell, "d_final_state"), "d_final_state", one, "(batch, units)", true);
    g.d_final_carry =
        pointer<T>(state_of(d_final_state, 1, cell, "d_final_state"), "d_final_state", one, "(batch, units)", true);
    g.d_kernel = output<T>(d_kernel, "d_kernel", {p.features, width}, "of kernel");
    g.d_recurrent_kernel = output<T>(d_recurrent_kernel, "d_recurrent_kernel", {p.units, width}, "of recurrent_kernel");
    g.d_bias = output<T>(d_bias, "d_bias", cell.bias_rows == 2 ? Shape{2, width} : Shape{width}, "of bias", true);
    const py::object dx = new_array({p.batch, p.steps, p.features}, need_dx, g.dx, workspace);
    const bool begins = p.initial_state || p.initial_carry;  // from given states, whose gradients are returned
    const py::object d_initial = new_array(one, begins, g.d_initial_state, workspace);
    const py::object d_carry = new_array(one, begins && cell.states == 2, g.d_initial_carry, workspace);
    {
        const WithoutGil release;
        Borrowed ws(workspace);
        rnn_backward(p, arrays, g, *ws);
    }
    if (!begins) return py::make_tuple(dx, py::none());
    return py::make_tuple(dx, states_tuple(d_initial, d_carry));
}

}  // namespace

void bind_rnn(py::module_& m) {
    m.def(
        "rnn_forward",
        [](const std::string& cell, const py::object& x, const py::object& kernel, const py::object& recurrent_kernel,
           const py::object& bias, const std::string& activation, py::object recurrent_activation,
           py::object initial_state, py::object mask, py::object input_scale, py::object state_scale, bool go_backwards,
           bool return_sequences, bool zero_output_for_mask, py::object checkpoint_steps, bool training,
           Workspace& workspace, py::object version) {
            const py::array xa = array_of(x, "x"), ka = array_of(kernel, "kernel");
            const py::array ua = array_of(recurrent_kernel, "recurrent_kernel");
            const Options o{activation,
                            recurrent_activation,
                            states_or_none(initial_state, "initial_state"),
                            mask,
                            input_scale,
                            state_scale,
                            go_backwards,
                            return_sequences,
                            zero_output_for_mask,
                            checkpoint_steps,
                            version};
            return is_double(xa, "x") ? forward(problem<double>(cell, xa, ka, ua, bias, o), training, workspace)
                                      : forward(problem<float>(cell, xa, ka, ua, bias, o), training, workspace);
        },
        py::arg("cell"), py::arg("x"), py::arg("kernel"), py::arg("recurrent_kernel"), py::arg("bias"),
        py::arg("activation"), py::arg("recurrent_activation"), py::arg("initial_state"), py::arg("mask"),
        py::arg("input_scale"), py::arg("state_scale"), py::arg("go_backwards"), py::arg("return_sequences"),
        py::arg("zero_output_for_mask"), py::arg("checkpoint_steps"), py::arg("training"), py::arg("workspace"),
        py::arg("version"));
    m.def(
        "rnn_backward",
        [](const std::string& cell, const py::object& x, const py::object& kernel, const py::object& recurrent_kernel,
           const py::object& bias, const py::object& saved, const py::object& d_output, const std::string& activation,
           py::object recurrent_activation, py::object initial_state, py::object mask, py::object input_scale,
           py::object state_scale, bool go_backwards, bool return_sequences, bool zero_output_for_mask,
           py::object checkpoint_steps, py::object d_final_state, const py::object& d_kernel,
           const py::object& d_recurrent_kernel, const py::object& d_bias, bool need_dx, Workspace& workspace,
           py::object version) {
            const py::array xa = array_of(x, "x"), ka = array_of(kernel, "kernel");
            const py::array ua = array_of(recurrent_kernel, "recurrent_kernel");
            const Options o{activation,
                            recurrent_activation,
                            states_or_none(initial_state, "initial_state"),
                            mask,
                            input_scale,
                            state_scale,
                            go_backwards,
                            return_sequences,
                            zero_output_for_mask,
                            checkpoint_steps,
                            version};
            const py::tuple arrays = tuple_of(saved, "saved");
            d_final_state = states_or_none(d_final_state, "d_final_state");
            return is_double(xa, "x")
                       ? backward(problem<double>(cell, xa, ka, ua, bias, o), arrays, d_output, d_final_state, d_kernel,
                                  d_recurrent_kernel, d_bias, need_dx, workspace)
                       : backward(problem<float>(cell, xa, ka, ua, bias, o), arrays, d_output, d_final_state, d_kernel,
                                  d_recurrent_kernel, d_bias, need_dx, workspace);
        },
        py::arg("cell"), py::arg("x"), py::arg("kernel"), py::arg("recurrent_kernel"), py::arg("bias"),
        py::arg("saved"), py::arg("d_output"), py::arg("activation"), py::arg("recurrent_activation"),
        py::arg("initial_state"), py::arg("mask"), py::arg("input_scale"), py::arg("state_scale"),
        py::arg("go_backwards"), py::arg("return_sequences"), py::arg("zero_output_for_mask"),
        py::arg("checkpoint_steps"), py::arg("d_final_state"), py::arg("d_kernel"), py::arg("d_recurrent_kernel"),
        py::arg("d_bias"), py::arg("need_dx"), py::arg("workspace"), py::arg("version"));
}

}  // namespace pyrnn
