"""What the code of a TorchScript archive says of its LSTMs. The code is only text here, and never run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from gatewise.interop.containers import zips
from gatewise.interop.graphs import GraphInput
from gatewise.interop.torch.content import ModuleFacts
from gatewise.interop.torch.names import NAME

CONSTANTS = "constants"  # the tensors of constants.pkl
FROZEN = (
    "torch.jit.freeze made its weights constants of the code, without names: save the module as it was before"
    " (torch.jit.save), or the state dict of the model that it was made from"
)
CLASS = re.compile(r"class (\w+)\(")
SETTING = re.compile(r" +batch_first : Final\[bool\] = (True|False)")
OPERATOR = "torch.lstm("
ARGUMENTS = re.compile(  # its last: biases, layers, dropout, train, bidirectional, batch_first
    r", (?:True|False), \d+, [\d.e+-]+, (?:True|False|\w+), (?:True|False), (True|False)\)$"
)
LONGEST = 200  # characters of these

FORWARD = re.compile(r"  def forward\(\w+: [\w.]+,?\s*(.*?)\) -> ", re.DOTALL)
ARGUMENT = re.compile(r"(\w+): ([^,=]+?)(?:\s*=[^,]*)?(?:,|$)")
NUMBERS = {"int": "int64", "float": "float64", "bool": "bool"}  # of Python, as NumPy calls them


class Code:
    """The code of a TorchScript archive: the text of each module by name; `classes` are those of objects by path."""

    def __init__(self, archive: zips.ZipMembers, folder: str, classes: Mapping[str, str]) -> None:
        self.classes = classes
        self.texts = {
            name[len(folder) : -len(".py")].replace("/", "."): archive.member(name).decode(errors="replace")
            for name in archive.names
            if name.startswith(folder) and name.endswith(".py")
        }

    def inputs(self) -> tuple[GraphInput, ...]:
        """Return the inputs of the module, which declares their names, and the types of single numbers."""
        module, _, name = self.classes.get("", "").rpartition(".")
        _, _, body = self.texts.get(module, "").partition(f"class {name}(")
        match = FORWARD.search(body.partition("\nclass ")[0])
        arguments = ARGUMENT.findall(" ".join(match[1].split())) if match is not None else []
        return tuple(GraphInput(argument, None, NUMBERS.get(kind)) for argument, kind in arguments)

    def facts(self, names: Iterable[str]) -> dict[str, ModuleFacts]:
        """Return the facts about the LSTMs of an archive with tensors of these names, by their paths.

        A scripted module has its axes as an attribute of its class. A traced one has them in its call of the operator,
        in its own class or where it was inlined: that is used if all calls of the archive have the same.
        """
        owners = {match[1] or "" for name in names if (match := NAME.fullmatch(name)) is not None}
        if not owners and any("torch.lstm" in text for text in self.texts.values()):
            return {"": ModuleFacts(refusal=FROZEN)}
        settings = [setting for module, text in self.texts.items() for setting in _settings(module, text)]
        of_classes, values = dict(settings), {value for _, value in settings}
        common = values.pop() if len(values) == 1 else None
        kinds = {owner: self.classes.get(owner, "") for owner in owners}
        return {
            owner: ModuleFacts(of_classes.get(kind, None if kind.endswith("Cell") else common), is_code=True)
            for owner, kind in kinds.items()
        }


def _settings(module: str, text: str) -> Iterator[tuple[str, bool]]:
    """Yield the classes in a module of the code, and whether their LSTMs have the batch first."""
    name, known = "", set[str]()
    for line in text.splitlines():
        if (class_line := CLASS.match(line)) is not None:
            name = f"{module}.{class_line[1]}"
        if (setting := SETTING.fullmatch(line)) is not None:
            known.add(name)
            yield name, setting[1] == "True"
            continue
        arguments = ARGUMENTS.search(line[-LONGEST:]) if OPERATOR in line and name not in known else None
        if arguments is not None:
            yield name, arguments[1] == "True"
