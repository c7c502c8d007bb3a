// Running without the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include "../system/system.hpp"

namespace pyrnn {

// Takes the GIL again, or never returns. While the interpreter shuts down, only the thread that ends it may have the
// GIL. CPython hangs the others (from 3.14 on) or unwinds their stacks through destructors (pthread_exit), which aborts
// the process. Here such a thread waits for the end of the process instead. It must hold no lock that others wait for.
inline void take_gil_back(PyThreadState* state) {
    try {
        PyEval_RestoreThread(state);
    } catch (...) { wait_for_the_end(); }
}

// py::gil_scoped_release for threads that may outlive the interpreter.
class WithoutGil {
public:
    WithoutGil() : state_(PyEval_SaveThread()) {}
    WithoutGil(const WithoutGil&) = delete;
    WithoutGil& operator=(const WithoutGil&) = delete;
    ~WithoutGil() { take_gil_back(state_); }

private:
    PyThreadState* state_;
};

}  // namespace pyrnn
