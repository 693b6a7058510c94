"""The engines that can be judged: by name, by the path of an adapter, or as a command."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from gatewise.errors import OptionError
from gatewise.gates import ORDERS
from gatewise.judge import designs
from gatewise.judge.designs import Design
from gatewise.judge.formats import keras_layers, onnx_model, torch_module
from gatewise.judge.messages import CaseMessage
from gatewise.judge.process import CommandEngine, EngineProcess
from gatewise.judge.verdicts import CaseJudge

ADAPTERS = Path(__file__).parent / "adapters"
LIMIT = 30.0  # seconds for one case


@dataclass(frozen=True)
class KnownEngine:
    """How an engine is run: its adapter, its format, its package and its environment."""

    adapter: str
    format: ModuleType
    package: str
    environment: dict[str, str] = field(default_factory=dict)
    lacks: frozenset[str] = frozenset()  # attributes of its format that its adapter cannot pass on


def _keras(backend: str, package: str) -> KnownEngine:
    return KnownEngine("keras", keras_layers, package, {"KERAS_BACKEND": backend})


ENGINES = {
    "onnxruntime": KnownEngine("onnxruntime", onnx_model, "onnxruntime"),
    "onnx-reference": KnownEngine("onnx_reference", onnx_model, "onnx"),
    "openvino": KnownEngine("openvino", onnx_model, "openvino"),
    "tract": KnownEngine("tract", onnx_model, "tract", {"RUST_BACKTRACE": "0"}),
    "pytorch": KnownEngine("pytorch", torch_module, "torch"),
    "torchscript": KnownEngine("torchscript", torch_module, "torch", lacks=frozenset({designs.LENGTHS})),
    "torch-compile": KnownEngine("torch_compile", torch_module, "torch", lacks=frozenset({designs.LENGTHS})),
    "flax": KnownEngine("flax", torch_module, "flax", lacks=frozenset({designs.PROJECTION})),
    "keras-torch": _keras("torch", "torch"),
    "keras-numpy": _keras("numpy", "keras"),
    "keras-jax": _keras("jax", "jax"),
    "keras-tensorflow": _keras("tensorflow", "tensorflow"),
}


@dataclass
class Subject:
    """An engine that is judged: its name, what runs it, and its format."""

    name: str
    process: EngineProcess | CommandEngine
    format: ModuleType
    judge: CaseJudge
    message: Callable[..., CaseMessage]
    lacks: frozenset[str] = frozenset()

    def can_express(self, design: Design) -> bool:
        """Whether the engine's format has everything that a design needs."""
        return not self.format.inexpressible(design) and not design.attributes & self.lacks


def subject_of(
    name: str | None,
    command: str | None = None,
    *,
    limit: float = LIMIT,
    precision: str = "float32",
    clip: str = "",
) -> Subject:
    """Return the engine to judge, by its name, by the path of an adapter (.py), or as a command.

    `precision` and `clip` are those of `CaseJudge`.

    Raises
    ------
    OptionError
        If there is no such engine.
    """
    if command is not None:
        engine = CommandEngine(command, limit)
        outputs = engine.outputs or onnx_model.OUTPUTS
        stored = "in.npy" in engine.words

        def packed(trial: designs.Trial) -> CaseMessage:
            return onnx_model.message(trial, outputs=outputs, stored=stored)

        return Subject(command, engine, onnx_model, _judge(onnx_model, precision, clip), packed)
    if name is not None and name in ENGINES:
        known = ENGINES[name]
        process = EngineProcess(ADAPTERS / f"{known.adapter}.py", limit, known.environment)
        return Subject(
            name, process, known.format, _judge(known.format, precision, clip), known.format.message, known.lacks
        )
    if name is None or not name.endswith(".py") or not Path(name).is_file():
        raise OptionError(
            f"there is no engine {name!r}; allowed: {', '.join(ENGINES)}, or a Python file with run(settings, arrays)"
        )
    process = EngineProcess(Path(name).resolve(), limit)
    return Subject(Path(name).stem, process, onnx_model, _judge(onnx_model, precision, clip), onnx_model.message)


def _judge(form: ModuleType, precision: str, clip: str) -> CaseJudge:
    return CaseJudge(form.claims, ORDERS[form.NAME], precision, form.NAMES, clip)


def installed() -> dict[str, str]:
    """Return the version of each engine's package; an empty string if it isn't installed."""
    versions = {}
    for name, engine in ENGINES.items():
        try:
            versions[name] = importlib.metadata.version(engine.package)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = ""
    return versions
