"""What the code of a TorchScript archive says of its LSTMs. The code is only text here, and never run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from gatewise.errors import FileError
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


def inputs_of(archive: zips.ZipMembers, folder: str, classes: Mapping[str, str]) -> tuple[GraphInput, ...]:
    """Return the inputs of a TorchScript module, which declares their names, and the types of single numbers."""
    module, _, name = classes.get("", "").rpartition(".")
    try:
        text = archive.member(f"{folder}{module.replace('.', '/')}.py").decode("utf-8", "replace")
    except FileError:
        return ()
    _, _, body = text.partition(f"class {name}(")
    match = FORWARD.search(body.partition("\nclass ")[0])
    arguments = ARGUMENT.findall(" ".join(match[1].split())) if match is not None else []
    return tuple(GraphInput(argument, None, NUMBERS.get(kind)) for argument, kind in arguments)


def facts_of(
    archive: zips.ZipMembers,
    folder: str,
    members: Sequence[str],
    names: Mapping[str, object],
    classes: Mapping[str, str],
) -> dict[str, ModuleFacts]:
    """Return the facts about the LSTMs of a TorchScript archive, by their paths.

    A scripted module has its axes as an attribute of its class. A traced one has them in its call of the operator, in
    its own class or where it was inlined: that is used if all calls of the archive have the same.
    """
    owners = {match[1] or "" for name in names if (match := NAME.fullmatch(name)) is not None}
    if not owners and any(b"torch.lstm" in archive.member(member) for member in members):
        return {"": ModuleFacts(refusal=FROZEN)}
    settings: dict[str, dict[str, bool]] = {}
    facts: dict[str, ModuleFacts] = {owner: ModuleFacts(is_code=True) for owner in owners}
    for owner in owners & classes.keys():
        module, _, name = classes[owner].rpartition(".")
        if module not in settings:
            settings[module] = dict(_settings(archive, f"{folder}{module.replace('.', '/')}.py"))
        if name in settings[module]:
            facts[owner] = ModuleFacts(settings[module][name], is_code=True)
    others = [
        owner for owner in owners if facts[owner].batch_first is None and not classes.get(owner, "").endswith("Cell")
    ]
    if others:
        values = {value for member in members for _, value in _settings(archive, member)}
        facts |= dict.fromkeys(others, ModuleFacts(values.pop() if len(values) == 1 else None, is_code=True))
    return facts


def _settings(archive: zips.ZipMembers, member: str) -> Iterator[tuple[str, bool]]:
    """Yield the classes in a member of the code, and whether their LSTMs have the batch first."""
    try:
        text = archive.member(member).decode("utf-8", "replace")
    except FileError:
        return
    name, known = "", set[str]()
    for line in text.splitlines():
        if (class_line := CLASS.match(line)) is not None:
            name = class_line[1]
        if (setting := SETTING.fullmatch(line)) is not None:
            known.add(name)
            yield name, setting[1] == "True"
            continue
        arguments = ARGUMENTS.search(line[-LONGEST:]) if OPERATOR in line and name not in known else None
        if arguments is not None:
            yield name, arguments[1] == "True"
