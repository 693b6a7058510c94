// Which kernels can this machine run? Asked from outside the files that need the answer.

#include "kernel.hpp"

namespace gatewise {

namespace portable { extern const Kernel kernel; }
#if defined(__x86_64__) || defined(_M_X64)
namespace avx2 { extern const Kernel kernel; }
namespace avx512 { extern const Kernel kernel; }
#endif

int available(const Kernel* found[4]) {
    int count = 0;
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_cpu_init();
    const bool fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        found[count++] = &avx512::kernel;
    if (fma) found[count++] = &avx2::kernel;
#endif
    found[count++] = &portable::kernel;
    return count;
}

}  // namespace gatewise
