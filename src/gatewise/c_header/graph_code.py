"""One step of a graph as C: its nodes as statements, with the stages of its LSTMs and matrices.

All numbers are floats. What only moves numbers is a table of places, made by running the operation on 0, 1, 2 …; parts
that stay together are copied, and what moves nothing has no code at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gatewise.c_header.expressions import literal
from gatewise.c_header.stage_code import StageCode
from gatewise.c_header.stages import Stage, Vector, cell_stage, head_stage
from gatewise.errors import OptionError
from gatewise.layers import LSTM
from gatewise.layers.wired import wiring_of
from gatewise.network.graph import Node, evaluate
from gatewise.network.limits import RunLimits
from gatewise.network.operations import AnyArray
from gatewise.network.operations.c_forms import Elementwise
from gatewise.network.step_graph import StepGraph
from gatewise.symbolic.heads import Dense, Head

COPIES = 8  # parts that are copied one by one; more go by a table of places
OUTSIDE = -1  # the place of padding


class GraphCode:
    """The statements of a step, and what they need.

    Attributes
    ----------
    body : list of str
        Statements, from ``x`` to ``y``.
    stages : list of StageCode
    tables, places : dict of str to array
        Of numbers, and of whole numbers.
    work : dict of str to int
        The arrays that a step needs, with their sizes.
    functions : set of str
        The functions of a header that the statements call.
    states : tuple of tuple of (str, int)
        The arrays of the state with their sizes, in groups.
    initial : array
        The state before the first step.
    gates : int
        The numbers of all gates.
    """

    def __init__(self, prefix: str, step: StepGraph) -> None:
        self.prefix, self.step, self.graph = prefix, step, step.graph
        self.shapes = {name: array.shape for name, array in step.run.values.items()}
        self.types = {name: array.dtype for name, array in step.run.values.items()}
        self.body, self.stages = list[str](), list[StageCode]()
        self.tables: dict[str, AnyArray] = {}
        self.places: dict[str, AnyArray] = {}
        self.work: dict[str, int] = {"sums": 0}  # first, where vectors are stored fastest
        self.functions = set[str]()
        self.pointers: dict[str, str] = {}
        self.gates = 0
        self._lstms: list[str] = []
        at = 0
        for port in self.graph.inputs[: len(step.inputs)]:
            self.pointers[port.name] = _plus("x", at)
            at += self.size(port.name)
        self.inputs = at
        self._declare_states()
        for node in self.graph.nodes:
            self._write(node)
        self._finish()

    # Where values are.

    def size(self, value: str) -> int:
        """Return the number of numbers in a value."""
        return math.prod(self.shapes[value])

    def pointer(self, value: str) -> str:
        """Return where a value is; constants become tables when they are first read."""
        if value not in self.pointers:
            if value in self.graph.constants:
                self.pointers[value] = self._table(self.graph.constants[value])
            else:
                self.pointers[value] = self._own(self.size(value))
        return self.pointers[value]

    def _table(self, array: AnyArray) -> str:
        name = f"{self.prefix}_table{len(self.tables)}"
        self.tables[name] = np.asarray(array, np.float64).reshape(-1)
        return name

    def _places(self, places: AnyArray) -> str:
        name = f"{self.prefix}_places{len(self.places)}"
        kind = np.int16 if places.size and places.max() < 2**15 else np.int32
        self.places[name] = places.reshape(-1).astype(kind)
        return name

    def _own(self, size: int) -> str:
        name = f"v{len(self.work)}"
        self.work[name] = max(1, size)
        return f"t->{name}"

    def _declare_states(self) -> None:
        """Give each state an array: h and c of each LSTM, and the others by their places."""
        groups, initial = list[list[tuple[str, int]]](), list[AnyArray]()
        for state in self.step.states:
            if state.lstm and state.lstm not in self._lstms:
                self._lstms.append(state.lstm)
                groups.append([])
            number = self._lstms.index(state.lstm) if state.lstm else len(groups)
            name = f"{'hc'['c0' in state.name[-2:]]}{number}" if state.lstm else f"k{number}"
            if not state.lstm:
                groups.append([])
                self._lstms.append("")
            groups[number].append((name, state.initial.size))
            initial.append(state.initial.reshape(-1))
            self.pointers[state.name] = f"s->{name}"
        self.states = tuple(map(tuple, groups))
        self.initial = np.concatenate(initial).astype(np.float64) if initial else np.zeros(0)

    # Statements.

    def _write(self, node: Node) -> None:
        form = node.row.c
        writers: dict[str, Callable[[Node], None]] = {
            "moves": self._moves,
            "cast": self._cast,
            "clip": self._clip,
            "gather": self._gather,
            "matrix": self._matrix,
            "contraction": self._einsum,
            "convolution": self._convolution,
            "pool": self._pool,
            "reduction": self._reduction,
            "lstm": self._lstm,
        }
        if form is None:
            raise OptionError(f"cannot write {node.title} as C")
        if isinstance(form, Elementwise):
            self._each(node, form)
        else:
            writers[form](node)

    def _refuse(self, node: Node, why: str) -> OptionError:
        return OptionError(f"cannot write {node.title} as C: {why}")

    def _loop(self, count: int, statement: str) -> None:
        self.body.append(f"    {{ size_t k; for (k = 0; k < {count}; k++) {{ {statement} }} }}")

    def _at(self, value: str, shape: Sequence[int]) -> str:
        """Return the number of a value at place k of a shape to which it is repeated."""
        size, total = self.size(value), math.prod(shape)
        if size == 1:
            array = self.graph.constants.get(value)
            return f"{self.pointer(value)}[0]" if array is None else literal(float(array.reshape(())))
        if size == total:
            return f"{self.pointer(value)}[k]"
        places = np.broadcast_to(np.arange(size).reshape(self.shapes[value]), shape).reshape(-1)
        if np.array_equal(places, np.arange(total) % size):
            return f"{self.pointer(value)}[k % {size}]"
        inner = total // size
        if np.array_equal(places, np.arange(total) // inner):
            return f"{self.pointer(value)}[k / {inner}]"
        return f"{self.pointer(value)}[{self._places(places)}[k]]"

    def _each(self, node: Node, form: Elementwise) -> None:
        """Write an operation on each number by itself."""
        (y,) = node.outputs
        if form.real and self.types[y].kind != "f":
            raise self._refuse(node, "it computes with integers")
        settings = {name: literal(value) for name, value in node.settings.items() if isinstance(value, float | int)}
        for name in ("tanh", "sigmoid"):
            if f"{{{name}}}" in form.text:
                self.functions.add(name)
            settings[name] = f"{self.prefix}_{name}_1"
        text = form.text.format(**settings)
        exponent = self.graph.constants.get(node.inputs[1]) if node.op == "pow" else None
        if exponent is not None and exponent.size == 1 and float(exponent.reshape(())) in (2.0, 0.5):
            text = "a * a" if float(exponent.reshape(())) == 2.0 else "sqrtf(a)"
        read = node.inputs[: 1 if "b" not in _letters(text) else None]
        numbers = ", ".join(
            f"{letter} = {self._at(name, self.shapes[y])}" for letter, name in zip("abc", read, strict=False)
        )
        self._loop(self.size(y), f"const float {numbers}; {self.pointer(y)}[k] = {text};")

    def _cast(self, node: Node) -> None:
        x, (y,) = node.inputs[0], node.outputs
        kind, before = self.types[y].kind, self.types[x].kind
        if kind == "b" and before != "b":
            self._loop(self.size(y), f"{self.pointer(y)}[k] = {self.pointer(x)}[k] != 0.0f ? 1.0f : 0.0f;")
        elif kind in "iu" and before == "f":
            self._loop(self.size(y), f"{self.pointer(y)}[k] = truncf({self.pointer(x)}[k]);")
        else:
            self.pointers[y] = self.pointer(x)

    def _clip(self, node: Node) -> None:
        (y,), shape = node.outputs, self.shapes[node.outputs[0]]
        text = "a"
        for place, relation in ((1, "<"), (2, ">")):
            if len(node.inputs) > place and node.inputs[place]:
                bound = self._at(node.inputs[place], shape)
                text = f"({text} {relation} {bound} ? {bound} : {text})" if place == 1 else text
                if place == 2:
                    self._loop(
                        self.size(y),
                        f"const float a = {self._at(node.inputs[0], shape)}; const float b = {text};"
                        f" {self.pointer(y)}[k] = b > {bound} ? {bound} : b;",
                    )
                    return
        self._loop(self.size(y), f"const float a = {self._at(node.inputs[0], shape)}; {self.pointer(y)}[k] = {text};")

    # Moves.

    def _moves(self, node: Node) -> None:
        """Write what only moves numbers."""
        data = node.inputs if node.op in ("concat", "stack") else node.inputs[:1]
        if node.op in ("identity", "cast_like"):
            self.pointers[node.outputs[0]] = self.pointer(node.inputs[0])
            return
        sources, arrays, total = list[tuple[str, int]](), list[Any](), 0
        for place, name in enumerate(node.inputs):
            if place < len(data):
                size = self.size(name)
                arrays.append(np.arange(total, total + size).reshape(self.shapes[name]))
                sources.append((name, total))
                total += size
            elif node.op == "pad" and place == 2:
                arrays.append(np.array(OUTSIDE) if name else None)
            else:
                if name and name not in self.graph.constants:
                    raise self._refuse(node, f"its {name!r} is only known during the run")
                arrays.append(self.graph.constants.get(name))
        filling = literal(0.0)
        if node.op == "pad":
            arrays += [None] * (2 - len(arrays)) + [np.array(OUTSIDE)] * (len(arrays) == 2)
            value = (
                self.graph.constants.get(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else np.zeros(())
            )
            if value is None:
                raise self._refuse(node, "its padding is only known during the run")
            filling = literal(float(value.reshape(())))
        results = evaluate(node, arrays, RunLimits(0, 0))
        for name, places in zip(node.outputs, results, strict=True):
            self._copy(name, places.reshape(-1), sources, filling)

    def _copy(self, target: str, places: AnyArray, sources: list[tuple[str, int]], filling: str = "0.0f") -> None:
        """Write the copying of numbers from their places in some values, one behind another."""
        count = len(places)
        if not count:
            self.pointer(target)
            return
        bounds = [begin for _, begin in sources[1:]]
        owner = np.searchsorted(bounds, places, side="right") if bounds else np.zeros(count, int)
        owner = np.where(places == OUTSIDE, OUTSIDE, owner)
        breaks = np.flatnonzero((np.diff(places) != 1) | (np.diff(owner) != 0)) + 1
        starts = [0, *breaks.tolist()]
        ends = [*starts[1:], count]
        if len(starts) == 1 and places[0] != OUTSIDE:
            name, begin = sources[owner[0]]
            self.pointers[target] = _plus(self.pointer(name), int(places[0]) - begin)
            return
        to = self.pointer(target)
        if len(starts) <= COPIES and (owner != OUTSIDE).all():
            for start, end in zip(starts, ends, strict=True):
                name, begin = sources[owner[start]]
                source = _plus(self.pointer(name), int(places[start]) - begin)
                self.body.append(f"    memcpy({_plus(to, start)}, {source}, {end - start} * sizeof(float));")
            return
        table, chosen = self._places(places), ""
        for number, (name, begin) in reversed(list(enumerate(sources))):
            here = f"{self.pointer(name)}[p{f' - {begin}' if begin else ''}]"
            chosen = here if not chosen else f"p < {sources[number + 1][1]} ? {here} : {chosen}"
        if (places == OUTSIDE).any():
            chosen = f"p < 0 ? {filling} : {chosen}"
        self._loop(count, f"const int p = {table}[k]; {to}[k] = {chosen};")

    def _gather(self, node: Node) -> None:
        """Write a choice of fixed places, or the rows of a table by their numbers."""
        x, indices = node.inputs
        if indices in self.graph.constants:
            places = np.arange(self.size(x)).reshape(self.shapes[x])
            taken = evaluate(node, [places, self.graph.constants[indices]], RunLimits(0, 0))[0]
            self._copy(node.outputs[0], taken.reshape(-1), [(x, 0)])
            return
        if node.settings["axis"] % len(self.shapes[x]):
            raise self._refuse(node, "its indices are only known during the run, and are not along the first axis")
        rows = self.shapes[x][0]
        width, y = self.size(x) // max(rows, 1), self.pointer(node.outputs[0])
        self.body.append(
            f"    {{ size_t k, j; for (k = 0; k < {self.size(indices)}; k++) {{"
            f" const float a = {self.pointer(indices)}[k], b = a < 0.0f ? a + {literal(rows)} : a;"
            f" for (j = 0; j < {width}; j++) {y}[k * {width} + j] ="
            f" b >= 0.0f && b < {literal(rows)} ? {self.pointer(x)}[(size_t)b * {width} + j] : NAN; }} }}"
        )

    # Products.

    def _stage(self, name: str, weight: AnyArray, bias: AnyArray | None) -> str:
        """Add a matrix that multiplies ``row`` and stores into ``to``; return the statement that calls it."""
        layer = Dense(weight, np.zeros(len(weight)) if bias is None else bias)
        stage = head_stage(name, Head((layer,)), Vector("row", weight.shape[1]), Vector("to", len(weight)))
        return self._added(stage)

    def _added(self, stage: Stage) -> str:
        code = StageCode(self.prefix, stage)
        self.stages.append(code)
        self.tables |= code.tables
        return code.call

    def _matrix(self, node: Node) -> None:
        """Write a product of a matrix that is known and each row of a value; any other as a contraction."""
        x, w, bias = (*node.inputs, "")[:3]
        weight, (y,) = self.graph.constants.get(w), node.outputs
        offset = self.graph.constants.get(bias) if bias else None
        known = weight is not None and weight.ndim == 2 and (not bias or offset is not None)
        if not known or weight is None:
            if node.op == "linear":
                raise self._refuse(node, "its weight is only known during the run")
            return self._product(node)
        weight = weight.T if node.op == "matmul" else weight
        call = self._stage(f"dense{len(self.stages)}", np.ascontiguousarray(weight), offset)
        rows, (outputs, inputs) = self.size(x) // weight.shape[1], weight.shape
        source, target = self.pointer(x), self.pointer(y)
        if rows == 1:
            self.body.append(f"    {{ const float *row = {source}; float *to = {target}; {call} }}")
        else:
            self.body.append(
                f"    {{ size_t k; for (k = 0; k < {rows}; k++) {{ const float *row = {source} + k * {inputs};"
                f" float *to = {target} + k * {outputs}; {call} }} }}"
            )
        return None

    def _product(self, node: Node) -> None:
        """Write a product of two values, or of stacks of them."""
        a, b = node.inputs
        ranks = len(self.shapes[a]), len(self.shapes[b])
        if min(ranks) < 2:
            raise self._refuse(node, "one of its values has no rows")
        rest = max(ranks) - 2
        batch = "abcdefgh"[:rest]
        left, right = batch[rest - (ranks[0] - 2) :] + "ij", batch[rest - (ranks[1] - 2) :] + "jk"
        self._contract(node, [left, right], f"{batch}ik")

    def _einsum(self, node: Node) -> None:
        terms, out = node.settings["equation"].split("->")
        self._contract(node, terms.split(","), out)

    def _contract(self, node: Node, terms: Sequence[str], out: str) -> None:
        """Write a sum of products over the letters of axes."""
        sizes: dict[str, int] = {}
        for term, name in zip(terms, node.inputs, strict=True):
            for letter, size in zip(term, self.shapes[name], strict=True):
                sizes[letter] = max(size, sizes.get(letter, 1))
        free = [*out, *(letter for letter in sizes if letter not in out)]
        loops = "".join(f"for (i_{letter} = 0; i_{letter} < {sizes[letter]}; i_{letter}++) " for letter in free)
        factors = [
            f"{self.pointer(name)}[{_index(term, self.shapes[name])}]"
            for term, name in zip(terms, node.inputs, strict=True)
        ]
        y = self.pointer(node.outputs[0])
        declared = f"size_t {', '.join(f'i_{letter}' for letter in free)}; " if free else ""
        self.body.append(f"    memset({y}, 0, {self.size(node.outputs[0])} * sizeof(float));")
        target = f"{y}[{_index(out, [sizes[letter] for letter in out])}]"
        self.body.append(f"    {{ {declared}{loops}{target} += {' * '.join(factors)}; }}")

    # Windows.

    def _windows(self, node: Node, kernel: Sequence[int]) -> tuple[AnyArray, AnyArray]:
        """Return where the numbers of one channel that the first window meets are, and how far each window is on."""
        shape = self.shapes[node.inputs[0]][2:]
        places = np.arange(math.prod(shape)).reshape(shape)
        ends = self.shapes[node.outputs[0]][2:]
        strides, dilations = node.settings["strides"], node.settings["dilations"]
        first = places[tuple(slice(0, d * (n - 1) + 1, d) for n, d in zip(kernel, dilations, strict=True))]
        shifts = places[tuple(slice(0, s * (n - 1) + 1, s) for n, s in zip(ends, strides, strict=True))]
        return first.reshape(-1), shifts.reshape(-1)

    def _convolution(self, node: Node) -> None:
        """Write a convolution as a product of its kernel and each window."""
        x, w, bias = (*node.inputs, "")[:3]
        weight, offset = self.graph.constants.get(w), self.graph.constants.get(bias) if bias else None
        (y,), groups = node.outputs, node.settings["groups"]
        if weight is None or (bias and offset is None):
            raise self._refuse(node, "its kernel is only known during the run")
        count, channels, *sizes = self.shapes[x]
        first, shifts = self._windows(node, weight.shape[2:])
        length, windows, outputs = math.prod(sizes), len(shifts), len(weight) // groups
        inner = channels // groups
        base = (np.arange(inner)[:, None] * length + first).reshape(-1)  # of one group
        together = np.array_equal(base, np.arange(len(base)))
        patch = "" if together else self._own(len(base))
        table = "" if together else self._places(base)
        moved = "" if windows == 1 and groups == 1 else self._own(windows * outputs)
        shift = _linear(shifts)
        at = f"k * {shift}" if shift is not None else f"{self._places(shifts)}[k]"
        for group in range(groups):
            part = weight[group * outputs : (group + 1) * outputs].reshape(outputs, -1)
            group_bias = None if offset is None else offset[group * outputs : (group + 1) * outputs]
            call = self._stage(f"window{len(self.stages)}", part, group_bias)
            for number in range(count):
                source = _plus(self.pointer(x), (number * channels + group * inner) * length)
                target = _plus(self.pointer(y), (number * groups + group) * outputs * windows)
                to = f"float *to = {f'{moved} + k * {outputs}' if moved else target};"
                if together:
                    window = f"const float *row = {source} + {at}; {to}"
                else:
                    gathered = f"{patch}[j] = ({source} + {at})[{table}[j]];"
                    window = f"const float *row = {patch}; {to} size_t j; for (j = 0; j < {len(base)}; j++) {gathered}"
                self.body.append(f"    {{ size_t k; for (k = 0; k < {windows}; k++) {{ {window} {call} }} }}")
                if moved:
                    self.body.append(
                        f"    {{ size_t k, j; for (j = 0; j < {outputs}; j++) for (k = 0; k < {windows}; k++)"
                        f" ({target})[j * {windows} + k] = {moved}[k * {outputs} + j]; }}"
                    )

    def _pool(self, node: Node) -> None:
        """Write the largest number, or the mean, of each window."""
        first, shifts = self._windows(node, node.settings["kernel"])
        count, channels, *sizes = self.shapes[node.inputs[0]]
        length, x, y = math.prod(sizes), self.pointer(node.inputs[0]), self.pointer(node.outputs[0])
        begin, inside = self._places(shifts), self._places(first)
        is_max = node.op == "max_pool"
        step = "if (z > m || z != z) m = z;" if is_max else "m += z;"
        scale = "" if is_max else f" / {literal(len(first))}"
        self.body.append(
            f"    {{ size_t c, k, j; for (c = 0; c < {count * channels}; c++) for (k = 0; k < {len(shifts)}; k++) {{"
            f" float m = {'-HUGE_VALF' if is_max else '0.0f'}; for (j = 0; j < {len(first)}; j++) {{ const float z ="
            f" {x}[c * {length} + (size_t)({begin}[k] + {inside}[j])]; {step} }}"
            f" {y}[c * {len(shifts)} + k] = m{scale}; }} }}"
        )

    # Whole axes.

    def _reduction(self, node: Node) -> None:
        """Write what is computed of all numbers along some axes that lie side by side."""
        shape = self.shapes[node.inputs[0]]
        axes = node.settings.get("axes", node.settings.get("axis"))
        along = range(len(shape)) if axes is None else sorted({int(item) % len(shape) for item in np.ravel(axes)})
        if not along or list(along) != list(range(min(along), max(along) + 1)):
            raise self._refuse(node, "its axes are not next to each other")
        n, inner = math.prod(shape[min(along) : max(along) + 1]), math.prod(shape[max(along) + 1 :])
        outer = math.prod(shape[: min(along)])
        x, y = self.pointer(node.inputs[0]), self.pointer(node.outputs[0])
        z, to = f"{x}[r + j * {inner}]", f"{y}[r + j * {inner}]"
        each = f"for (j = 0; j < {n}; j++)"
        at = f"{y}[i * {inner} + k]"
        most = f"float m = -HUGE_VALF, q = 0.0f; {each} if ({z} > m) m = {z}; if (!(fabsf(m) <= 3.4e38f)) m = 0.0f;"
        most += f" {each} q += expf({z} - m);"
        number = f"{literal(n)}"
        code = {
            "reduce_sum": f"float q = 0.0f; {each} q += {z}; {at} = q;",
            "reduce_mean": f"float q = 0.0f; {each} q += {z}; {at} = q / {number};",
            "reduce_max": f"float q = -HUGE_VALF; {each} if ({z} > q || {z} != {z}) q = {z}; {at} = q;",
            "reduce_min": f"float q = HUGE_VALF; {each} if ({z} < q || {z} != {z}) q = {z}; {at} = q;",
            "reduce_prod": f"float q = 1.0f; {each} q *= {z}; {at} = q;",
            "reduce_norm2": f"float q = 0.0f; {each} q += {z} * {z}; {at} = sqrtf(q);",
            "reduce_logsumexp": f"{most} {at} = m + logf(q);",
            "softmax": f"{most} {each} {to} = expf({z} - m) / q;",
            "log_softmax": f"{most} q = logf(q); {each} {to} = {z} - m - q;",
            "argmax": f"size_t q = 0; {each} if ({z} {'>=' if node.settings.get('last') else '>'} {x}[r + q * {inner}])"
            f" q = j; {at} = (float)q;",
            "argmin": f"size_t q = 0; {each} if ({z} {'<=' if node.settings.get('last') else '<'} {x}[r + q * {inner}])"
            f" q = j; {at} = (float)q;",
            "normalise": f"float m = 0.0f, q = 0.0f; {each} m += {z}; m /= {number};"
            f" {each} q += ({z} - m) * ({z} - m); q = 1.0f / sqrtf(q / {number} +"
            f" {literal(float(node.settings.get('epsilon', 0.0)))}); {each} {to} = ({z} - m) * q;",
        }[node.op]
        self.body.append(
            f"    {{ size_t i, k, j; for (i = 0; i < {outer}; i++) for (k = 0; k < {inner}; k++)"
            f" {{ const size_t r = i * {n * inner} + k; {code} }} }}"
        )

    # LSTMs, and the end of the step.

    def _lstm(self, node: Node) -> None:
        """Write an LSTM as the stage that headers have for it."""
        lstm: LSTM = node.settings["lstm"]
        number = self._lstms.index(node.name)
        ((cell,),) = wiring_of(lstm).cells
        call = self._added(cell_stage(number, cell, Vector(self.pointer(node.inputs[0]), lstm.input_size)))
        self.body.append(
            f"    {call.replace('gates', f'gates ? gates + {self.gates} : gates' if self.gates else 'gates')}"
        )
        self.gates += 4 * lstm.layers[0][0].hidden_size
        h, c = self.states[number]
        for name, (array, _) in zip(node.outputs, (h, h, c), strict=False):
            self.pointers[name] = f"s->{array}"

    def _finish(self) -> None:
        """Write the outputs, and then the states that the next step starts from."""
        outputs, at = list(self.graph.outputs[: len(self.step.outputs)]), 0
        self.outputs = sum(map(self.size, outputs))
        for value in outputs:
            size = self.size(value)
            self.body.append(f"    memcpy({_plus('y', at)}, {self.pointer(value)}, {size} * sizeof(float));")
            at += size
        for state, value in zip(self.step.states, self.graph.outputs[len(outputs) :], strict=True):
            if not state.lstm:
                size, target = state.initial.size, self.pointers[state.name]
                self.body.append(f"    memcpy({target}, {self.pointer(value)}, {size} * sizeof(float));")


def _plus(pointer: str, offset: int) -> str:
    return f"({pointer} + {offset})" if offset else pointer


def _letters(text: str) -> set[str]:
    """Return the words of one letter in an expression."""
    word, letters = "", set[str]()
    for letter in f"{text} ":
        if letter.isalnum() or letter == "_":
            word += letter
        else:
            letters |= {word} if len(word) == 1 else set()
            word = ""
    return letters


def _index(term: str, shape: Sequence[int]) -> str:
    """Return the place of a number by the letters of its axes; axes of size 1 are repeated."""
    parts, step = list[str](), 1
    for letter, size in zip(reversed(term), reversed(list(shape)), strict=True):
        if size > 1:
            parts.append(f"i_{letter}{f' * {step}' if step > 1 else ''}")
        step *= size
    return " + ".join(reversed(parts)) or "0"


def _linear(shifts: AnyArray) -> int | None:
    """Return the step between places that lie at equal distances; None if they do not."""
    steps = np.diff(shifts)
    if not len(steps):
        return 0
    return int(steps[0]) if (steps == steps[0]).all() else None
