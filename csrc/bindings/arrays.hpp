// NumPy arrays to checked pointers. Every shape is checked here before any size is read; nothing is converted or
// copied.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

#include "../runtime/operations.hpp"
#include "gil.hpp"
#include "made.hpp"

template <>
class pybind11::detail::type_caster<pyrnn::Workspace> : public pyrnn::MadeCaster<pyrnn::Workspace> {};

namespace pyrnn {

namespace py = pybind11;

// The lengths of an array's axes, without an allocation: a training step checks some thirty arrays.
class Shape {
public:
    Shape() = default;
    Shape(const Shape& other) : Shape(other.begin(), other.end()) {}
    Shape& operator=(const Shape& other) {
        if (this != &other) std::copy(other.begin(), other.end(), lengths_);
        size_ = other.size_;
        return *this;
    }
    Shape(std::initializer_list<Index> lengths) : Shape(lengths.begin(), lengths.end()) {}
    template <class Iterator>
    Shape(Iterator first, Iterator last) : size_(static_cast<std::size_t>(last - first)) {
        std::copy(first, last, lengths_);
    }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    Index& operator[](std::size_t axis) { return lengths_[axis]; }
    Index operator[](std::size_t axis) const { return lengths_[axis]; }
    Index& back() { return lengths_[size_ - 1]; }
    Index back() const { return lengths_[size_ - 1]; }
    const Index* begin() const { return lengths_; }
    const Index* end() const { return lengths_ + size_; }
    bool operator!=(const Shape& other) const { return !std::equal(begin(), end(), other.begin(), other.end()); }

private:
    static constexpr std::size_t kMostAxes = 64;  // NumPy's limit
    Index lengths_[kMostAxes];
    std::size_t size_ = 0;
};

inline std::string text(const Shape& shape) {
    std::string s = "(";
    for (std::size_t i = 0; i < shape.size(); ++i) s += (i ? ", " : "") + std::to_string(shape[i]);
    return s + (shape.size() == 1 ? ",)" : ")");
}

inline py::array array_of(const py::handle& object, const char* name) {
    if (!py::isinstance<py::array>(object))
        throw py::type_error(std::string(name) + " must be a numpy array, got " +
                             std::string(py::str(py::type::of(object).attr("__name__"))));
    return py::reinterpret_borrow<py::array>(object);
}

inline Shape shape_of(const py::array& a) { return Shape(a.shape(), a.shape() + a.ndim()); }

inline void require_rank(const py::array& a, Index rank, const char* name, const char* letters) {
    if (a.ndim() != rank)
        throw py::value_error(std::string(name) + " must have shape " + letters + ", got " + text(shape_of(a)));
}

inline void require_positive(Index value, const char* name) {
    if (value < 1) throw py::value_error(std::string(name) + " must be at least 1, got " + std::to_string(value));
}

// The limit for numbers that are not sizes of an array: the product of two does not overflow.
inline void require_size(Index value, const char* name) {
    constexpr Index kLargest = (Index{1} << 31) - 1;
    require_positive(value, name);
    if (value > kLargest)
        throw py::value_error(std::string(name) + " must be at most " + std::to_string(kLargest) + ", got " +
                              std::to_string(value));
}

// The arrays of a sequence, kept alive by the tuple: a sequence may create them at each access, or change meanwhile.
inline py::tuple tuple_of(const py::handle& object, const char* name) {
    if (!PySequence_Check(object.ptr()))
        throw py::type_error(std::string(name) + " must be a sequence of arrays, got " +
                             std::string(py::str(py::type::of(object).attr("__name__"))));
    return py::tuple(py::reinterpret_borrow<py::object>(object));
}

inline std::int64_t integer_of(const py::handle& object, const char* name) {
    if (!PyIndex_Check(object.ptr()))
        throw py::type_error(std::string(name) + " must be an integer, got " +
                             std::string(py::str(py::type::of(object).attr("__name__"))));
    const py::object whole = py::reinterpret_steal<py::object>(PyNumber_Index(object.ptr()));
    if (!whole) throw py::error_already_set();
    int overflow = 0;
    const std::int64_t value = PyLong_AsLongLongAndOverflow(whole.ptr(), &overflow);
    if (overflow)
        throw py::value_error(std::string(name) + " must fit into 64 bits, got " + std::string(py::str(whole)));
    return value;
}

inline bool is_aligned(const py::array& a) { return (a.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0; }

template <class T>
bool has_type(const py::array& a) {
    const py::dtype actual = a.dtype(), wanted = py::dtype::of<T>();
    return actual.is(wanted) || actual.equal(wanted);  // nearly all arrays of a type share one object
}

inline bool is_double(const py::array& a, const char* name) {
    if (has_type<float>(a)) return false;
    if (has_type<double>(a)) return true;
    throw py::type_error(std::string(name) + " must be float32 or float64, got " + std::string(py::str(a.dtype())));
}

// The data of `object`, which must be C-contiguous, of type T and of this shape; null for None if that is allowed.
template <class T>
T* pointer(const py::handle& object, const char* name, const Shape& shape, const char* letters, bool optional = false,
           bool writable = false) {
    if (optional && object.is_none()) return nullptr;
    py::array a = array_of(object, name);
    if (shape_of(a) != shape)
        throw py::value_error(std::string(name) + " must have shape " + letters + " = " + text(shape) + ", got " +
                              text(shape_of(a)));
    if (!has_type<T>(a))
        throw py::type_error(std::string(name) + " must be " + std::string(py::str(py::dtype::of<T>())) +
                             " like x, got " + std::string(py::str(a.dtype())));
    if (!(a.flags() & py::array::c_style)) throw py::value_error(std::string(name) + " must be C-contiguous");
    if (!is_aligned(a)) throw py::value_error(std::string(name) + " must be aligned to its item size");
    if (writable && !a.writeable()) throw py::value_error(std::string(name) + " must be writable");
    return static_cast<T*>(const_cast<void*>(a.data()));
}

template <class T>
T* output(const py::handle& object, const char* name, const Shape& shape, const char* letters, bool optional = false) {
    return pointer<T>(object, name, shape, letters, optional, true);
}

template <class T>
T* data_of(py::array_t<T>& a) {
    return a.mutable_data();
}

// A new array whose memory comes from the workspace and returns to it; None if it is not wanted or has no axes.
template <class T>
py::object new_array(const Shape& shape, bool wanted, T*& data, const Workspace& workspace) {
    if (!wanted || shape.empty()) return py::none();
    Index count = 1;
    for (const Index n : shape) count *= n;
    auto loan = std::make_unique<Loan>(workspace.recycler(), count * static_cast<Index>(sizeof(T)));
    data = static_cast<T*>(loan->data());
    const py::capsule back(loan.release(), [](void* p) { delete static_cast<Loan*>(p); });
    return py::array_t<T>(shape, data, back);
}

// Smaller arrays come from NumPy, whose cache is as fast; larger ones would cost page faults in each step.
constexpr Index kSmallArray = Index{1} << 16;

// A new array for a result; None if it is not wanted.
template <class T>
py::object result_array(const Shape& shape, bool wanted, T*& data, const Workspace& workspace) {
    if (!wanted) return py::none();
    Index count = 1;
    for (const Index n : shape) count *= n;
    if (count * static_cast<Index>(sizeof(T)) >= kSmallArray) return new_array(shape, true, data, workspace);
    py::array_t<T> array(shape);
    data = data_of(array);
    return array;
}

// An array as rows along its last axis; without one, or if it is empty, every number is a row.
struct Rows { Index count, length; };
inline Rows rows_of(const py::array& x) {
    if (x.ndim() < 1 || x.shape(x.ndim() - 1) == 0) return {x.size(), 1};
    const Index last = x.shape(x.ndim() - 1);
    return {x.size() / last, last};
}

Activation activation_named(const std::string& name);
Cell cell_named(const std::string& name);
// Sets weights, activations and units of a recurrent layer in `p`, whose other sizes are already set.
template <class T>
void set_cell(Rnn<T>& p, const std::string& name, const py::array& kernel, const py::array& recurrent_kernel,
              const py::handle& bias, const std::string& activation, const py::object& recurrent_activation);
std::int64_t version_of(const py::object& version);

void bind_rnn(py::module_& m);
void bind_conv(py::module_& m);
void bind_layer_norm(py::module_& m);
void bind_attention(py::module_& m);
void bind_pointwise(py::module_& m);
void bind_stream(py::module_& m);
void bind_chain(py::module_& m);

}  // namespace pyrnn
