"""The functions of a header in C: loads and stores, and the nonlinearities, for every width of a vector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from gatewise.c_header.arithmetic import Arithmetic, Expression

WIDTHS = (16, 8, 4)
INTRINSICS = {4: "_mm", 8: "_mm256", 16: "_mm512"}  # what the names of a width's begin with
RELATIONS = {"above": ">", "below": "<", "at_most": "<="}
COMPOSED = ("tanh", "sigmoid", "sigmoid_of_half", "clip", "square")  # of functions and operations that every build has

# tanh(x) = x P(x²) / Q(x²) to 6 ulp of float32, of degree 9 over 8: a rational function fitted to the relative error on
# [0, 9.02] (Sanathanan and Koerner's iteration with Lawson's weights), its coefficients then searched for among the
# neighbouring numbers of float32. Beyond 9.02 it is 1. From the lowest power to the highest.
TANH_OVER = ("1.0", "0.13379724", "0.0034940329", "2.0583479e-05", "1.3319062e-08")
TANH_UNDER = ("1.0", "0.4671305", "0.02587107", "0.00032830928", "7.762014e-07")
LIMIT, SIZE = 9.0199966, 0x7FFFFFFF
FAINT = 0x26901D7D  # 1e-15: cell states below it are 0, before they become numbers that processors are slow with


BUILD = """\
/* Steps, blocks and steps with gates are one body, compiled alike whatever calls it: the same bits. */
#if defined(__clang__)
#define PREFIX_ONE_BODY static __attribute__((noinline, unused))
#elif defined(__GNUC__) && __GNUC__ >= 8
#define PREFIX_ONE_BODY static __attribute__((noipa, unused))
#elif defined(__GNUC__)
#define PREFIX_ONE_BODY static __attribute__((noinline, noclone, unused))
#elif defined(_MSC_VER)
#define PREFIX_ONE_BODY static __declspec(noinline) inline
#else
#define PREFIX_ONE_BODY static inline
#endif
#if defined(_MSC_VER) && !defined(__clang__) && !defined(PREFIX_INTRINSICS)
#define PREFIX_INTRINSICS
#endif
#if defined(PREFIX_PLAIN) || !(defined(__GNUC__) || defined(__clang__) || defined(PREFIX_INTRINSICS))
#define PREFIX_LANES 1
#elif defined(__AVX512F__)
#define PREFIX_LANES 16
#elif defined(__AVX__)
#define PREFIX_LANES 8
#elif defined(__SSE2__) || defined(_M_X64) || (defined(_M_IX86_FP) && _M_IX86_FP >= 2)
#define PREFIX_LANES 4
#elif !defined(PREFIX_INTRINSICS) && (defined(__ARM_NEON) || defined(__wasm_simd128__))
#define PREFIX_LANES 4
#else
#define PREFIX_LANES 1
#endif
#if PREFIX_LANES == 1
#define PREFIX_ALIGNED
#define PREFIX_INLINE static inline
#elif defined(__GNUC__) || defined(__clang__)
#define PREFIX_ALIGNED __attribute__((aligned(64)))
#define PREFIX_INLINE static inline __attribute__((always_inline))
#define PREFIX_NOT_INLINE static __attribute__((noinline))
#else
#define PREFIX_ALIGNED __declspec(align(64))
#define PREFIX_INLINE static __forceinline
#define PREFIX_NOT_INLINE static __declspec(noinline)
#endif
#if PREFIX_LANES > 1 && defined(PREFIX_INTRINSICS)
#include <immintrin.h>
#define PREFIX_OF_4(name) _mm_##name
#define PREFIX_OF_8(name) _mm256_##name
#define PREFIX_OF_16(name) _mm512_##name
#define PREFIX_ALL(n, a) PREFIX_OF_##n(set1_ps)(a)
#define PREFIX_ADD(n, a, b) PREFIX_OF_##n(add_ps)(a, b)
#define PREFIX_SUB(n, a, b) PREFIX_OF_##n(sub_ps)(a, b)
#define PREFIX_MUL(n, a, b) PREFIX_OF_##n(mul_ps)(a, b)
#define PREFIX_DIV(n, a, b) PREFIX_OF_##n(div_ps)(a, b)
#define PREFIX_NEG(n, a) PREFIX_SUB(n, PREFIX_ALL(n, -0.0f), a)
#if defined(__FMA__) || (defined(_MSC_VER) && defined(__AVX2__))
#define PREFIX_MUL_ADD(n, a, b, c) PREFIX_OF_##n(fmadd_ps)(a, b, c)
#else
#define PREFIX_MUL_ADD(n, a, b, c) PREFIX_ADD(n, PREFIX_MUL(n, a, b), c)
#endif
#define PREFIX_ADD_MUL(n, a, b, c) PREFIX_MUL_ADD(n, b, c, a)
#elif PREFIX_LANES > 1
#define PREFIX_ALL(n, a) (a)
#define PREFIX_ADD(n, a, b) ((a) + (b))
#define PREFIX_SUB(n, a, b) ((a) - (b))
#define PREFIX_MUL(n, a, b) ((a) * (b))
#define PREFIX_DIV(n, a, b) ((a) / (b))
#define PREFIX_NEG(n, a) (-(a))
#define PREFIX_MUL_ADD(n, a, b, c) ((a) * (b) + (c))
#define PREFIX_ADD_MUL(n, a, b, c) ((a) + (b) * (c))
#ifdef __has_builtin
EXTREMES
#endif
#endif
#define PREFIX_ACCUMULATE(n, sum, from, z) sum = PREFIX_ADD_MUL(n, sum, prefix_load_##n(from), PREFIX_ALL(n, z))
#define PREFIX_QUARTIC(n, t, u, a, b, c, d, e) \\
    PREFIX_ADD_MUL(n, PREFIX_ADD_MUL(n, PREFIX_ALL(n, a), PREFIX_ALL(n, b), t), \\
        PREFIX_ADD_MUL(n, PREFIX_ADD_MUL(n, PREFIX_ALL(n, c), PREFIX_ALL(n, d), t), PREFIX_ALL(n, e), u), u)"""


def build_macros(prefix: str) -> str:
    """Return the C text of how functions are compiled, how wide vectors are, and how they are added and multiplied."""
    extremes = "\n".join(_extremes(prefix.upper()))
    return BUILD.replace("EXTREMES", extremes).replace("PREFIX", prefix.upper()).replace("prefix", prefix)


def _extremes(upper: str) -> Iterator[str]:
    """Yield the C text of minimum and maximum as single instructions, whose second argument comes through if NaN."""
    for name in ("min", "max"):
        for width, builtin, arguments in (
            (4, f"ia32_{name}ps", "a, b"),
            (4, f"wasm_p{name}_f32x4", "b, a"),
            (8, f"ia32_{name}ps256", "a, b"),
            (16, f"ia32_{name}ps512", "a, b, 4"),
            (16, f"ia32_{name}ps512_mask", "a, b, a, -1, 4"),
        ):
            yield f"#if {upper}_LANES >= {width} && __has_builtin(__builtin_{builtin})"
            yield f"#define {upper}_{name.upper()}_{width}(a, b) __builtin_{builtin}({arguments})"
            yield "#endif"


def vectors_of(prefix: str, names: Sequence[str], width: int) -> str:
    """Return the C text of a vector's type, and of the functions of some names whose text depends on it."""
    p, n, inline = prefix, width, f"{prefix.upper()}_INLINE"
    if n == 1:
        return f"""\
{inline} int32_t {p}_bits_1(float v) {{ int32_t b; memcpy(&b, &v, sizeof b); return b; }}
{inline} float {p}_float_1(int32_t b) {{ float v; memcpy(&v, &b, sizeof v); return v; }}
{inline} float {p}_load_1(const float *from) {{ return *from; }}
{inline} void {p}_store_1(float *to, float v) {{ *to = v; }}"""
    of = INTRINSICS[n]
    v = f"{p}_v{n}"
    intrinsics = [
        f"typedef __m{32 * n} {v};",
        f"{inline} {v} {p}_load_{n}(const float *from) {{ return {of}_loadu_ps(from); }}",
        f"{inline} void {p}_store_{n}(float *to, {v} v) {{ {of}_storeu_ps(to, v); }}",
        f"{inline} {v} {p}_all_{n}(float v) {{ return {of}_set1_ps(v); }}",
    ]
    extensions = [
        f"typedef float {v} __attribute__((vector_size({4 * n})));",
        f"typedef int32_t {p}_i{n} __attribute__((vector_size({4 * n})));",
        f"{inline} {p}_i{n} {p}_bits_{n}({v} v) {{ return ({p}_i{n})v; }}",
        f"{inline} {v} {p}_float_{n}({p}_i{n} b) {{ return ({v})b; }}",
        f"{inline} {v} {p}_load_{n}(const float *from) {{ {v} v; memcpy(&v, from, sizeof v); return v; }}",
        f"{inline} void {p}_store_{n}(float *to, {v} v) {{ memcpy(to, &v, sizeof v); }}",
        f"{inline} {v} {p}_all_{n}(float v) {{ const {v} zeros = {{0}}; return zeros + v; }}",
    ]
    if n == 4:
        intrinsics.append(
            f"{inline} float {p}_total_4({v} v) {{ v = _mm_add_ps(v, _mm_movehl_ps(v, v));"
            " return _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps(v, v, 1))); }"
        )
        extensions.append(f"{inline} float {p}_total_4({v} v) {{ return (v[0] + v[2]) + (v[1] + v[3]); }}")
    intrinsics += [_with_intrinsics(p, name, n) for name in names if name not in (*COMPOSED, "all")]
    extensions += [function(p, name, n) for name in names if name not in (*COMPOSED, "all")]
    return "\n".join([f"#ifdef {p.upper()}_INTRINSICS", *intrinsics, "#else", *extensions, "#endif"])


def _with_intrinsics(prefix: str, name: str, width: int) -> str:
    """Return the C text of a function over the entries of a vector, in intrinsics of x86."""
    p, n = prefix, width
    v, of = f"{p}_v{n}", INTRINSICS[n]
    arguments = f"{v} a, {v} b" if name in ("max", "min", *RELATIONS) else f"{v} a"

    def where(first: str, relation: str, second: str, value: str) -> str:
        """Return a value where a relation holds, and 0 elsewhere."""
        if n == 4:
            return f"_mm_and_ps(_mm_cmp{relation}_ps({first}, {second}), {value})"
        compared = f"({first}, {second}, _CMP_{relation.upper()}_{'UQ' if relation == 'nlt' else 'OQ'})"
        if n == 8:
            return f"_mm256_and_ps(_mm256_cmp_ps{compared}, {value})"
        return f"_mm512_maskz_mov_ps(_mm512_cmp_ps_mask{compared}, {value})"

    size = "_mm512_abs_ps(a)" if n == 16 else f"{of}_andnot_ps({p}_all_{n}(-0.0f), a)"
    match name:
        case "max" | "min" | "sqrt":
            body = f"return {of}_{name}_ps({arguments.replace(f'{v} ', '')});"
        case "abs":
            body = f"return {size};"
        case "flush":
            faint = f"{p}_all_{n}({np.int32(FAINT).view(np.float32):.9g}f)"
            body = f"return {where(size, 'nlt', faint, 'a')};"
        case "above" | "below" | "at_most":
            relation = {">": "gt", "<": "lt", "<=": "le"}[RELATIONS[name]]
            body = f"return {where('a', relation, 'b', f'{p}_all_{n}(1.0f)')};"
        case _:
            body = f"float r[{n}]; int l; {p}_store_{n}(r, a); for (l = 0; l < {n}; l++) r[l] = {name}f(r[l]);"
            body += f" return {p}_load_{n}(r);"
    return f"{p.upper()}_INLINE {v} {p}_{name}_{n}({arguments}) {{ {body} }}"


def function(prefix: str, name: str, width: int) -> str:
    """Return the C text of a function over entries of a width."""
    p, n = prefix, width
    v = "float" if n == 1 else f"{p}_v{n}"
    i = "int32_t" if n == 1 else f"{p}_i{n}"
    sign = "-" * (n == 1)  # of a comparison, which is 1 without vectors, and -1 with them
    one = f"{p.upper()}_INLINE {v} {p}_{name}_{n}({v} a)"
    two = f"{p.upper()}_INLINE {v} {p}_{name}_{n}({v} a, {v} b)"
    write, a, x, above = Arithmetic(p, n), Expression("a"), Expression("x"), Expression("above")
    match name:
        case "tanh":
            clamped = f"{p}_clip_{n}(a, {p}_all_{n}(-{LIMIT}f), {p}_all_{n}({LIMIT}f))"
            if n == 1:  # a test that hardly ever holds
                clamped = f"fabsf(a) > {LIMIT}f ? copysignf({LIMIT}f, a) : a"
            return f"""\
{one}
{{
    const {v} x = {clamped};
    const {v} t = {write.product(x, x).text}, u = {write.product(Expression("t"), Expression("t")).text};
    const {v} above = {_polynomial(p, TANH_OVER, n)};
    const {v} below = {_polynomial(p, TANH_UNDER, n)};
    return {write.quotient(write.product(x, above), Expression("below")).text};
}}"""
        case "sigmoid" | "sigmoid_of_half":
            half = Expression("0.5f", single=True)
            argument = write.product(half, a) if name == "sigmoid" else a
            tanh = Expression(f"{p}_tanh_{n}({argument.text})")
            return f"{one} {{ return {write.sum(half, write.product(half, tanh)).text}; }}"
        case "max" | "min":  # NaN in the second argument comes through, as everywhere below
            relation, macro = ">" if name == "max" else "<", f"{p.upper()}_{name.upper()}_{n}"
            if n == 1:
                return f"{two} {{ return a {relation} b ? a : b; }}"
            return f"""\
#ifdef {macro}
{two} {{ return {macro}(a, b); }}
#else
{two}
{{
    const {i} first = a {relation} b;
    return {p}_float_{n}(({p}_bits_{n}(a) & first) | ({p}_bits_{n}(b) & ~first));
}}
#endif"""
        case "clip":
            return (
                f"{p.upper()}_INLINE {v} {p}_clip_{n}({v} a, {v} low, {v} high)"
                f" {{ return {p}_min_{n}(high, {p}_max_{n}(low, a)); }}"
            )
        case "square":
            return f"{one} {{ return {write.product(a, a).text}; }}"
        case "abs":
            return f"{one} {{ return {p}_float_{n}({p}_bits_{n}(a) & {SIZE:#x}); }}"
        case "flush":
            return (
                f"{one} {{ const {i} bits = {p}_bits_{n}(a);"
                f" return {p}_float_{n}(bits & ~{sign}((bits & {SIZE:#x}) < {FAINT:#x})); }}"
            )
        case "above" | "below" | "at_most":
            return f"{two} {{ return {p}_float_{n}({sign}(a {RELATIONS[name]} b) & 0x3f800000); }}"
    if n == 1:
        return f"{one} {{ return {name}f(a); }}"
    return f"{one} {{ {v} r = a; int l; for (l = 0; l < {n}; l++) r[l] = {name}f(a[l]); return r; }}"


def in_every_build(prefix: str, widths: Sequence[int], lines: Callable[[int], Iterable[str]]) -> Iterator[str]:
    """Yield lines of C for builds with vectors of each width, from the widest on, and for those without."""
    for lanes in (*widths, 1):
        if widths:
            test = "if" if lanes == widths[0] else "elif"
            yield "#else" if lanes == 1 else f"#{test} {prefix.upper()}_LANES >= {lanes}"
        yield from lines(lanes)
    if widths:
        yield "#endif"


def functions_of(prefix: str, names: Sequence[str], width: int) -> str:
    """Return the C text of a vector's types and functions, of one width."""
    wanted = [name for name in names if name != "all"]
    if width > 1:  # first those that are written for extensions and for intrinsics
        wanted = [name for name in wanted if name in COMPOSED]
    return "\n".join([vectors_of(prefix, names, width), *(function(prefix, name, width) for name in wanted)])


def _polynomial(prefix: str, coefficients: tuple[str, ...], width: int) -> str:
    """Return a polynomial of degree 4 in t, of which u is the square, so that few products wait for each other."""
    a, b, c, d, e = (f"{text}f" for text in coefficients)
    if width > 1:
        return f"{prefix.upper()}_QUARTIC({width}, t, u, {a}, {b}, {c}, {d}, {e})"
    return f"({a} + {b} * t) + (({c} + {d} * t) + {e} * u) * u"
