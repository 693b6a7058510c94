"""Every text that gatewise may say, as its source has it: python tests/messages.py prints those of errors and warnings.

A part that is computed is `…`. Docstrings are left out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import gatewise

SOURCE = Path(gatewise.__file__).parent


class Message(NamedTuple):
    """A text of the source, with its place, and whether an error or a warning says it."""

    path: str
    line: int
    text: str
    raised: bool


def messages() -> Iterator[Message]:
    """Yield every text of gatewise's Python files that is not a docstring, in order."""
    for path in sorted(SOURCE.rglob("*.py")):
        yield from _texts(ast.parse(path.read_text(encoding="utf-8")), path.relative_to(SOURCE).as_posix(), False)


def _texts(node: ast.AST, path: str, raised: bool) -> Iterator[Message]:
    if isinstance(node, ast.JoinedStr):
        text = "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        yield Message(path, node.lineno, text, raised)
        children: Iterator[ast.AST] = (part for part in node.values if isinstance(part, ast.FormattedValue))
    else:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield Message(path, node.lineno, node.value, raised)
        children = ast.iter_child_nodes(node)
    raised |= isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn")
    for child in children:
        is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        if not is_docstring:
            yield from _texts(child, path, raised)


if __name__ == "__main__":
    for message in messages():
        if message.raised and " " in message.text:
            print(f"{message.path}:{message.line}: {message.text}")
