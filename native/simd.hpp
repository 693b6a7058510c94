// The vector type, and the nonlinearities on it. Compiled once for every instruction set; see native/README.md.
//
// Everything here is static and in the namespace of its instruction set, and no standard header that holds code is
// included: an inline function compiled for AVX-512 must never be the copy that the linker keeps for everyone.
#pragma once

#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>  // always inlined
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "kernel.hpp"

#ifndef GATEWISE_BYTES
#error "GATEWISE_BYTES, the width of a vector, and GATEWISE_ISA, the name of the kernel, come from the build"
#endif

#define UNROLL _Pragma("GCC unroll 12")
#define ROLLED _Pragma("GCC unroll 1")
#define APART __attribute__((noinline))  // with a register allocation of its own
#define INLINE inline __attribute__((always_inline))

namespace gatewise::GATEWISE_ISA {
namespace {

template <class T> struct Type;
template <> struct Type<float> {
    typedef float vector __attribute__((vector_size(GATEWISE_BYTES)));
    typedef int32_t integer;
    typedef int32_t integers __attribute__((vector_size(GATEWISE_BYTES)));
};
template <> struct Type<double> {
    typedef double vector __attribute__((vector_size(GATEWISE_BYTES)));
    typedef int64_t integer;
    typedef int64_t integers __attribute__((vector_size(GATEWISE_BYTES)));
};
template <class T> using Vec = typename Type<T>::vector;
template <class T> using Ints = typename Type<T>::integers;

template <class T> constexpr int LANES = GATEWISE_BYTES / sizeof(T);

// How many rows one product handles at once: 4 accumulators each, beside 4 vectors of weights and one of the input.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int ROWS = 6;  // 32 registers
#else
constexpr int ROWS = 3;  // 16
#endif

template <class T> inline Vec<T> load(const T* from) {
    Vec<T> v;
    __builtin_memcpy(&v, from, sizeof v);
    return v;
}

template <class T> inline void store(T* to, Vec<T> v) { __builtin_memcpy(to, &v, sizeof v); }

// Load or store the first `count` lanes (0 to all); the others are 0, or not stored.
template <class T> inline Vec<T> load(const T* from, int64_t count) {
    if (count >= LANES<T>) return load(from);
#if defined(__AVX512F__)
    const auto mask = (1u << count) - 1;
    if constexpr (sizeof(T) == 4) return _mm512_maskz_loadu_ps(__mmask16(mask), from);
    else return _mm512_maskz_loadu_pd(__mmask8(mask), from);
#else
    T lanes[LANES<T>] = {};
    for (int64_t n = 0; n < count; ++n) lanes[n] = from[n];
    return load(lanes);
#endif
}

template <class T> inline void store(T* to, Vec<T> v, int64_t count) {
    if (count >= LANES<T>) return store(to, v);
#if defined(__AVX512F__)
    const auto mask = (1u << count) - 1;
    if constexpr (sizeof(T) == 4) _mm512_mask_storeu_ps(to, __mmask16(mask), v);
    else _mm512_mask_storeu_pd(to, __mmask8(mask), v);
#else
    for (int64_t n = 0; n < count; ++n) to[n] = v[n];
#endif
}

// A vector that fills a cache line can bypass the caches: what is read much later, if ever, then evicts nothing else,
// and the line's old content is not fetched before it is overwritten.
template <class T> inline bool whole_line(const T* at) { return GATEWISE_BYTES == 64 && (uintptr_t)at % 64 == 0; }

template <class T> inline void store_past_caches(T* to, Vec<T> v) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) _mm512_stream_ps(to, v);
    else _mm512_stream_pd(to, v);
#else
    store(to, v);
#endif
}

inline void wait_for_stores() {  // until other threads see what bypassed the caches
#if defined(__AVX512F__)
    _mm_sfence();
#endif
}

// Bring the cache line at an address, which need not exist, into the second-level cache, to be read or written.
template <class T> inline void fetch_to_read(const T* at) { __builtin_prefetch(at, 0, 2); }
template <class T> inline void fetch_to_write(const T* at) { __builtin_prefetch(at, 1, 2); }

template <class T> constexpr int LINE = 64 / sizeof(T);  // numbers in a cache line

// Bytes of weights from which on they are fetched ahead: they are read from beyond the second-level cache at each step,
// and the processor alone begins with that too late.
constexpr int64_t FAR = 1 << 20;

template <class T> inline Vec<T> all(T value) { return value - Vec<T>{}; }
template <class T> inline Ints<T> bits(Vec<T> v) { return (Ints<T>)v; }
template <class T> inline Vec<T> number(Ints<T> v) { return (Vec<T>)v; }

// a b + c, rounded once where the instruction set can do so. It is written out wherever it is meant, and the compiler
// contracts nothing by itself (-ffp-contract=off), so that no bit depends on how many rows or tiles a loop handles.
inline Vec<float> mad(Vec<float> a, Vec<float> b, Vec<float> c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
    return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
    return vfmaq_f32(c, a, b);
#else
    return a * b + c;
#endif
}

inline Vec<double> mad(Vec<double> a, Vec<double> b, Vec<double> c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_pd(a, b, c);
#elif defined(__FMA__)
    return _mm256_fmadd_pd(a, b, c);
#elif defined(__aarch64__)
    return vfmaq_f64(c, a, b);
#else
    return a * b + c;
#endif
}

// These let NaN through: it compares false, and the instructions return their second operand then.
template <class T> inline Vec<T> smaller(Vec<T> v, T high) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return _mm512_min_ps(all<T>(high), v);
    else return _mm512_min_pd(all<T>(high), v);
#else
    return v > high ? all<T>(high) : v;
#endif
}

template <class T> inline Vec<T> larger(Vec<T> v, T low) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return _mm512_max_ps(all<T>(low), v);
    else return _mm512_max_pd(all<T>(low), v);
#else
    return v < low ? all<T>(low) : v;
#endif
}

template <class T> inline Vec<T> clip(Vec<T> v, T low, T high) { return smaller<T>(larger<T>(v, low), high); }

template <class T> inline Vec<T> magnitude(Vec<T> v) {
    return number<T>(bits<T>(v) & ~bits<T>(all<T>(T(-0.0))));
}

// e^x = 2^n (1 + p): x = n ln 2 + r with |r| <= ln 2 / 2, and p = e^r - 1 = r + r^2 q(r).
//
// ln 2 is subtracted in two parts, the first so short that its product with n is exact. The polynomials are Chebyshev
// interpolants (native/README.md computes them): q of (e^r - 1 - r) / r^2, and `near` of (tanh(x) / x - 1) / x^2 in
// powers of x^2, for |x| <= 0.27. Their error is at most a quarter of an ulp of the result.
template <class T> struct Format;
template <> struct Format<float> {
    static constexpr float magic = 0x1.8p23f, log2_e = 0x1.715476p0f, ln2_high = 0x1.63p-1f, ln2_low = -0x1.bd0106p-13f;
    static constexpr float least = -88, most = 88;  // of x; beyond, e^x or its reciprocal is below the normal numbers
    static constexpr int mantissa = 23;
    static constexpr float q[] = {0x1.0p-1f, 0x1.5554ddp-3f, 0x1.55551ap-5f, 0x1.120b6ep-7f, 0x1.6d1109p-10f};
    static constexpr float near[] = {-0x1.555544p-2f, 0x1.10f036p-3f, -0x1.a72642p-5f};
};
template <> struct Format<double> {
    static constexpr double magic = 0x1.8p52, log2_e = 0x1.71547652b82fep0;
    static constexpr double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
    static constexpr double least = -709, most = 709;
    static constexpr int mantissa = 52;
    static constexpr double q[] = {
        0x1.0000000000001p-1,  0x1.5555555555556p-3,  0x1.5555555553d63p-5,  0x1.11111111109b3p-7,  0x1.6c16c1788bd90p-10,
        0x1.a01a01a7c41d5p-13, 0x1.a019b90d2ae7ap-16, 0x1.71de0dae63bb3p-19, 0x1.289185613a3d6p-22, 0x1.af38a9b0ec855p-26};
    static constexpr double near[] = {
        -0x1.5555555555555p-2, 0x1.1111111110fc9p-3, -0x1.ba1ba1b9bf569p-5, 0x1.664f4833723b6p-6, -0x1.226e13d9d8be4p-7,
        0x1.d6c4647dc9f1ep-9,  -0x1.7ba9b30ebe6a4p-10, 0x1.1337b70313b49p-11};
};

template <class T, int N, int K = 0> inline Vec<T> polynomial(const T (&c)[N], Vec<T> x) {  // c0 + c1 x + c2 x^2 + …
    if constexpr (K + 1 == N) return all<T>(c[K]);
    else return mad(polynomial<T, N, K + 1>(c, x), x, all<T>(c[K]));
}

template <class T> struct Exponential { Vec<T> p; Ints<T> n; };  // n in those bits that become the exponent

template <class T> INLINE Exponential<T> exponential(Vec<T> x) {
    using F = Format<T>;
    const Vec<T> shifted = mad(x, all<T>(F::log2_e), all<T>(F::magic));  // its last bits are n
    const Vec<T> n = shifted - F::magic;
    const Vec<T> r = mad(n, all<T>(-F::ln2_low), mad(n, all<T>(-F::ln2_high), x));
    return {mad(r * r, polynomial(F::q, r), r), bits<T>(shifted)};
}

template <class T> inline Vec<T> two_to(Ints<T> n) {  // a normal number, or 0 for the exponent just below those
    return number<T>((n << Format<T>::mantissa) + bits<T>(all<T>(T(1))));
}

// Error at most 1.5 ulp. e^0 = 1, e^inf = inf; a result below the smallest normal number is 0.
template <class T> inline Vec<T> power(Vec<T> x) {
    const Exponential<T> e = exponential<T>(clip<T>(x, Format<T>::least, Format<T>::most + T(1)));
    const Ints<T> n = e.n - bits<T>(all<T>(Format<T>::magic)), half = n >> 1;
    return (T(1) + e.p) * two_to<T>(half) * two_to<T>(n - half);
}

// 1 / (1 + e^-x), error at most 2 ulp. σ(0) = 1/2, σ(-inf) = 0, σ(inf) = 1; a result below the smallest normal number
// is 0.
template <class T> INLINE Vec<T> sigmoid(Vec<T> x) {
    const Exponential<T> e = exponential<T>(clip<T>(-x, Format<T>::least, Format<T>::most));
    const Vec<T> scale = two_to<T>(e.n), sum = T(1) + scale, lost = T(1) - (sum - scale);
    return T(1) / (sum + mad(scale, e.p, lost));
}

// Error at most 2 ulp. Odd; exact at 0; tanh(±inf) = ±1. With e = e^2|x| - 1 it is e / (e + 2), and near 0, where that
// would lose digits, a polynomial.
template <class T> INLINE Vec<T> tanh(Vec<T> x) {
    const Ints<T> sign = bits<T>(all<T>(T(-0.0)));
    const Vec<T> size = magnitude<T>(x), square = x * x;
    const Exponential<T> power = exponential<T>(smaller<T>(size + size, T(40)));
    const Vec<T> scale = two_to<T>(power.n), e = mad(scale, power.p, scale - T(1)), far = e / (e + T(2));
    const Vec<T> near = mad(size * square, polynomial(Format<T>::near, square), size);
    const Vec<T> y = size > T(0.27) ? far : near;
    return number<T>(bits<T>(y) | (bits<T>(x) & sign));
}

template <class T> inline Vec<T> apply(const Activation<T>& by, Vec<T> a) {
    switch (by.function) {
        case Function::sigmoid: return sigmoid<T>(a);
        case Function::tanh: return tanh<T>(a);
        case Function::hard_sigmoid: return clip<T>(mad(a, all<T>(by.slope), all<T>(by.shift)), T(0), T(1));
        case Function::exponential: return power<T>(a);
    }
    __builtin_unreachable();
}

// dy/da as a function of y.
template <class T> inline Vec<T> slope(const Activation<T>& by, Vec<T> y) {
    switch (by.function) {
        case Function::sigmoid: return y * (T(1) - y);
        case Function::tanh: return mad(-y, y, all<T>(T(1)));
        case Function::exponential: return y;
        case Function::hard_sigmoid: return (y > T(0)) & (y < T(1)) ? all<T>(by.slope) : all<T>(T(0));
    }
    __builtin_unreachable();
}

// While an object of this class exists, subnormal inputs and results count as 0.
class Flush {
#if defined(__x86_64__)
    uint32_t before = __builtin_ia32_stmxcsr();
public:
    Flush() { __builtin_ia32_ldmxcsr(before | 0x8040); }
    ~Flush() { __builtin_ia32_ldmxcsr(before); }
#elif defined(__aarch64__)
    uint64_t before;
public:
    Flush() {
        __asm__ volatile("mrs %0, fpcr" : "=r"(before));
        __asm__ volatile("msr fpcr, %0" : : "r"(before | (1ull << 24)));
    }
    ~Flush() { __asm__ volatile("msr fpcr, %0" : : "r"(before)); }
#endif
};

// acc += one column of the panels · number k of each source.
template <class T, int S, int R, int N>
INLINE void accumulate_one(Vec<T> (&acc)[S][R][N], const T* panel, int64_t apart, const T* const (&source)[R], int64_t k) {
    UNROLL for (int s = 0; s < S; ++s) {
        Vec<T> w[N];
        UNROLL for (int n = 0; n < N; ++n) w[n] = load(panel + s * apart + n * LANES<T>);
        UNROLL for (int r = 0; r < R; ++r) {
            const Vec<T> z = all<T>(source[r][k]);
            UNROLL for (int n = 0; n < N; ++n) acc[s][r][n] = mad(w[n], z, acc[s][r][n]);
        }
    }
}

// acc += panel · source, for R rows and N vectors of columns, at S panels that are `apart` from each other. One column
// after another, so that no sum depends on how many rows or panels are handled at once. With `ahead`, what lies there is
// fetched meanwhile, half a cache line with each column.
template <class T, int S, int R, int N>
inline void accumulate(Vec<T> (&acc)[S][R][N], const T* panel, int64_t apart, const T* const (&source)[R], int64_t depth,
                       const T* ahead = nullptr) {
    if constexpr (S == 1 && R >= 3)  // with fewer rows there is no time for it
        if (ahead) {
            for (int64_t k = 0; k < depth; ++k, panel += N * LANES<T>, ahead += LINE<T> / 2) {
                fetch_to_read(ahead);
                accumulate_one<T, S, R, N>(acc, panel, apart, source, k);
            }
            return;
        }
    for (int64_t k = 0; k < depth; ++k, panel += N * LANES<T>) accumulate_one<T, S, R, N>(acc, panel, apart, source, k);
}

// How many of the rows that are left come next, at most ROWS. The last ones are split into two parts of about the same
// size: with one or two rows alone, too few sums would be in flight.
inline int64_t next_rows(int64_t left) { return left <= ROWS ? left : left < 2 * ROWS ? (left + 1) / 2 : ROWS; }

// Call block(Number<R>(), first row) until `count` rows are done.
template <int R> struct Number { static constexpr int value = R; };

template <class Block> inline void in_blocks(int64_t count, Block block) {
    for (int64_t row = 0, some; row < count; row += some) {
        some = next_rows(count - row);
        static_assert(ROWS <= 6);
        switch (some) {
            case 1: block(Number<1>(), row); break;
            case 2: block(Number<2>(), row); break;
            case 3: block(Number<3>(), row); break;
#if defined(__AVX512F__) || defined(__aarch64__)
            case 4: block(Number<4>(), row); break;
            case 5: block(Number<5>(), row); break;
            case 6: block(Number<6>(), row); break;
#endif
        }
    }
}

// sums (rows, N) = source · panel, for R rows and N vectors of columns.
template <class T, int R, int N>
APART void multiply(const T* panel, const T* const* source, int64_t depth, Vec<T>* sums, const T* ahead) {
    Vec<T> acc[1][R][N] = {};
    const T* from[R];
    UNROLL for (int r = 0; r < R; ++r) from[r] = source[r];
    accumulate<T, 1, R, N>(acc, panel, 0, from, depth, N == 4 ? ahead : nullptr);
    UNROLL for (int r = 0; r < R; ++r)
        UNROLL for (int n = 0; n < N; ++n) store((T*)(sums + r * N + n), acc[0][r][n]);
}

template <class T, int N>
inline void multiply(int64_t rows, const T* panel, const T* const* source, int64_t depth, Vec<T>* sums,
                     const T* ahead = nullptr) {
    in_blocks(rows, [&](auto size, int64_t) { multiply<T, decltype(size)::value, N>(panel, source, depth, sums, ahead); });
}

// The products of rows with some groups of a packed matrix: calls finish(row, column, vector) for every vector of each
// row. `source(row)` points to a row's numbers. What multiplies is shared by all products, or the code would be twice as
// long. While one group is multiplied, the next is fetched.
template <class T, class Source, class Finish>
inline void product(const T* groups, int64_t columns, int64_t depth, int64_t rows, Source source, Finish finish,
                    int64_t first_group, int64_t last_group) {
    constexpr int L = LANES<T>;
    const T* from[2 * ROWS];
    Vec<T> sums[4 * ROWS];
    const int64_t size = 4 * L * depth;  // of a group
    const bool far = (last_group - first_group) * size * int64_t(sizeof(T)) > FAR;
    for (int64_t group = first_group; group < last_group; ++group) {
        const T* const panel = groups + group * size;
        const T *ahead = groups + (group + 1 < last_group ? group + 1 : first_group) * size;
        const T* const end = ahead + (far ? size : 0);
        const int64_t column = group * 4 * L, left = (columns - column + L - 1) / L, vectors = left < 4 ? left : 4;
        for (int64_t row = 0, some; row < rows; row += some) {
            const bool two = vectors == 1 && rows - row >= 2 * ROWS;  // otherwise too few sums would be in flight
            some = two ? 2 * ROWS : next_rows(rows - row);
            for (int64_t r = 0; r < some; ++r) from[r] = source(row + r);
            if (two) multiply<T, 2 * ROWS, 1>(panel, from, depth, sums, nullptr);
            else switch (vectors) {
                case 1: multiply<T, 1>(some, panel, from, depth, sums); break;
                case 2: multiply<T, 2>(some, panel, from, depth, sums); break;
                case 3: multiply<T, 3>(some, panel, from, depth, sums); break;
                default:
                    multiply<T, 4>(some, panel, from, depth, sums, ahead < end ? ahead : nullptr);
                    ahead += depth * LINE<T> / 2;
            }
            for (int64_t r = 0; r < some; ++r)
                for (int64_t n = 0; n < vectors; ++n) finish(row + r, column + n * L, sums[r * vectors + n]);
        }
    }
}

template <class T> inline int64_t vectors(int64_t count) { return (count + LANES<T> - 1) / LANES<T>; }
template <class T> inline int64_t padded(int64_t count) { return vectors<T>(count) * LANES<T>; }
template <class T> inline int64_t groups(int64_t columns) { return (vectors<T>(columns) + 3) / 4; }

// Pointers and row numbers are stored in workspaces of T.
template <class T> inline int64_t words(int64_t count) { return count * int64_t(sizeof(int64_t) / sizeof(T)); }

// Store which of the rows [first, last) are valid at a step; return how many there are.
inline int64_t valid_rows(const uint8_t* valid, int64_t first, int64_t last, int64_t* rows) {
    int64_t count = 0;
    for (int64_t row = first; row < last; ++row)
        if (!valid || valid[row]) rows[count++] = row;
    return count;
}

}  // namespace
}  // namespace gatewise::GATEWISE_ISA
