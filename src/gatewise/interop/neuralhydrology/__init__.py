"""NeuralHydrology: read the folder of a run, with its configuration, its scaler and the weights of any epoch.

Its networks take features in physical units: the dynamic inputs in the order of the configuration, then the static
attributes in that of the alphabet. Each is centered and scaled; both kinds may go through an embedding network of
dense layers; then comes an LSTM with one layer, and a linear layer, whose outputs are scaled back. `nn.LSTM` holds the
weights of ``cudalstm``; ``customlstm`` has the same under names of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from gatewise.arrays import Array
from gatewise.errors import CapacityError, FileError, GatewiseError, MissingExtraError, OptionError, join_names, shown
from gatewise.files.budget import Budget
from gatewise.interop.containers.tensors import Tensor
from gatewise.interop.found import Contents, Found, Refused, omissions
from gatewise.interop.neuralhydrology import documents, scaler
from gatewise.interop.neuralhydrology.building import network_of
from gatewise.interop.neuralhydrology.config import LSTMS, Config, config_of, unsupported
from gatewise.interop.torch.files import open_archive
from gatewise.interop.torch.grouping import grouped
from gatewise.network import Network

CONFIG = "config.yml"
WEIGHTS = re.compile(r"model_epoch([0-9]{1,9})\.pt")
MOST_FILES = 100_000  # of the folder, that are looked at
CELL = re.compile(r"cell\.([wb])_(ih|hh)")  # the parameters of customlstm
KINDS = {"w": "weight", "b": "bias"}


def recognises(path: os.PathLike[str], head: bytes) -> bool:
    """Say whether a folder is that of a run."""
    return (Path(path) / CONFIG).is_file()


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return what is in the folder of a run; see `gatewise.interop.inspect`.

    The only option is ``epoch``, an integer: whose weights are read. The default is the last.
    """
    name, folder = os.fspath(path), Path(path)
    omissions(name, omitted, ("epoch",))
    weights, epoch = _weights(folder, name, omitted.get("epoch"))
    budget = Budget.of(folder / CONFIG)
    budget.grow(weights.stat().st_size)
    with ExitStack() as stack:
        stack.callback(budget.end)
        try:
            document = documents.read(documents.within(folder, CONFIG), budget)
            if not isinstance(document, dict):
                raise FileError(f"its {CONFIG} is not a dictionary")
            if (reason := unsupported(document)) is not None:
                return _unsupported(name, f"NeuralHydrology, epoch {epoch}", reason, weights)
            return _read(name, folder, weights, config_of(document), budget, stack, epoch)
        except (CapacityError, MissingExtraError):
            raise
        except GatewiseError as problem:
            raise FileError(f"cannot read {name}: {problem}") from None


def _weights(folder: Path, name: str, epoch: object) -> tuple[Path, int]:
    """Return the file with the weights of an epoch, or of the last, and its number."""
    found: dict[int, Path] = {}
    with os.scandir(folder) as entries:
        for _, entry in zip(range(MOST_FILES), entries, strict=False):
            if (match := WEIGHTS.fullmatch(entry.name)) is not None and entry.is_file():
                found[int(match[1])] = Path(entry.path)
    if not found:
        raise FileError(f"cannot read {name}: it has no weights, such as model_epoch009.pt")
    if epoch is None:
        epoch = max(found)
    if not isinstance(epoch, int) or isinstance(epoch, bool):
        raise OptionError(f"epoch must be an integer, not {shown(repr(epoch), 60)}")
    if epoch not in found:
        raise OptionError(f"there is no epoch {epoch} in {name}; it has {join_names(sorted(found), most=11)}")
    return found[epoch], epoch


def _unsupported(name: str, kind: str, reason: str, weights: Path) -> Contents:
    about = f"{reason}; the LSTM alone may be in {weights.name}, which is a file of PyTorch's"

    def network() -> Network:
        raise FileError(f"cannot make a network of {name}: {about}")

    return Contents(name, kind, refused=(Refused("model", about),), network=network)


def _read(
    name: str, folder: Path, weights: Path, config: Config, budget: Budget, stack: ExitStack, epoch: int
) -> Contents:
    with open(documents.within(folder, weights.name), "rb") as file:
        head = file.read(16)
    try:
        archive = open_archive(weights, head, budget, stack)
    except FileError as problem:
        raise FileError(f"{weights.name}: {problem}") from None
    place = LSTMS[config.model]
    tensors: dict[str, Tensor | Array] = {_pytorch(key): one for key, one in archive.tensors.items()}
    found, parts, refused = grouped(tensors)
    mine = [one for one in found if one.name == place]
    if len(found) + len(refused) != 1 or not mine:
        names = join_names((shown(lstm.name, 40) for lstm in found), most=5)
        reason = refused[0].reason if refused else f"it has {names}" if found else "there is none"
        raise FileError(f"its {weights.name} must have one LSTM, under the name {place}: {reason}")
    scales = scaler.read(folder, budget)
    network = network_of(config, scales, mine[0].lstm, tensors, place)
    version = f" {config.version}" if config.version else ""
    return Contents(
        name,
        f"NeuralHydrology{version}, {config.model}, epoch {epoch}",
        (_found(mine[0], config, weights.name),),
        tuple(replace(one, weight=None, bias=None) for one in parts),  # without the scaling they mean nothing
        network=lambda: network,
        calls=(*archive.calls, *scales.calls),
    )


def _pytorch(name: str) -> str:
    """Return what PyTorch calls a parameter of customlstm; other names as they are."""
    match = CELL.fullmatch(name)
    return name if match is None else f"cell.{KINDS[match[1]]}_{match[2]}"


def _found(one: Found, config: Config, file: str) -> Found:
    about = (
        f"the network takes {', '.join(config.features)}, in this order and in physical units, and gives"
        f" {', '.join(config.targets)}",
    )
    return replace(
        one,
        convention=f"NeuralHydrology's {config.model}, {one.convention}",
        where=f"{file}: {one.where}",
        notes=(*one.notes, *about, *config.notes),
        batch_first=False,
    )
