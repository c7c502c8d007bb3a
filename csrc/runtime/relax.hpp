#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pyrnn {

// What a thread does between two looks at memory while it waits for another one to write.
inline void relax() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace pyrnn
