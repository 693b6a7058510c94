// Rows of numbers through a matrix, as dense layers and convolutions need it. Compiled once for every instruction set.

#include "simd.hpp"

namespace gatewise::GATEWISE_ISA {

template <class T> void affine(const Affine<T>& a) {
    const Flush flush;
    product<T>(
        a.weight, a.size, a.depth, a.rows, [&](int64_t row) { return a.x + row * a.depth; },
        [&](int64_t row, int64_t column, Vec<T> sum) {
            store(a.y + row * a.size + column, sum + load(a.bias + column), a.size - column);
        },
        0, groups<T>(a.size));
}

template void affine(const Affine<float>&);
template void affine(const Affine<double>&);

}  // namespace gatewise::GATEWISE_ISA
