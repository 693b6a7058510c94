"""What the code of a TorchScript archive says of its LSTMs. The code is only text here, and never run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gatewise.interop.containers import zips
from gatewise.interop.graphs import GraphInput
from gatewise.interop.torch.content import ModuleFacts
from gatewise.interop.torch.names import NAME

CONSTANTS = "constants"  # the tensors of constants.pkl
FROZEN = (
    "torch.jit.freeze made its weights constants of the code, without names: save the module as it was before"
    " (torch.jit.save), or the state dict of the model that it was made from"
)
CLASS = re.compile(r"^class (?=\w+\()", re.MULTILINE)
SETTING = re.compile(r"^ +batch_first : Final\[bool\] = (True|False)$", re.MULTILINE)
OPERATOR = "torch.lstm("
ARGUMENTS = re.compile(  # its last: biases, layers, dropout, train, bidirectional, batch_first
    r", (?:True|False), \d+, [\d.e+-]+, (?:True|False|\w+), (?:True|False), (True|False)\)$"
)
LONGEST = 200  # characters of these

FORWARD = re.compile(r"  def forward\(\w+: [\w.]+,?\s*(.*?)\) -> ", re.DOTALL)
ARGUMENT = re.compile(r"(\w+): ([^,=]+?)(?:\s*=[^,]*)?(?:,|$)")
NUMBERS = {"int": "int64", "float": "float64", "bool": "bool"}  # of Python, as NumPy calls them


class Code:
    """The code of a TorchScript archive: the text of each class by its name; `classes` are those of objects by path."""

    def __init__(self, archive: zips.ZipMembers, folder: str, classes: Mapping[str, str]) -> None:
        self.classes = classes
        self.texts: dict[str, str] = {}
        for name in archive.names:
            if name.startswith(folder) and name.endswith(".py"):
                module = name[len(folder) : -len(".py")].replace("/", ".")
                texts = CLASS.split(archive.member(name).decode(errors="replace"))[1:]
                self.texts |= {f"{module}.{text.partition('(')[0]}": text for text in texts}

    def inputs(self) -> tuple[GraphInput, ...]:
        """Return the inputs of the module, which declares their names, and the types of single numbers."""
        match = FORWARD.search(self.texts.get(self.classes.get("", ""), ""))
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
        settings = {name: values for name, text in self.texts.items() if (values := _batch_first(text))}
        every = [value for values in settings.values() for value in values]
        common: list[bool | None] = every if len({*every}) == 1 else [None]
        facts: dict[str, ModuleFacts] = {}
        for owner in owners:
            kind = self.classes.get(owner, "")
            values = settings.get(kind, [None] if kind.endswith("Cell") else common)
            facts[owner] = ModuleFacts(values[-1], state_by="code")
        return facts


def _batch_first(text: str) -> list[bool | None]:
    """Return whether the LSTMs of a class of the code have the batch first."""
    calls = (ARGUMENTS.search(line[-LONGEST:]) for line in text.splitlines() if OPERATOR in line)
    return [value == "True" for value in SETTING.findall(text) or [call[1] for call in calls if call is not None]]
