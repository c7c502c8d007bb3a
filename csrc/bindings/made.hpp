// Objects whose constructor has not run.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace pyrnn {

namespace py = pybind11;

// Rejects an object made by `__new__` without `__init__`, for which pybind11 would pass uninitialized memory.
template <class T>
class MadeCaster : public py::detail::type_caster_base<T> {
public:
    bool load(py::handle source, bool convert) {
        const py::detail::type_info* const type = this->typeinfo;
        if (source && type && PyObject_TypeCheck(source.ptr(), type->type)) {
            auto* const instance = reinterpret_cast<py::detail::instance*>(source.ptr());
            if (!instance->get_value_and_holder(type).holder_constructed())
                throw py::type_error(std::string(type->type->tp_name) +
                                     ".__init__() must be called before anything else");
        }
        return py::detail::type_caster_base<T>::load(source, convert);
    }
};

}  // namespace pyrnn
