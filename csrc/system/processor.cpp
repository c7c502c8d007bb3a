#include "processor.hpp"

#include <initializer_list>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace pyrnn {
namespace {

// The sum of bits with these numbers.
template <class... Numbers>
constexpr std::uint32_t bits_of(Numbers... numbers) {
    return ((std::uint32_t{1} << numbers) | ...);
}

// OSXSAVE of leaf 1: the system saves registers, and xgetbv says which.
constexpr std::uint32_t kSavesAndSays = bits_of(27);

// What each level needs in addition to the one before it.
// Leaf 1: SSE3, SSSE3, SSE4.1, SSE4.2, POPCNT.
constexpr ProcessorBits kSecond = {bits_of(0, 9, 19, 20, 23), 0, 0, 0};
// Leaf 1: FMA, OSXSAVE, AVX, F16C. Leaf 7: BMI1, AVX2, BMI2. Extended leaf 1: LZCNT. Saved: XMM, YMM.
constexpr ProcessorBits kThird = {bits_of(12, 28, 29) | kSavesAndSays, bits_of(3, 5, 8), bits_of(5), bits_of(1, 2)};
// Leaf 7: AVX-512 F, DQ, CD, BW, VL. Saved: mask registers, upper halves of ZMM0 to 15, ZMM16 to 31.
constexpr std::uint32_t kSavedOf512 = bits_of(5, 6, 7);
constexpr ProcessorBits kFourth = {0, bits_of(16, 17, 28, 30, 31), 0, kSavedOf512};

bool has(const ProcessorBits& bits, const ProcessorBits& needed) {
    const auto all = [](std::uint32_t present, std::uint32_t wanted) { return (present & wanted) == wanted; };
    return all(bits.leaf_1_ecx, needed.leaf_1_ecx) && all(bits.leaf_7_ebx, needed.leaf_7_ebx) &&
           all(bits.extended_1_ecx, needed.extended_1_ecx) && all(bits.saved, needed.saved);
}

}  // namespace

ProcessorBits processor_bits() {
    ProcessorBits bits{};
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d)) bits.leaf_1_ecx = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) bits.leaf_7_ebx = b;
    if (__get_cpuid(0x80000001, &a, &b, &c, &d)) bits.extended_1_ecx = c;
    if (bits.leaf_1_ecx & kSavesAndSays) __asm__("xgetbv" : "=a"(bits.saved), "=d"(d) : "c"(0));
#if defined(__APPLE__)
    // macOS begins to save these of a thread when the thread first uses them, and says so only then.
    if (bits.leaf_7_ebx & kFourth.leaf_7_ebx) bits.saved |= kSavedOf512;
#endif
#endif
    return bits;
}

int x86_level(const ProcessorBits& bits) {
    int level = 1;
    for (const ProcessorBits& needed : {kSecond, kThird, kFourth}) {
        if (!has(bits, needed)) break;
        ++level;
    }
    return level;
}

}  // namespace pyrnn
