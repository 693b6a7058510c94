"""The header: its comment, its tables, its functions, and the run that it is tested with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap

import numpy as np

from gatewise.arrays import Array
from gatewise.c_header.expressions import literal, with_needed
from gatewise.c_header.functions import WIDTHS, build_macros, functions_of
from gatewise.c_header.products import sums
from gatewise.c_header.stage_code import StageCode
from gatewise.c_header.stages import stages_of
from gatewise.network import Network

LEAST, TIMES = 2e-6, 8  # what the error in float32 may be: this, or so many times that of NumPy's float32


@dataclass(frozen=True, eq=False)
class TestRun:
    """A run with which a build is compared: its input, its output and the last state, in float64."""

    x: Array
    y: Array
    state: Array
    tolerance: float


@dataclass(frozen=True, eq=False)
class Header:
    """What a header is written from.

    Attributes
    ----------
    network : Network
    name : str
        With which every name in it begins.
    initial, rest : array or None
        States, layer by layer: h, c.
    test : TestRun
    """

    network: Network
    name: str
    initial: Array | None
    rest: Array | None
    test: TestRun


@dataclass(frozen=True, eq=False)
class HeaderParts:
    """The text of a header without its comment, and what it takes.

    Attributes
    ----------
    code : str
    flash : int
        Bytes of its tables.
    work : int
        Numbers that a step needs beside the state.
    """

    code: str
    flash: int
    work: int

    def text(self, comment: tuple[str, ...]) -> str:
        """Return the whole text, with the lines of its comment."""
        return "\n".join(["/*", *(f" * {line}".rstrip() for line in comment), " */", self.code])


@dataclass(frozen=True, eq=False)
class Interface:
    """What a caller of a header sees.

    Attributes
    ----------
    name : str
        With which every name in it begins.
    inputs, outputs, gates : int
        The numbers of a step.
    states : tuple of tuple of (str, int)
        The arrays of the state, each with its size, in groups that are declared together.
    turns : bool
        Whether the state also holds the direction in which large tables are read.
    initial, rest : array or None
        States, in order.
    test : TestRun
    """

    name: str
    inputs: int
    outputs: int
    gates: int
    states: tuple[tuple[tuple[str, int], ...], ...]
    turns: bool
    initial: Array | None
    rest: Array | None
    test: TestRun

    @property
    def arrays(self) -> list[tuple[str, int]]:
        """The arrays of the state."""
        return [array for group in self.states for array in group]


def header_parts(header: Header) -> HeaderParts:
    """Return the text of a header, but for its comment."""
    network, p = header.network, header.name
    stages = [StageCode(p, stage) for stage in stages_of(network)]
    tables = {name: array for stage in stages for name, array in stage.tables.items()} | _network_tables(header)
    work = {"sums": 0}  # first, where vectors are stored fastest
    work |= {"x": network.num_features} if network.inputs is not None else {}
    if network.branches:
        work |= {"z": network.lstm.input_size}
        work |= {f"f{n}": len(branch.features) for n, branch in enumerate(network.branches) if branch.layers}
    sizes = cell_sizes(network)
    interface = Interface(
        p,
        _inputs(network),
        network.num_outputs,
        sum(4 * c for _, c in sizes),
        tuple(((f"h{n}", h), (f"c{n}", c)) for n, (h, c) in enumerate(sizes)),
        any("s->turn" in stage.text for stage in stages),
        header.initial,
        header.rest,
        header.test,
    )
    body = _step_body(header, stages, interface.turns)
    return assembled(interface, stages, tables, work, body)


def assembled(
    interface: Interface,
    stages: Sequence[StageCode],
    tables: Mapping[str, Array],
    work: dict[str, int],
    body: Sequence[str],
    functions: Iterable[str] = (),
    places: Mapping[str, Array] | None = None,
) -> HeaderParts:
    """Return the text of a header whose step is a body of statements, but for its comment.

    `functions` are those that the body calls beside its stages', `places` tables of whole numbers.
    """
    p, upper = interface.name, interface.name.upper()
    for stage in stages:
        work |= stage.work | {"sums": max(work.get("sums", 0), stage.work.get("sums", 0))}
    texts = [stage.text for stage in stages]
    needed = with_needed(set(functions).union(*(stage.functions for stage in stages)))
    parts = [
        f"#ifndef {upper}_H\n#define {upper}_H\n\n#include <math.h>\n#include <stddef.h>\n#include <stdint.h>\n"
        "#include <string.h>",
        _interface(interface),
        build_macros(p),
        functions_of(p, needed, 1),
        *(f"#if {upper}_LANES >= {width}\n{functions_of(p, needed, width)}\n#endif" for width in reversed(WIDTHS)),
        sums(p, {(int(width), int(count)) for width, count in re.findall(r"_sum_(\d+)x(\d+)\(", "".join(texts))}),
        *(_table(upper, name, array) for name, array in tables.items()),
        *(_places_table(name, array) for name, array in (places or {}).items()),
        _work(p, work),
        *texts,
        *_step_functions(interface, body),
        *_state_functions(interface),
        _test(interface),
        f"#endif /* {upper}_H */",
    ]
    flash = 4 * sum(np.size(array) for array in tables.values())
    flash += sum(array.nbytes for array in (places or {}).values())
    code = "\n\n".join(part for part in parts if part) + "\n"
    return HeaderParts(code, flash, sum(max(size, 1) for size in work.values()) + interface.turns)


def cell_sizes(network: Network) -> list[tuple[int, int]]:
    """Return the sizes of h and c in each layer."""
    cells = [layer[0].parameters for layer in network.lstm.layers]
    return [(p.recurrent_size, p.hidden_size) for p in cells]


def _interface(interface: Interface) -> str:
    p, upper = interface.name, interface.name.upper()
    members = " ".join(f"float {', '.join(f'{name}[{size}]' for name, size in group)};" for group in interface.states)
    members += " uint32_t turn;" * interface.turns
    return f"""\
#define {upper}_INPUTS {interface.inputs}
#define {upper}_OUTPUTS {interface.outputs}
#define {upper}_STATES {sum(size for _, size in interface.arrays)}
#define {upper}_GATES {interface.gates}
#define {upper}_HAS_REST {int(interface.rest is not None)}

typedef struct {p}_state {{ {members} }} {p}_state;"""


def _places_table(name: str, array: Array) -> str:
    """Return the text of a table of whole numbers."""
    lines = wrap(", ".join(map(str, array.tolist())), 108)
    body = "\n    ".join(lines)
    return f"static const {array.dtype.name}_t {name}[{array.size}] = {{\n    {body}\n}};"


def _table(upper: str, name: str, array: Array) -> str:
    """Return the text of a table of numbers."""
    values = [literal(float(value)) for value in np.asarray(array, np.float64).reshape(-1)]
    lines, line = list[str](), ""
    for value in values:
        if len(line) + len(value) > 108:
            lines.append(line.rstrip())
            line = ""
        line += f"{value}, "
    lines.append(line.rstrip(", "))
    body = "\n    ".join(lines)
    return f"{upper}_ALIGNED static const float {name}[{len(values)}] = {{\n    {body}\n}};"


def _work(p: str, work: Mapping[str, int]) -> str:
    if not work:
        return ""
    members = "\n".join(f"    float {name}{f'[{size}]' if size else ''};" for name, size in work.items())
    return f"typedef struct {p}_work {{\n{members}\n}} {p}_work;"


def _network_tables(header: Header) -> dict[str, Array]:
    """Return the tables of a network beside those of its stages."""
    network, p = header.network, header.name
    tables: dict[str, Array] = {}
    if network.inputs is not None:
        center = network.inputs.center
        high = center.astype(np.float32).astype(np.float64)
        tables |= {f"{p}_center": high, f"{p}_scale": network.inputs.scale}
        if (center != high).any():
            tables[f"{p}_center_low"] = center - high
    if network.embedding is not None:
        size = network.embedding.shape[1]
        tables[f"{p}_embedding"] = np.concatenate([network.embedding, np.full((1, size), np.nan)])
    if network.masked is not None:
        tables[f"{p}_none"] = np.zeros(network.lstm.output_size)
    for name, state in (("initial", header.initial), ("at_rest", header.rest)):
        if state is not None:
            tables[f"{p}_{name}"] = state
    return tables


def _step_body(header: Header, stages: list[StageCode], turns: bool) -> list[str]:
    """Return the statements that run a step."""
    network, p, upper = header.network, header.name, header.name.upper()
    cells, head = [s for s in stages if s.stage.gates], [s for s in stages if s.stage.name == "head"]
    body = [f"    {upper}_ALIGNED {p}_work work;", f"    {p}_work *const t = &work;"]
    if network.embedding is not None:
        count, size = network.embedding.shape
        body.append(
            f"    const float *row = {p}_embedding + {size} * (x[0] >= 0.0f && x[0] < {literal(count)}"
            f" ? (size_t)x[0] : (size_t){count}); /* no such token: NaN */"
        )
    if network.masked is not None:
        body.append(f"    const float *top = s->h{len(cells) - 1};")
    body += _scaling(header)
    body += [f"    {stage.call}" for stage in stages if not stage.stage.gates and stage.stage.name != "head"]
    places, layers = 0, []
    for number, stage in enumerate(cells):
        at = f"gates ? gates + {places} : gates" if places else "gates"
        layers.append(f"    {stage.call.replace('gates', at)}")
        places += 4 * cell_sizes(network)[number][1]
    if network.masked is not None:
        tests = " && ".join(f"x[{k}] == {literal(network.masked)}" for k in range(_inputs(network)))
        layers = [
            f"    if ({tests}) {{",
            f"        top = {p}_none;",
            "    } else {",
            *(f"    {x}" for x in layers),
            "    }",
        ]
    body += layers
    if head:
        body.append(f"    {head[0].call}")
    else:
        source = "top" if network.masked is not None else f"s->h{len(cells) - 1}"
        body.append(f"    memcpy(y, {source}, {network.num_outputs} * sizeof(float));")
    if turns:
        body.append("    s->turn ^= 1u;")
    return body


def _step_functions(interface: Interface, body: Sequence[str]) -> Iterator[str]:
    """Yield the functions that run a step, with and without its gates, and a block of steps."""
    p, upper = interface.name, interface.name.upper()
    statements = "\n".join(body)
    yield f"""\
{upper}_ONE_BODY void {p}_run({p}_state *s, const float *x, float *y, float *gates)
{{
{statements}
}}"""
    yield f"static inline void {p}_step({p}_state *s, const float *x, float *y) {{ {p}_run(s, x, y, NULL); }}"
    yield f"""\
static inline void {p}_block({p}_state *s, const float *x, float *y, size_t n)
{{
    size_t k;
    for (k = 0; k < n; k++) {p}_run(s, x + k * {upper}_INPUTS, y + k * {upper}_OUTPUTS, NULL);
}}"""
    yield f"""\
#ifdef {upper}_WITH_GATES
static inline void {p}_step_gates({p}_state *s, const float *x, float *y, float *gates) {{ {p}_run(s, x, y, gates); }}
#endif"""


def _inputs(network: Network) -> int:
    return 1 if network.embedding is not None else network.num_features


def _scaling(header: Header) -> Iterator[str]:
    """Yield the statements that scale the features and gather those of each branch."""
    network, p = header.network, header.name
    read = "x"
    if network.inputs is not None:
        low = f" - {p}_center_low[k]" if f"{p}_center_low" in _network_tables(header) else ""
        yield f"    {{ size_t k; for (k = 0; k < {network.num_features}; k++) t->x[k] ="
        yield f"        (x[k] - {p}_center[k]{low}) / {p}_scale[k]; }}"
        read = "t->x"
    begin = 0
    for number, branch in enumerate(network.branches):
        target = f"t->f{number}" if branch.layers else "t->z"
        first = 0 if branch.layers else begin
        yield from (f"    {target}[{first + n}] = {read}[{feature}];" for n, feature in enumerate(branch.features))
        begin += branch.size


def _state_functions(interface: Interface) -> Iterator[str]:
    """Yield the functions that set, read, write and check the state."""
    p, turns = interface.name, interface.turns
    copies = {"get": ("flat + {at}", "s->{name}"), "set": ("s->{name}", "flat + {at}")}
    for verb, (target, source) in copies.items():
        at, lines = 0, list[str]()
        for name, size in interface.arrays:
            to, what = target.format(at=at, name=name), source.format(at=at, name=name)
            lines.append(f"    memcpy({to}, {what}, {size} * sizeof(float));")
            at += size
        if turns and verb == "set":
            lines.append("    s->turn = 0u;")
        arguments = f"const {p}_state *s, float *flat" if verb == "get" else f"{p}_state *s, const float *flat"
        yield f"static inline void {p}_{verb}({arguments})\n{{\n" + "\n".join(lines) + "\n}"
    reset = f"{p}_set(s, {p}_initial);" if interface.initial is not None else "memset(s, 0, sizeof *s);"
    yield f"static inline void {p}_reset({p}_state *s) {{ {reset} }}"
    if interface.rest is not None:
        yield f"static inline void {p}_rest({p}_state *s) {{ {p}_set(s, {p}_at_rest); }}"
    infinite = "0x7f800000"  # the exponent of infinity and NaN; compared as bits, it survives -ffast-math
    loops = "\n".join(
        f"    for (k = 0; k < {size}; k++) found |= ({p}_bits_1(s->{name}[k]) & {infinite}) == {infinite};"
        for name, size in interface.arrays
    )
    yield f"""\
/* 1 if every number of the state is finite, else 0. A NaN stays, and y stays NaN, until the state is set. */
static inline int {p}_is_finite(const {p}_state *s)
{{
    size_t k;
    int found = 0;
{loops}
    return !found;
}}"""


def _test(interface: Interface) -> str:
    """Return the function that compares a build with the run in float64."""
    p, upper, test = interface.name, interface.name.upper(), interface.test
    steps = len(test.x)
    return f"""\
#ifdef {upper}_TEST
{_table(upper, f"{p}_test_x", test.x)}

{_table(upper, f"{p}_test_y", test.y)}

{_table(upper, f"{p}_test_state", test.state)}

/* 0 if a run of {steps} steps from reset comes out as it does in float64, else the place of the first wrong number,
   counted from 1: of the outputs, then of the last state. */
static inline int {p}_test(void)
{{
    {p}_state s;
    float y[{steps} * {upper}_OUTPUTS], flat[{upper}_STATES];
    int k;
    {p}_reset(&s);
    {p}_block(&s, {p}_test_x, y, {steps});
    {p}_get(&s, flat);
    for (k = 0; k < {steps} * {upper}_OUTPUTS; k++)
        if (!(fabsf(y[k] - {p}_test_y[k]) <= {literal(test.tolerance)} * (1.0f + fabsf({p}_test_y[k])))) return k + 1;
    for (k = 0; k < {upper}_STATES; k++)
        if (!(fabsf(flat[k] - {p}_test_state[k]) <= {literal(test.tolerance)} * (1.0f + fabsf({p}_test_state[k]))))
            return k + 1 + {steps} * {upper}_OUTPUTS;
    return 0;
}}
#endif"""
