"""Matrices times vectors: the order of the weights, and the functions that multiply them column by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array
from gatewise.c_header.arithmetic import Arithmetic, Expression
from gatewise.c_header.functions import WIDTHS, in_every_build
from gatewise.c_header.phases import ProductGroup, identifier
from gatewise.symbolic.formula import MatMul, Symbol

MOST = {16: 16, 8: 12, 4: 8}  # sums that a function keeps in registers, by the width of a vector
CACHED = 40_000  # bytes of weights that stay in a processor's first cache from step to step
TILE = 64  # rows in a tile of more weights than that
INLINED = 128  # rows of a function that is compiled into its caller; with more its sums would not stay in registers


@dataclass(frozen=True, eq=False)
class Products:
    """The products of some matrices and a vector.

    Their rows stand block by block, and in a block matrix by matrix; the weights of a tile of rows column by column.

    Attributes
    ----------
    vector : Symbol
    sums : tuple of str
        The names of what a row of each matrix adds to.
    weights : array (rows, columns)
    begin : int
        Where the sums begin among those of the phase.
    more : bool
        Whether products with another vector are in the sums already.
    """

    vector: Symbol
    sums: tuple[str, ...]
    weights: Array
    begin: int
    more: bool

    @property
    def tile(self) -> int:
        """The number of rows of a tile; the last has fewer."""
        rows = len(self.weights)
        return TILE if self.weights.size > CACHED // 4 and rows >= 2 * TILE else rows

    def table(self) -> Array:
        """Return the weights in the order in which they are read."""
        tiles = range(0, len(self.weights), self.tile)
        return np.concatenate([self.weights[at : at + self.tile].T.reshape(-1) for at in tiles])

    def calls(self, prefix: str, table: str, vector: str) -> Iterator[str]:
        """Yield the statements that compute the sums from a table and a vector, which are pointers."""
        rows, columns = self.weights.shape
        count = rows // TILE if self.tile < rows else 0
        if count:
            yield f"    for (u = 0; u < {count}; u++) {{"
            yield f"        const size_t tile = s->turn ? {count - 1} - u : u;"
            sums, weights = plus("t->sums", self.begin, f"tile * {TILE}"), f"{table} + tile * {TILE * columns}"
            yield from self._tile_calls(prefix, sums, weights, TILE, vector)
            yield "    }"
        begin = count * TILE
        if begin < rows:
            sums, weights = plus("t->sums", self.begin + begin), plus(table, begin * columns)
            yield from self._tile_calls(prefix, sums, weights, rows - begin, vector)

    def _tile_calls(self, p: str, sums: str, table: str, rows: int, vector: str) -> Iterator[str]:
        """Yield the calls that multiply a tile, for every build."""

        def calls(lanes: int) -> Iterator[str]:
            for begin, width, count in chunks(rows, lanes):
                name, last = (f"{width}x{count}", "") if width > 1 else ("rows", f", {count}")
                arguments = f"{plus(sums, begin)}, {plus(table, begin)}, {rows}, {vector}, {self.weights.shape[1]}"
                yield f"    {p}_sum_{name}({arguments}, {int(self.more)}{last});"

        return in_every_build(p, [width for width in WIDTHS if width <= rows], calls)


def products_of(groups: Sequence[ProductGroup], blocks: Sequence[tuple[int, int, int]]) -> Iterator[Products]:
    """Yield the products of a phase, whose entries stand in blocks of a width, a begin and a count."""
    spans = [slice(begin + k * width, begin + (k + 1) * width) for width, begin, count in blocks for k in range(count)]
    begins, end = dict[tuple[str, ...], int](), 0
    for group in groups:
        names, columns = tuple(map(sum_of, group.products)), group.weights.shape[2]
        weights = np.concatenate([group.weights[:, span].reshape(-1, columns) for span in spans])
        more = names in begins
        begin = begins.setdefault(names, end)
        end = max(end, begin + -len(weights) // 16 * -16)
        yield Products(group.vector, names, weights, begin, more)


def sum_of(product: MatMul) -> str:
    """Return the name of the variable in which a matrix's products are summed."""
    assert isinstance(product.left, Symbol)
    return f"dot_{identifier(product.left)}"


def plus(*terms: str | int) -> str:
    """Return a sum in C, without its terms that are 0."""
    return " + ".join(str(term) for term in terms if term != 0)


def chunks(rows: int, lanes: int) -> Iterator[tuple[int, int, int]]:
    """Yield the parts of a tile that a function sums at once: its first row, the vectors' width, their number."""
    begin = 0
    for width in (width for width in WIDTHS if width <= lanes):
        vectors = (rows - begin) // width
        parts = -(-vectors // MOST[width])
        for n in range(parts):
            count = vectors // parts + (n < vectors % parts)
            yield begin, width, count
            begin += width * count
    if begin < rows:
        yield begin, 1, rows - begin


def summing(prefix: str, width: int, count: int) -> str:
    """Return the C text of the function that adds the products of some vectors of rows to their sums.

    Sums that are few are kept several times, for columns in turn, so that no product waits for the one before it.
    """
    p, copies, write = prefix, 1 if count >= 8 else 2 if count > 2 else 4, Arithmetic(prefix, width)
    vector, name = "float" if width == 1 else f"{p}_v{width}", f"{p}_sum_{width}x{count}"
    zero = "0.0f" if width == 1 else f"{p}_all_{width}(0.0f)"

    def columns(turns: int) -> Iterator[str]:
        for turn in range(turns):
            yield f"        const float z{turn} = z[{plus('j', turn)}];"
            for n in range(count):
                at = plus("w", turn and f"{turn} * rows", n * width)
                if width == 1:
                    yield f"        s{turn}_{n} += {p}_load_1({at}) * z{turn};"
                else:
                    yield f"        {p.upper()}_ACCUMULATE({width}, s{turn}_{n}, {at}, z{turn});"

    kind = f"{p.upper()}_{'NOT_' * (width * count > INLINED)}INLINE"
    lines = [
        f"{kind} void {name}(float *sums, const float *w, size_t rows, const float *z, size_t n, int more)",
        "{",
        f"    const size_t whole = n - n % {copies};",
        "    size_t j;",
        *(f"    {vector} s0_{n} = more ? {p}_load_{width}({plus('sums', n * width)}) : {zero};" for n in range(count)),
        *(f"    {vector} s{copy}_{n} = {zero};" for copy in range(1, copies) for n in range(count)),
        f"    for (j = 0; j < whole; j += {copies}, w += {copies} * rows) {{",
        *columns(copies),
        "    }",
        "    for (j = whole; j < n; j++, w += rows) {",
        *columns(1),
        "    }",
    ]
    for n in range(count):
        sums = [Expression(f"s{copy}_{n}") for copy in range(copies)]
        while len(sums) > 1:
            sums = [write.sum(*pair) for pair in zip(sums[::2], sums[1::2], strict=True)]
        lines.append(f"    {p}_store_{width}({plus('sums', n * width)}, {sums[0].text});")
    return "\n".join([*lines, "}"])


def sums(prefix: str, functions: set[tuple[int, int]]) -> str:
    """Return the C text of functions that multiply matrices: those of vectors, and that of rows that fill none."""
    p, upper = prefix, prefix.upper()
    texts = [f"#if {upper}_LANES >= {width}\n{summing(p, width, count)}\n#endif" for width, count in sorted(functions)]
    rows = f"""\
{upper}_INLINE float {p}_dot(const float *w, size_t step, const float *z, size_t n)
{{
    size_t j, whole = 0;
    float sum = 0.0f;
#if {upper}_LANES >= 4
    {p}_v4 four = {p}_all_4(0.0f);
    whole = step == 1 ? n - n % 4 : 0;
    for (j = 0; j < whole; j += 4) four = {upper}_ADD_MUL(4, four, {p}_load_4(w + j), {p}_load_4(z + j));
    sum = {p}_total_4(four);
#endif
    for (j = whole; j < n; j++) sum += w[j * step] * z[j];
    return sum;
}}

{upper}_INLINE void {p}_sum_rows(float *sums, const float *w, size_t rows, const float *z, size_t n, int more,
    size_t count)
{{
    size_t r;
    for (r = 0; r < count - count % 16; r += 16) {p}_sum_1x16(sums + r, w + r, rows, z, n, more);
    for (r = count - count % 16; r < count; r++) sums[r] = (more ? sums[r] : 0.0f) + {p}_dot(w + r, rows, z, n);
}}"""
    return "\n\n".join([*texts, summing(p, 1, 16), rows])
