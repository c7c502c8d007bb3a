// The extension module pyrnn._core: what it exports and the facts about this build.
#include <algorithm>
#include <atomic>

#include "../runtime/dispatch.hpp"
#include "../runtime/measure.hpp"
#include "../runtime/parallel.hpp"
#include "../runtime/rehearsal.hpp"
#include "../system/processor.hpp"
#include "../system/system.hpp"
#include "arrays.hpp"

namespace pyrnn {

Activation activation_named(const std::string& name) {
    for (int i = 0; i < static_cast<int>(Activation::kCount); ++i)
        if (name == kActivations[i].name) return static_cast<Activation>(i);
    if (name == "glu")
        throw py::value_error("activation 'glu' halves its last axis: use it as a layer of its own, Activation('glu')");
    throw py::value_error("activation must be the name of an activation, got '" + name + "'");
}

std::int64_t version_of(const py::object& version) {
    return version.is_none() ? Workspace::kNoVersion : integer_of(version, "version");
}

namespace {

// The sizes of a new array, whose numbers must fit into memory.
Shape sizes_of(const py::tuple& sizes, Index bytes) {
    std::vector<Index> shape;
    for (const py::handle size : sizes) shape.push_back(size.cast<Index>());
    if (shape.size() > 64)
        throw py::value_error("shape must have at most 64 axes, got " + std::to_string(shape.size()));
    for (const Index n : shape)
        if (n < 0 || __builtin_mul_overflow(bytes, n, &bytes))
            throw py::value_error("shape must hold sizes of at least 0 that fit into memory, got " + std::to_string(n));
    return Shape(shape.begin(), shape.end());
}

// Python runs signal handlers only in its main thread, so other threads need not take the GIL.
std::atomic<unsigned long> main_thread{0};

void watch_signals() {
    main_thread = py::module_::import("threading").attr("main_thread")().attr("ident").cast<unsigned long>();
    // A thread that forks is the main thread of the child.
    call_after_fork([] { main_thread = PyThread_get_thread_ident(); });
    set_signal_check([]() noexcept {
        if (PyThread_get_thread_ident() != main_thread) return false;
        const PyGILState_STATE state = PyGILState_Ensure();
        const bool stops = PyErr_CheckSignals() != 0;
        PyGILState_Release(state);
        return stops;
    });
}

}  // namespace
}  // namespace pyrnn

// Nothing here relies on the GIL: what threads share is locked (pool, workspaces, recyclers, streams) or atomic, and
// arrays are the callers', who must not write them in another thread meanwhile, as everywhere in NumPy.
// docs/dev/testing.md
PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
    using namespace pyrnn;
    choose_table();
    m.doc() = "The compiled core of pyrnn; signatures and shapes are in _core.pyi.";
    py::class_<Workspace>(m, "Workspace")
        .def(py::init<>())
        .def(
            "array",
            [](const Workspace& workspace, const py::tuple& sizes, const std::string& dtype) -> py::object {
                const Shape shape = sizes_of(sizes, dtype == "float32" ? 4 : 8);
                float* floats = nullptr;
                double* doubles = nullptr;
                if (dtype == "float32") return result_array(shape, true, floats, workspace);
                if (dtype == "float64") return result_array(shape, true, doubles, workspace);
                throw py::value_error("dtype must be 'float32' or 'float64', got '" + dtype + "'");
            },
            py::arg("shape"), py::arg("dtype"));
    watch_signals();
    py::register_exception_translator([](std::exception_ptr error) {
        try {
            if (error) std::rethrow_exception(error);
        } catch (const Interrupted&) {  // by a signal, whose exception Python has set
        }
    });
    bind_rnn(m);
    bind_conv(m);
    bind_layer_norm(m);
    bind_attention(m);
    bind_pointwise(m);
    bind_stream(m);
    bind_chain(m);
    m.def(
        "set_num_threads",
        [](int count) {
            require_positive(count, "num_threads");
            const WithoutGil release;
            set_num_threads(std::min(count, 256));
        },
        py::arg("count"));
    m.def("get_num_threads", &num_threads);
    m.def("usable_cores", &usable_cores, py::arg("root"));
    m.def("processor_bits", [] {
        const ProcessorBits bits = processor_bits();
        return py::make_tuple(bits.leaf_1_ecx, bits.leaf_7_ebx, bits.extended_1_ecx, bits.saved);
    });
    m.def(
        "x86_level",
        [](std::uint32_t leaf_1_ecx, std::uint32_t leaf_7_ebx, std::uint32_t extended_1_ecx, std::uint32_t saved) {
            return x86_level({leaf_1_ecx, leaf_7_ebx, extended_1_ecx, saved});
        },
        py::arg("leaf_1_ecx"), py::arg("leaf_7_ebx"), py::arg("extended_1_ecx"), py::arg("saved"));
    m.def("isa", [] { return table().isa; });
    m.def("available_isas", [] {
        py::list names;
        for (const KernelTable* t : available_tables()) names.append(t->isa);
        return names;
    });
    m.def("compiler", &kernel_compiler);
    m.def(
        "read_bandwidth",
        [](Index bytes) {
            if (bytes < 1 || bytes > kMostReadBytes)
                throw py::value_error("bytes must lie in 1.." + std::to_string(kMostReadBytes) + ", got " +
                                      std::to_string(bytes));
            const WithoutGil release;
            return read_bandwidth(bytes);
        },
        py::arg("bytes"));
    m.def(
        "fma_peak",
        [](const std::string& dtype) {
            if (dtype != "float32" && dtype != "float64")
                throw py::value_error("dtype must be 'float32' or 'float64', got '" + dtype + "'");
            const WithoutGil release;
            return dtype == "float32" ? fma_peak<float>() : fma_peak<double>();
        },
        py::arg("dtype"));
    m.def("call_cost", [] {
        const WithoutGil release;
        return call_cost();
    });
    m.def(
        "rehearse",
        [](bool on) {
            const Rehearsed rehearsed = rehearse(on);
            return py::make_tuple(rehearsed.calls, rehearsed.rounds, rehearsed.alone, rehearsed.together);
        },
        py::arg("on"));
}
