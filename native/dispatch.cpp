// Which kernels this machine can run. Compiled for no particular instruction set, unlike the kernels themselves.

#include "kernel.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace gatewise {

namespace portable { extern const Kernel kernel; }
#if defined(__x86_64__)
namespace avx2 { extern const Kernel kernel; }
namespace avx512 { extern const Kernel kernel; }

namespace {

struct InstructionSets { bool avx2, avx512; };

// What the processor supports and the operating system saves. __builtin_cpu_supports() would know, but it needs a
// library that is not linked on Windows.
InstructionSets instruction_sets() {
    const auto all_of = [](unsigned word, unsigned bits) { return (word & bits) == bits; };
    unsigned a, b, c, d, saved, above;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !all_of(c, bit_OSXSAVE | bit_FMA)) return {};
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return {};
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(above) : "c"(0));
    const bool avx2 = all_of(b, bit_AVX2) && all_of(saved, 0x06);  // the registers xmm and ymm
    return {avx2, avx2 && all_of(b, bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL) && all_of(saved, 0xe6)};
}

}  // namespace
#endif

int available(const Kernel* kernels[4]) {
    int count = 0;
#if defined(__x86_64__)
    static const InstructionSets sets = instruction_sets();
    if (sets.avx512) kernels[count++] = &avx512::kernel;
    if (sets.avx2) kernels[count++] = &avx2::kernel;
#endif
    kernels[count++] = &portable::kernel;
    return count;
}

}  // namespace gatewise
