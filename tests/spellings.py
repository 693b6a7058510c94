"""The spellings in which people hand in numbers: each function writes them as a file, rounded to so many decimals."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np
from openpyxl import Workbook

Numbers = Mapping[str, np.ndarray]
Write = Callable[[Numbers, int], tuple[str, bytes]]  # the ending of the file's name, and what is in it
# Numbers are rounded to at least two decimals, those in single precision to as many as their form has.

WORDS = {
    "f": "Forget gate",
    "i": "INPUT GATE",
    "g": "Candidate",
    "o": "output-gate",
    "c": "Cell State",
    "h": "hidden_state",
    "z": "combined input",
}
OLAH = {
    "f": "f_t",
    "i": "i_t",
    "g": "C~_t",
    "o": "o_t",
    "c": "C_t",
    "h": "h_t",
    "a_g": "a_C",
    "W_g": "W_C",
    "b_g": "b_C",
}
KERAS = {"a_f": "z_f", "a_i": "z_i", "a_g": "z_c", "a_o": "z_o", "g": "c~", "W_g": "W_c", "b_g": "b_c"}
LATEX = {"g": r"\tilde{C}_t", "c": "C_t", "a_f": "a_{f}", "a_g": "a_{c}", "h_prev": "h_{t-1}", "c_prev": "c_{t-1}"}


RAISED = {name: f"{name}^{{(t)}}" for name in ("f", "i", "o", "c", "h", "z", "a_f", "a_g", "a_i", "a_o")}
RAISED |= {"g": r"\tilde{c}^{(t)}", "h_prev": "h^{(t-1)}", "c_prev": "c^{(t-1)}"}


def renamed(name: str, others: Mapping[str, str], slope: str = "d{}", step: str = "[{}]") -> str:
    """Return what a quantity is called elsewhere: its symbol, the gradient with respect to it, and its step."""
    parts = re.fullmatch(r"(d?)(.+?)(?:\[(\d+)\])?", name)
    assert parts
    called = others.get(parts[2], parts[2])
    called = slope.format(called) if parts[1] else called
    return called if parts[3] is None else called + step.format(parts[3])


def fixed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}"


def rows(value: np.ndarray) -> Iterable[np.ndarray]:
    return np.atleast_1d(value).reshape(-1, value.shape[-1] if value.ndim else 1)


def lines(
    numbers: Numbers,
    digits: int,
    *,
    mark: str = ",",
    ending: str = "csv",
    number: Callable[[float, int], str] = fixed,
    name: Callable[[str], str] = str,
    head: str = "",
    encoding: str = "utf-8",
    end: str = "\n",
) -> tuple[str, bytes]:
    """Write a line for a vector, and one for each row of a matrix."""
    found = [
        mark.join([name(one), *(number(n, digits) for n in row)])
        for one, value in numbers.items()
        for row in rows(value)
    ]
    text = end.join([head] * bool(head) + found + [""])
    for letter, spelled in {"γ": "gamma", "β": "beta", "μ": "mu"}.items() if encoding == "cp1252" else ():
        text = text.replace(letter, spelled)  # it has no Greek letters
    return ending, text.encode(encoding)


def comma(value: float, digits: int) -> str:
    return fixed(value, digits).replace(".", ",")


def german(value: float, digits: int) -> str:
    """Return a number with a decimal comma and a dash for a minus, which Windows-1252 has in a byte of its own."""
    return comma(value, digits).replace("-", "\N{EN DASH}")


def percent(value: float, digits: int) -> str:
    return f"{100 * value:.{max(digits - 2, 0)}f} %"


def short(value: float, digits: int) -> str:
    """Return a number without the zero before its point, and with a typographer's minus."""
    return (
        fixed(value, digits).replace("0.", ".", 1).replace("-", "\N{MINUS SIGN}")
        if abs(value) < 1
        else fixed(value, digits)
    )


def power(value: float, digits: int) -> str:
    """Return a number as 1.23·10^-2, with its last digit at the same place."""
    return f"{100 * value:.{max(digits - 2, 0)}f}·10^-2"


def single(value: float, digits: int, *, form: str = "") -> str:
    """Return a number as single precision is printed, in a form of its own."""
    return format(float(np.float32(value)), form) if form else str(np.float32(value))


def assigned(
    numbers: Numbers, digits: int, *, sign: str = " = ", bracket: bool = True, call: Callable[[str], str] = str
) -> tuple[str, bytes]:
    """Write name = [0.49, 0.50]."""
    found = []
    for name, value in ((call(quantity), value) for quantity, value in numbers.items()):
        listed = [", ".join(fixed(one, digits) for one in row) for row in rows(value)]
        if value.ndim > 1:
            found.append(f"{name}{sign}[{', '.join(f'[{row}]' for row in listed)}]")
        else:
            found.append(f"{name}{sign}[{listed[0]}]" if bracket else f"{name}{sign}{listed[0]}")
    return "txt", ("\n".join(found) + "\n").encode()


def barred(numbers: Numbers, digits: int) -> tuple[str, bytes]:
    """Write f = 0.77 | 0.14, and a matrix in rows of its name."""
    written = [
        f"{name} = {' | '.join(fixed(number, digits) for number in value)}"
        if value.ndim < 2
        else "\n".join(f"{name} | {' | '.join(fixed(number, digits) for number in row)}" for row in rows(value))
        for name, value in numbers.items()
    ]
    return "txt", "\n".join(written).encode()


def as_json(numbers: Numbers, digits: int) -> tuple[str, bytes]:
    found = []
    for name, value in numbers.items():
        listed = [f"[{', '.join(fixed(one, digits) for one in row)}]" for row in rows(value)]
        found.append(f"{json.dumps(name)}: {listed[0] if value.ndim < 2 else '[' + ', '.join(listed) + ']'}")
    return "json", ("{" + ",\n".join(found) + "}").encode()


def as_npz(numbers: Numbers, digits: int) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.round(value, digits) for name, value in numbers.items()})
    return "npz", buffer.getvalue()


def as_xlsx(numbers: Numbers, digits: int) -> tuple[str, bytes]:
    """Write an Excel workbook: a worksheet of vectors below a head of units, and one of matrices."""
    book, buffer = Workbook(), io.BytesIO()
    vectors, matrices = book.worksheets[0], book.create_sheet("Matrices")
    vectors.append([None, *(f"unit {k}" for k in range(max(len(rows(value)[0]) for value in numbers.values())))])
    for name, value in numbers.items():
        for row in rows(value):
            (vectors if value.ndim == 1 else matrices).append([name, *(round(float(number), digits) for number in row)])
    book.save(buffer)
    return "xlsx", buffer.getvalue()


def units_as_rows(
    numbers: Numbers, digits: int, *, labels: bool = True, first: int = 0, mark: str = ","
) -> tuple[str, bytes]:
    """Write a table with a row for each unit and a column for each vector; what is no vector follows in lines."""
    tables: dict[int, list[str]] = {}
    for name, value in numbers.items():
        if value.ndim == 1:
            tables.setdefault(len(value), []).append(name)
    found = []
    for size, names in tables.items():
        found.append(mark.join(["unit"] * labels + names))
        for n in range(size):
            found.append(mark.join([str(n + first)] * labels + [fixed(numbers[name][n], digits) for name in names]))
        found.append("")
    _, rest = lines({name: value for name, value in numbers.items() if value.ndim != 1}, digits, mark=mark)
    return "csv", ("\n".join(found) + "\n").encode() + rest


def one_each(numbers: Numbers, digits: int) -> tuple[str, bytes]:
    """Write f (unit 0) = 0.49, a line for each number of a vector."""
    found = []
    for name, value in numbers.items():
        if value.ndim == 1:
            found += [f"{name} (unit {n}) = {fixed(one, digits)}" for n, one in enumerate(value)]
        else:
            found.append(assigned({name: value}, digits)[1].decode().strip())
    return "txt", "\n".join(found).encode()


def long_table(numbers: Numbers, digits: int) -> tuple[str, bytes]:
    """Write a table with a row for each number of a vector: its quantity, its unit, its value."""
    found = ["quantity;unit;value"]
    for name, value in numbers.items():
        if value.ndim == 1:
            found += [f"{name};{n};{comma(one, digits)}" for n, one in enumerate(value)]
    for name, value in numbers.items():
        if value.ndim != 1:
            found += [";".join([name, *(comma(one, digits) for one in row)]) for row in rows(value)]
    return "csv", "\n".join(found).encode()


def printed_numpy(numbers: Numbers, digits: int) -> tuple[str, bytes]:
    """Write what print(name, "=", array) shows."""
    with np.printoptions(formatter={"float_kind": lambda one: fixed(one, digits)}, linewidth=60, threshold=10**9):
        return "txt", "\n".join(f"{name} = {np.asarray(value)}" for name, value in numbers.items()).encode()


def printed_repr(numbers: Numbers, digits: int) -> tuple[str, bytes]:
    """Write what a notebook shows of arrays."""
    with np.printoptions(formatter={"float_kind": lambda one: fixed(one, digits)}, linewidth=60, threshold=10**9):
        found = [
            f"{name}: {repr(np.asarray(value)).removesuffix(')')}, dtype=float32)" for name, value in numbers.items()
        ]
    return "txt", "\n".join(found).encode()


def printed_tensors(numbers: Numbers, digits: int) -> tuple[str, bytes]:
    """Write what PyTorch prints of tensors: rows below each other, numbers of equal width, what they come from."""
    found = []
    for name, value in numbers.items():
        array = np.asarray(value)
        width = max((len(fixed(one, digits)) for one in array.reshape(-1)), default=0)
        body = np.array2string(
            array,
            separator=", ",
            formatter={"float_kind": lambda one, width=width: fixed(one, digits).rjust(width)},
            prefix="tensor(",
            threshold=10**9,
        )
        found.append(f"{name} = tensor({body}, grad_fn=<SigmoidBackward0>)")
    return "txt", "\n".join(found).encode()


def markdown(numbers: Numbers, digits: int) -> tuple[str, bytes]:
    """Write a table in Markdown."""
    wide = max((value.shape[-1] if value.ndim else 1) for value in numbers.values())
    found = ["| quantity |" + " |" * wide, "|---|" + "---:|" * wide]
    for name, value in numbers.items():
        found += [f"| {name} | " + " | ".join(fixed(one, digits) for one in row) + " |" for row in rows(value)]
    return "txt", "\n".join(found).encode()


SPELLINGS: dict[str, Write] = {
    "csv": lines,
    "csv with a head, as Windows writes it": partial(
        lines, head="Quantity,unit 0,unit 1", end="\r\n", encoding="utf-8-sig"
    ),
    "decimal commas": partial(lines, mark=";", number=comma, end="\r"),
    "decimal commas as Excel writes them": partial(lines, mark=";", number=comma, head="sep=;"),
    "tabs": partial(lines, mark="\t", ending="tsv"),
    "tabs and decimal commas": partial(lines, mark="\t", ending="txt", number=comma),
    "blanks": partial(lines, mark="  ", ending="txt"),
    "UTF-16": partial(lines, encoding="utf-16", mark="\t", ending="txt"),
    "UTF-16, big end first": partial(lines, encoding="utf-16-be"),
    "Windows-1252": partial(lines, mark=";", number=german, head="Größe;Einheit 0;Einheit 1", encoding="cp1252"),
    "a head of units": partial(lines, head=",unit 1,unit 2,unit 3"),
    "a head of units and bars": partial(lines, mark=" | ", head="gate | unit 0 | unit 1", ending="txt"),
    "percent": partial(lines, number=percent),
    "percent and decimal commas": partial(lines, mark=";", number=lambda one, k: percent(one, k).replace(".", ",")),
    "no zero before the point": partial(lines, number=short),
    "exponents": partial(lines, number=lambda value, digits: f"{fixed(100 * value, max(digits - 2, 0))}e-2"),
    "powers of ten": partial(lines, number=power),
    "name = value": assigned,
    "name: value": partial(assigned, sign=": ", bracket=False),
    "name = value | value": barred,
    "json": as_json,
    "Excel": as_xlsx,
    "npz": as_npz,
    "units as rows": units_as_rows,
    "units as rows, from 1": partial(units_as_rows, first=1, mark="\t"),
    "a column for each quantity": partial(units_as_rows, labels=False),
    "a line for each number": one_each,
    "a row for each number": long_table,
    "printed arrays": printed_numpy,
    "arrays of a notebook": printed_repr,
    "printed tensors": printed_tensors,
    "markdown": markdown,
    "words": partial(lines, name=lambda one: renamed(one, WORDS, "gradient of {}", " (step {})")),
    "Olah's names": partial(lines, name=lambda one: renamed(one, OLAH, "∂L/∂{}")),
    "Keras' names": partial(lines, name=lambda one: renamed(one, KERAS)),
    "LaTeX": partial(lines, name=lambda one: "$" + renamed(one, LATEX, r"\frac{{\partial L}}{{\partial {}}}") + "$"),
    "raised steps": partial(assigned, call=lambda name: renamed(name, RAISED, r"\frac{{\partial L}}{{\partial {}}}")),
    "float32 %.7f": partial(lines, number=partial(single, form=".7f")),
    "float32 %.8f": partial(lines, number=partial(single, form=".8f")),
    "float32 %.10f": partial(lines, number=partial(single, form=".10f")),
    "float32 str": partial(lines, number=single),
}
