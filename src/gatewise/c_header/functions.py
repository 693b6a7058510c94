"""The functions of a header in C: loads and stores, and the nonlinearities, for every width of a vector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

WIDTHS = (16, 8, 4)

# tanh(x) = x P(x²) / Q(x²) to 6 ulp of float32, of degree 9 over 8: a rational function fitted to the relative error on
# [0, 9.02] (Sanathanan and Koerner's iteration with Lawson's weights), its coefficients then searched for among the
# neighbouring numbers of float32. Beyond 9.02 it is 1. From the lowest power to the highest.
TANH_OVER = ("1.0", "0.13379724", "0.0034940329", "2.0583479e-05", "1.3319062e-08")
TANH_UNDER = ("1.0", "0.4671305", "0.02587107", "0.00032830928", "7.762014e-07")
LIMIT, SIZE = 9.0199966, 0x7FFFFFFF
FAINT = 0x26901D7D  # 1e-15: cell states below it are 0, before they become numbers that processors are slow with


def build_macros(prefix: str) -> str:
    """Return the C text of how functions are compiled, and how wide vectors are, in this build."""
    upper = prefix.upper()
    lines = [
        "/* Steps, blocks and steps with gates are one body, compiled alike whatever calls it: the same bits. */",
        "#if defined(__clang__)",
        f"#define {upper}_ONE_BODY static __attribute__((noinline, unused))",
        "#elif defined(__GNUC__) && __GNUC__ >= 8",
        f"#define {upper}_ONE_BODY static __attribute__((noipa, unused))",
        "#elif defined(__GNUC__)",
        f"#define {upper}_ONE_BODY static __attribute__((noinline, noclone, unused))",
        "#else",
        f"#define {upper}_ONE_BODY static inline",
        "#endif",
        f"#if defined({upper}_PLAIN) || !(defined(__GNUC__) || defined(__clang__))",
        f"#define {upper}_LANES 1",
        "#elif defined(__AVX512F__)",
        f"#define {upper}_LANES 16",
        "#elif defined(__AVX__)",
        f"#define {upper}_LANES 8",
        "#elif defined(__SSE2__) || defined(__ARM_NEON)",
        f"#define {upper}_LANES 4",
        "#else",
        f"#define {upper}_LANES 1",
        "#endif",
        f"#if {upper}_LANES > 1",
        f"#define {upper}_ALIGNED __attribute__((aligned(64)))",
        f"#define {upper}_INLINE static inline __attribute__((always_inline))",
        "#ifdef __has_builtin",
        *_extremes(upper),
        "#endif",
        "#else",
        f"#define {upper}_ALIGNED",
        f"#define {upper}_INLINE static inline",
        "#endif",
    ]
    return "\n".join(lines)


def _extremes(upper: str) -> Iterator[str]:
    """Yield the C text of minimum and maximum as instructions of x86, whose second argument comes through if NaN."""
    for name in ("min", "max"):
        for width, builtin in ((4, f"{name}ps"), (8, f"{name}ps256"), (16, f"{name}ps512"), (16, f"{name}ps512_mask")):
            arguments = {"ps512": "a, b, 4", "ps512_mask": "a, b, a, -1, 4"}.get(builtin[3:], "a, b")
            yield f"#if {upper}_LANES >= {width} && __has_builtin(__builtin_ia32_{builtin})"
            yield f"#define {upper}_{name.upper()}_{width}(a, b) __builtin_ia32_{builtin}({arguments})"
            yield "#endif"


def vectors_of(prefix: str, width: int) -> str:
    """Return the C text of a vector's types, and of the functions that every header needs."""
    p, n = prefix, width
    if width == 1:
        return f"""\
{p.upper()}_INLINE int32_t {p}_bits_1(float v) {{ int32_t b; memcpy(&b, &v, sizeof b); return b; }}
{p.upper()}_INLINE float {p}_float_1(int32_t b) {{ float v; memcpy(&v, &b, sizeof v); return v; }}
{p.upper()}_INLINE float {p}_load_1(const float *from) {{ return *from; }}
{p.upper()}_INLINE void {p}_store_1(float *to, float v) {{ *to = v; }}"""
    return f"""\
typedef float {p}_v{n} __attribute__((vector_size({4 * n})));
typedef int32_t {p}_i{n} __attribute__((vector_size({4 * n})));
{p.upper()}_INLINE {p}_i{n} {p}_bits_{n}({p}_v{n} v) {{ return ({p}_i{n})v; }}
{p.upper()}_INLINE {p}_v{n} {p}_float_{n}({p}_i{n} b) {{ return ({p}_v{n})b; }}
{p.upper()}_INLINE {p}_v{n} {p}_load_{n}(const float *from) {{ {p}_v{n} v; memcpy(&v, from, sizeof v); return v; }}
{p.upper()}_INLINE void {p}_store_{n}(float *to, {p}_v{n} v) {{ memcpy(to, &v, sizeof v); }}
{p.upper()}_INLINE {p}_v{n} {p}_all_{n}(float v) {{ const {p}_v{n} zeros = {{0}}; return zeros + v; }}"""


def function(prefix: str, name: str, width: int) -> str:
    """Return the C text of a function over entries of a width."""
    p, n = prefix, width
    v = "float" if n == 1 else f"{p}_v{n}"
    i = "int32_t" if n == 1 else f"{p}_i{n}"
    sign = "-" * (n == 1)  # of a comparison, which is 1 without vectors, and -1 with them
    one = f"{p.upper()}_INLINE {v} {p}_{name}_{n}({v} a)"
    two = f"{p.upper()}_INLINE {v} {p}_{name}_{n}({v} a, {v} b)"
    match name:
        case "tanh":  # without vectors, a test that hardly ever holds
            clamped = f"const {v} zero = {{0}}, x = {p}_clip_{n}(a, zero - {LIMIT}f, zero + {LIMIT}f)"
            if n == 1:
                clamped = f"const float x = fabsf(a) > {LIMIT}f ? copysignf({LIMIT}f, a) : a"
            return f"""\
{one}
{{
    {clamped};
    const {v} t = x * x, u = t * t;
    const {v} above = {_polynomial(TANH_OVER)};
    const {v} below = {_polynomial(TANH_UNDER)};
    return x * above / below;
}}"""
        case "sigmoid":
            return f"{one} {{ return 0.5f + 0.5f * {p}_tanh_{n}(0.5f * a); }}"
        case "sigmoid_of_half":
            return f"{one} {{ return 0.5f + 0.5f * {p}_tanh_{n}(a); }}"
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
            return f"{one} {{ return a * a; }}"
        case "abs":
            return f"{one} {{ return {p}_float_{n}({p}_bits_{n}(a) & {SIZE:#x}); }}"
        case "flush":
            return (
                f"{one} {{ const {i} bits = {p}_bits_{n}(a);"
                f" return {p}_float_{n}(bits & ~{sign}((bits & {SIZE:#x}) < {FAINT:#x})); }}"
            )
        case "above" | "below" | "at_most":
            relation = {"above": ">", "below": "<", "at_most": "<="}[name]
            return f"{two} {{ return {p}_float_{n}({sign}(a {relation} b) & 0x3f800000); }}"
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


def functions_of(prefix: str, names: Iterator[str] | list[str], width: int) -> str:
    """Return the C text of a vector's types and functions, of one width."""
    wanted = [name for name in names if name != "all"]
    return "\n".join([vectors_of(prefix, width), *(function(prefix, name, width) for name in wanted)])


def _polynomial(coefficients: tuple[str, ...]) -> str:
    """Return a polynomial of degree 4 in t, of which u is the square, so that few products wait for each other."""
    a, b, c, d, e = (f"{text}f" for text in coefficients)
    return f"({a} + {b} * t) + (({c} + {d} * t) + {e} * u) * u"
