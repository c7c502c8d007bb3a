// The control register of the floating-point unit, which determines whether subnormal numbers count as 0
// (docs/dev/decisions/0001-subnormal-numbers.md). Each thread has its own; a new thread starts with its creator's.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#elif defined(__aarch64__)
#include <cstdint>
#endif

namespace pyrnn {

#if defined(__x86_64__)
using FloatMode = unsigned;
constexpr FloatMode kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040, kFlushing = kFlushToZero | kDenormalsAreZero;
inline FloatMode float_mode() { return _mm_getcsr(); }
inline void set_float_mode(FloatMode mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
using FloatMode = std::uint64_t;
constexpr FloatMode kFlushing = FloatMode{1} << 24;
inline FloatMode float_mode() {
    FloatMode mode;
    asm volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
inline void set_float_mode(FloatMode mode) { asm volatile("msr fpcr, %0" : : "r"(mode)); }
#else
using FloatMode = unsigned;
constexpr FloatMode kFlushing = 0;
inline FloatMode float_mode() { return 0; }
inline void set_float_mode(FloatMode) {}
#endif

// Sets a mode for its lifetime, then restores the previous one.
class WithFloatMode {
public:
    explicit WithFloatMode(FloatMode mode) : saved_(float_mode()) { set_float_mode(mode); }
    WithFloatMode(const WithFloatMode&) = delete;
    WithFloatMode& operator=(const WithFloatMode&) = delete;
    ~WithFloatMode() { set_float_mode(saved_); }

private:
    FloatMode saved_;
};

// The task f, run in the mode in which this function is called, whatever that of the thread.
template <class F>
auto in_this_mode(F f) {
    return [f, mode = float_mode()](auto... arguments) {
        const WithFloatMode callers(mode);
        f(arguments...);
    };
}

// Lets subnormal numbers count as 0 for its lifetime.
class FlushSubnormals : WithFloatMode {
public:
    FlushSubnormals() : WithFloatMode(float_mode() | kFlushing) {}
};

}  // namespace pyrnn
