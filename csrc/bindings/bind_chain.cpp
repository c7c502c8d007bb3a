// Chain: a training step of layers that run one after the other, in one call.
#include "arrays.hpp"

#include "../runtime/chain.hpp"

namespace pyrnn {
namespace {

template <class T>
class ChainOf {
public:
    void add_recurrent(const std::string& cell, const py::object& kernel, const py::object& recurrent_kernel,
                       const py::object& bias, const std::string& activation, const py::object& recurrent_activation,
                       bool go_backwards, bool return_sequences, const py::object& d_kernel,
                       const py::object& d_recurrent_kernel, const py::object& d_bias, Workspace& workspace) {
        const py::array k = array_of(kernel, "kernel"), u = array_of(recurrent_kernel, "recurrent_kernel");
        require_rank(k, 2, "kernel", "(F, G * H)");
        Rnn<T> p{};
        p.features = k.shape(0);
        require_positive(p.features, "features");
        p.backwards = go_backwards, p.sequences = return_sequences, p.input_copies = p.state_copies = 1;
        set_cell(p, cell, k, u, bias, activation, recurrent_activation);
        const Index width = info(p.cell).gates * p.units;
        const Shape of_bias = info(p.cell).bias_rows == 2 ? Shape{2, width} : Shape{width};
        T* const dk = output<T>(d_kernel, "d_kernel", {p.features, width}, "of kernel");
        T* const du = output<T>(d_recurrent_kernel, "d_recurrent_kernel", {p.units, width}, "of recurrent_kernel");
        T* const db = gradient_of_bias(d_bias, bias, of_bias);
        const Turn turn(chain_);
        if (!turn) throw std::runtime_error("layers cannot be added while the chain runs");
        chain_.add_recurrent(p, dk, du, db, workspace);
        keep({kernel, recurrent_kernel, bias, d_kernel, d_recurrent_kernel, d_bias});
    }

    void add_dense(const py::object& kernel, const py::object& bias, const std::string& activation,
                   const py::object& d_kernel, const py::object& d_bias, Workspace& workspace) {
        const py::array k = array_of(kernel, "kernel");
        require_rank(k, 2, "kernel", "(F, H)");
        const Index features = k.shape(0), units = k.shape(1);
        require_positive(features, "features");
        require_positive(units, "units");
        const T* const weights = pointer<T>(k, "kernel", {features, units}, "(features, units)");
        const T* const shift = pointer<T>(bias, "bias", {units}, "(units,)", true);
        T* const dk = output<T>(d_kernel, "d_kernel", {features, units}, "of kernel");
        T* const db = gradient_of_bias(d_bias, bias, {units});
        const Activation kind = activation_named(activation);
        const Turn turn(chain_);
        if (!turn) throw std::runtime_error("layers cannot be added while the chain runs");
        chain_.add_dense(weights, shift, features, units, kind, dk, db, workspace);
        keep({kernel, bias, d_kernel, d_bias});
    }

    py::object squared_error(const py::object& x, const py::object& y) {
        const py::array xa = array_of(x, "x");
        if (xa.ndim() != 2 && xa.ndim() != 3)
            throw py::value_error("x must have shape (B, T, F) or (B, F), got " + text(shape_of(xa)));
        const bool has_steps = xa.ndim() == 3;
        const Extent extent{xa.shape(0), has_steps ? xa.shape(1) : 0, xa.shape(xa.ndim() - 1)};
        require_positive(extent.batch, "the batch size of x");
        if (has_steps) require_positive(extent.steps, "the number of time steps of x");
        const Turn turn(chain_);
        if (!turn) return py::none();
        if (!chain_.size()) throw py::value_error("the chain has no layers");
        const Extent result = chain_.output(extent);
        const Shape shape =
            result.steps ? Shape{result.batch, result.steps, result.width} : Shape{result.batch, result.width};
        const T *const in = data_if_like(xa, shape_of(xa)), *const targets = data_if_like(y, shape);
        if (!in || !targets) return py::none();
        T* out = nullptr;
        const py::object y_pred = new_array(shape, true, out, results_);
        double error = 0;
        {
            const WithoutGil release;
            error = chain_.squared_error(extent, in, targets, out);
        }
        return py::make_tuple(error, y_pred);
    }

private:
    // False while another thread uses the chain, or the call that a signal handler has interrupted.
    class Turn {
    public:
        explicit Turn(Chain<T>& chain) : chain_(chain), is_ours_(chain.claim()) {}
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        ~Turn() {
            if (is_ours_) chain_.release();
        }
        explicit operator bool() const { return is_ours_; }

    private:
        Chain<T>& chain_;
        bool is_ours_;
    };

    // The data of an array of this shape, type T and in C order; null for anything else.
    static const T* data_if_like(const py::object& object, const Shape& shape) {
        if (!py::isinstance<py::array>(object)) return nullptr;
        const py::array array = py::reinterpret_borrow<py::array>(object);
        const bool fits = !(shape_of(array) != shape) && has_type<T>(array) && (array.flags() & py::array::c_style);
        return fits && is_aligned(array) ? static_cast<const T*>(array.data()) : nullptr;
    }
    static T* gradient_of_bias(const py::object& gradient, const py::object& bias, const Shape& shape) {
        if (gradient.is_none() != bias.is_none())
            throw py::value_error("d_bias must be None where bias is, and only there");
        return output<T>(gradient, "d_bias", shape, "of bias", true);
    }
    void keep(std::initializer_list<py::object> arrays) { arrays_.insert(arrays_.end(), arrays); }

    Chain<T> chain_;
    Workspace results_;
    std::vector<py::object> arrays_;
};

}  // namespace
}  // namespace pyrnn

template <class T>
class pybind11::detail::type_caster<pyrnn::ChainOf<T>> : public pyrnn::MadeCaster<pyrnn::ChainOf<T>> {};

namespace pyrnn {
namespace {

template <class T>
void bind_chain_of(py::module_& m, const char* name) {
    py::class_<ChainOf<T>>(m, name)
        .def(py::init<>())
        .def("add_recurrent", &ChainOf<T>::add_recurrent, py::arg("cell"), py::arg("kernel"),
             py::arg("recurrent_kernel"), py::arg("bias"), py::arg("activation"), py::arg("recurrent_activation"),
             py::arg("go_backwards"), py::arg("return_sequences"), py::arg("d_kernel"), py::arg("d_recurrent_kernel"),
             py::arg("d_bias"), py::arg("workspace"), py::keep_alive<1, 13>())
        .def("add_dense", &ChainOf<T>::add_dense, py::arg("kernel"), py::arg("bias"), py::arg("activation"),
             py::arg("d_kernel"), py::arg("d_bias"), py::arg("workspace"), py::keep_alive<1, 7>())
        .def("squared_error", &ChainOf<T>::squared_error, py::arg("x"), py::arg("y"));
}

}  // namespace

void bind_chain(py::module_& m) {
    bind_chain_of<float>(m, "Chain32");
    bind_chain_of<double>(m, "Chain64");
}

}  // namespace pyrnn
