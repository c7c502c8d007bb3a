// Stream: a stack of layers, one time step per call.
#include "arrays.hpp"

#include "../runtime/stream.hpp"

#include <mutex>

namespace pyrnn {
namespace {

// With at least this many rows, a step takes long enough to let other Python threads run meanwhile.
constexpr Index kLongRows = 64;

// Lets one Python thread at a time use a stream. A second thread waits without the GIL, since the first may need it,
// and takes the lock only once it has the GIL: a thread that never gets the GIL back (gil.hpp) must not hold the lock.
// The same thread may enter again, from Python code that runs when an array is created (a finalizer). A call that keeps
// the GIL to its end needs no lock.
#if defined(Py_GIL_DISABLED)
constexpr bool kHasGil = false;
#else
constexpr bool kHasGil = true;
#endif
class Turn {
public:
    explicit Turn(std::recursive_mutex& mutex, bool is_needed = true) {
        if (!is_needed) return;
        lock_ = std::unique_lock<std::recursive_mutex>(mutex, std::try_to_lock);
        while (!lock_.owns_lock()) {
            {
                const WithoutGil release;
                const std::lock_guard<std::recursive_mutex> wait(mutex);
            }
            lock_.try_lock();
        }
    }

private:
    std::unique_lock<std::recursive_mutex> lock_;
};

Distribution distribution_named(const std::string& name) {
    for (int i = 0; i < static_cast<int>(Distribution::kCount); ++i)
        if (name == kDistributions[i].name) return static_cast<Distribution>(i);
    throw py::value_error("distribution must be point, gaussian, gaussian_spread, student or negative_binomial, got '" +
                          name + "'");
}

template <class T>
class StreamOf {
public:
    StreamOf(Index batch, Index features) : stream_(batch, features), features_(features) {
        require_size(batch, "batch");
        require_size(features, "features");
        require_room(features);
    }

    void add_recurrent(const std::string& cell, const py::object& kernel, const py::object& recurrent_kernel,
                       const py::object& bias, const std::string& activation, const py::object& recurrent_activation) {
        const Turn turn(mutex_);
        require_not_started();
        Rnn<T> p{};
        p.batch = stream_.batch(), p.steps = 1, p.features = stream_.width();
        p.version = Workspace::kNoVersion;
        set_cell(p, cell, array_of(kernel, "kernel"), array_of(recurrent_kernel, "recurrent_kernel"), bias, activation,
                 recurrent_activation);
        require_room(p.units);
        stream_.add_recurrent(p);
    }

    void add_dense(const py::object& kernel, const py::object& bias, const std::string& activation) {
        const Turn turn(mutex_);
        require_not_started();
        const py::array k = array_of(kernel, "kernel");
        require_rank(k, 2, "kernel", "(F, H)");
        const Index units = k.shape(1);
        require_positive(units, "units");
        require_room(units);
        stream_.add_dense(pointer<T>(k, "kernel", {stream_.width(), units}, "(features, units)"),
                          pointer<T>(bias, "bias", {units}, "(units,)", true), units, activation_named(activation));
    }

    void add_activation(const std::string& activation) {
        const Turn turn(mutex_);
        require_not_started();
        stream_.add_activation(activation_named(activation));
    }

    void add_layer_norm(const py::object& gamma, const py::object& beta, double epsilon) {
        const Turn turn(mutex_);
        require_not_started();
        const Shape shape{stream_.width()};
        stream_.add_layer_norm(pointer<T>(gamma, "gamma", shape, "(features,)", true),
                               pointer<T>(beta, "beta", shape, "(features,)", true), static_cast<T>(epsilon));
    }

    py::object step(const py::object& x) {
        py::array held;  // keeps a converted array alive
        const T* in = input(x, held);
        const bool is_long = stream_.batch() >= kLongRows;
        if (!is_long && may_reuse_output()) {
            stream_.step(in);
            return output_;
        }
        py::array_t<T> y;
        {
            const Turn turn(mutex_);
            y = output();
            if (!is_long) {
                stream_.set_output(data_of(y));
                stream_.step(in);
                return std::move(y);
            }
        }
        T* const out = data_of(y);
        {
            const WithoutGil release;
            const std::lock_guard<std::recursive_mutex> lock(mutex_);
            stream_.set_output(out);
            stream_.step(in);
        }
        return std::move(y);
    }

    py::object sample(const py::object& inputs, const py::object& origin, const py::object& unit,
                      const py::object& offset, const py::object& base, const py::object& width,
                      const std::string& distribution, const py::object& paths, const py::object& column,
                      const py::object& seed) {
        const py::array x = array_of(inputs, "inputs");
        require_rank(x, 3, "inputs", "(batch, steps, features)");
        const Index batch = stream_.batch();
        Paths<T> p{};
        p.features = features_, p.steps = x.shape(1), p.paths = integer_of(paths, "paths");
        p.column = integer_of(column, "column"), p.distribution = distribution_named(distribution);
        p.seed = static_cast<std::uint64_t>(integer_of(seed, "seed"));
        p.inputs = pointer<T>(x, "inputs", {batch, p.steps, features_}, "(batch, steps, features)");
        p.origin = pointer<T>(origin, "origin", {batch}, "(batch,)");
        p.unit = pointer<T>(unit, "unit", {batch}, "(batch,)");
        const Index outputs = kDistributions[static_cast<int>(p.distribution)].outputs;
        p.offset = pointer<T>(offset, "offset", {batch, p.steps, outputs}, "(batch, steps, outputs)", true);
        p.base = pointer<T>(base, "base", {batch, p.steps}, "(batch, steps)");
        p.width = pointer<T>(width, "width", {batch, p.steps}, "(batch, steps)");
        require_size(p.steps, "steps");
        require_size(p.paths, "paths");
        if (p.column < 0 || p.column >= features_)
            throw py::value_error("column must lie in 0.." + std::to_string(features_ - 1) + ", got " +
                                  std::to_string(p.column));
        for (Index b = 0; b < batch; ++b)
            if (!std::isfinite(p.origin[b]) || !std::isfinite(p.unit[b]) || p.unit[b] <= 0)
                throw py::value_error("origin and unit must be finite and unit positive, got " +
                                      std::to_string(p.origin[b]) + " and " + std::to_string(p.unit[b]));
        for (Index i = 0; i < batch * p.steps; ++i)
            if (!std::isfinite(p.base[i]) || !std::isfinite(p.width[i]) || p.width[i] <= 0)
                throw py::value_error("base and width must be finite and width positive, got " +
                                      std::to_string(p.base[i]) + " and " + std::to_string(p.width[i]));
        constexpr Index kMost = Index{1} << 40;
        if (p.steps > kMost / batch / p.paths)
            throw py::value_error("paths must be at most " + std::to_string(kMost / batch / p.steps) + ", got " +
                                  std::to_string(p.paths));
        py::array_t<T> values(Shape{batch, p.paths, p.steps});
        T* const out = data_of(values);
        {
            const WithoutGil release;
            const std::lock_guard<std::recursive_mutex> lock(mutex_);
            require_outputs(p.distribution);  // here, since another thread may add a layer until then
            stream_.sample(p, out);
        }
        return std::move(values);
    }

    py::list states() const {
        const Turn turn(mutex_);
        py::list arrays;
        for (Index i = 0; i < stream_.state_count(); ++i) {
            py::array_t<T> state(Shape{stream_.batch(), stream_.state_units(i)});
            stream_.read_state(i, data_of(state));
            arrays.append(state);
        }
        return arrays;
    }

    void set_states(const py::object& states) {
        const py::tuple arrays = tuple_of(states, "states");
        const Turn turn(mutex_);
        if (static_cast<Index>(arrays.size()) != stream_.state_count())
            throw py::value_error("state must hold " + std::to_string(stream_.state_count()) + " array(s), got " +
                                  std::to_string(arrays.size()));
        std::vector<const T*> data;
        data.reserve(arrays.size());
        for (Index i = 0; i < stream_.state_count(); ++i)
            data.push_back(pointer<T>(arrays[static_cast<std::size_t>(i)], "state",
                                      {stream_.batch(), stream_.state_units(i)}, "(batch, units)"));
        for (Index i = 0; i < stream_.state_count(); ++i) stream_.write_state(i, data[static_cast<std::size_t>(i)]);
    }

    void reset(const py::object& indices) {
        std::vector<Index> rows;
        for (const py::handle row : tuple_of(indices, "rows")) rows.push_back(integer_of(row, "rows"));
        for (const Index row : rows)
            if (row < 0 || row >= stream_.batch())
                throw py::index_error("rows must lie in 0.." + std::to_string(stream_.batch() - 1) + ", got " +
                                      std::to_string(row));
        const Turn turn(mutex_);
        for (const Index row : rows) stream_.clear_row(row);
    }

private:
    // The data of x if it is C-contiguous and of the right type, or else of such a copy.
    const T* input(const py::object& x, py::array& held) {
        const bool is_array = py::isinstance<py::array>(x);
        if (is_array) held = py::reinterpret_borrow<py::array>(x);
        if (!is_array || held.dtype().num() != py::dtype::of<T>().num() || held.dtype().byteorder() != '=' ||
            !(held.flags() & py::array::c_style) || !is_aligned(held))
            held = converted(x);
        const bool row = held.ndim() == 1 && stream_.batch() == 1 && held.shape(0) == features_;
        if (!row && !(held.ndim() == 2 && held.shape(0) == stream_.batch() && held.shape(1) == features_))
            throw py::value_error("x must have shape (batch, features) = " + text({stream_.batch(), features_}) +
                                  ", got " + text(shape_of(held)));
        return static_cast<const T*>(held.data());
    }

    static py::array converted(const py::object& x) {
        const py::array source = py::array::ensure(x);
        if (!source || std::string("fiub").find(source.dtype().kind()) == std::string::npos)
            throw py::type_error("x must hold numbers, got " +
                                 (source ? "dtype " + std::string(py::str(source.dtype()))
                                         : std::string(py::str(py::type::of(x).attr("__name__")))));
        constexpr int kAligned = py::detail::npy_api::NPY_ARRAY_ALIGNED_;
        const py::array array = py::array_t<T, py::array::c_style | py::array::forcecast | kAligned>::ensure(source);
        if (!array) throw py::value_error("x could not be converted");
        return array;
    }

    // Reuses the array of the last step if nothing else holds it. Without a GIL, other threads may take a reference at
    // any moment.
    bool may_reuse_output() const { return kHasGil && output_ && output_.ref_count() == 1; }
    py::array_t<T> output() {
        if (stream_.empty()) throw py::value_error("the stream has no layers");
        if (!may_reuse_output()) output_ = py::array_t<T>(Shape{stream_.batch(), stream_.width()});
        return py::reinterpret_borrow<py::array_t<T>>(output_);
    }
    void require_room(Index width) const {
        constexpr Index kMost = Index{1} << 40;
        if (width > kMost / stream_.batch())
            throw py::value_error("batch must be at most " + std::to_string(kMost / width) + " for rows of " +
                                  std::to_string(width) + " numbers, got " + std::to_string(stream_.batch()));
    }
    void require_outputs(Distribution distribution) const {
        if (stream_.empty()) throw py::value_error("the stream has no layers");
        const DistributionInfo& info = kDistributions[static_cast<int>(distribution)];
        if (stream_.width() != info.outputs)
            throw py::value_error("distribution " + std::string(info.name) + " needs " + std::to_string(info.outputs) +
                                  " output(s) of the last layer, got " + std::to_string(stream_.width()));
    }
    void require_not_started() const {
        if (output_) throw py::value_error("layers must be added before the first step");
    }

    mutable std::recursive_mutex mutex_;
    Stream<T> stream_;
    Index features_;
    py::object output_;
};

}  // namespace
}  // namespace pyrnn

template <class T>
class pybind11::detail::type_caster<pyrnn::StreamOf<T>> : public pyrnn::MadeCaster<pyrnn::StreamOf<T>> {};

namespace pyrnn {
namespace {

template <class T>
void bind(py::module_& m, const char* name) {
    py::class_<StreamOf<T>>(m, name)
        .def(py::init<Index, Index>(), py::arg("batch"), py::arg("features"))
        .def("add_recurrent", &StreamOf<T>::add_recurrent, py::arg("cell"), py::arg("kernel"),
             py::arg("recurrent_kernel"), py::arg("bias"), py::arg("activation"), py::arg("recurrent_activation"))
        .def("add_dense", &StreamOf<T>::add_dense, py::arg("kernel"), py::arg("bias"), py::arg("activation"))
        .def("add_activation", &StreamOf<T>::add_activation, py::arg("activation"))
        .def("add_layer_norm", &StreamOf<T>::add_layer_norm, py::arg("gamma"), py::arg("beta"), py::arg("epsilon"))
        .def("step", &StreamOf<T>::step, py::arg("x"))
        .def("sample", &StreamOf<T>::sample, py::arg("inputs"), py::arg("origin"), py::arg("unit"), py::arg("offset"),
             py::arg("base"), py::arg("width"), py::arg("distribution"), py::arg("paths"), py::arg("column"),
             py::arg("seed"))
        .def("states", &StreamOf<T>::states)
        .def("set_states", &StreamOf<T>::set_states, py::arg("states"))
        .def("reset", &StreamOf<T>::reset, py::arg("rows"));
}

}  // namespace

void bind_stream(py::module_& m) {
    bind<float>(m, "Stream32");
    bind<double>(m, "Stream64");
}

}  // namespace pyrnn
