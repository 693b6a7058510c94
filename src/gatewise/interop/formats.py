"""The table of formats: a file's first bytes decide its reader, and only that one is loaded."""

from __future__ import annotations

import os
import warnings
from functools import partial
from importlib import import_module
from pathlib import Path as FilePath
from typing import Any

from gatewise.errors import CapacityError, FileError, GatewiseError, OptionError, WeightsWarning
from gatewise.files import storage
from gatewise.interop import unread
from gatewise.interop.captured import Captured
from gatewise.interop.containers import beside
from gatewise.interop.contents import Contents
from gatewise.interop.provenance import Provenance, ReadFile
from gatewise.interop.refusals import FileNetwork

Path = str | os.PathLike[str]
HEAD = 4096  # the bytes of a file that a reader is shown to recognise it
WEIGHTS = (  # of a model in a folder, in the order in which they are looked for
    *("model.safetensors.index.json", "model.safetensors"),
    *("pytorch_model.bin.index.json", "pytorch_model.bin"),
)
# In the order in which they are asked.
READERS = ("own", "madmom", "numpy_files", "torch", "keras", "json_models", "onnx")
OF_FOLDERS = ("neuralhydrology",)
FRAMEWORKS = ("keras", "torch", "onnx")  # of live models; Keras' layers on PyTorch are PyTorch modules too


def package(name: str) -> Any:
    """Import the package or module of a format."""
    return import_module(f"gatewise.interop.{name}")


def framework_of(model: object) -> str | None:
    """Return the framework of a live model, from the modules of its classes; nothing is imported."""
    packages = {str(base.__module__).partition(".")[0] for base in type(model).__mro__}
    return next((name for name in FRAMEWORKS if name in packages), None)


def reader_of(path: Path) -> tuple[str, FilePath]:
    """Return the name of the reader that recognises a model's file, and its path; a live model is an OptionError."""
    if (framework := framework_of(path)) is not None:
        raise OptionError(
            f"give a path, not a live {type(path).__name__}. To read the model, call gatewise.interop.{framework}.read;"
            " to trace its LSTMs as it runs, call gatewise.capture"
        )
    folder = storage.path_of(path)
    for name in OF_FOLDERS if os.path.isdir(folder) else ():
        if package(name).recognises(folder, b""):
            return name, folder
    source = storage.nonempty(weights_file(folder))
    with storage.guarded(source), open(source, "rb") as file:
        head = file.read(HEAD)
    if (refusal := unread.refusal_of(source, head)) is not None:
        raise FileError(f"cannot read {source}: {refusal}")
    for name in READERS:
        if package(name).recognises(source, head):
            return name, source
    raise FileError(
        f"cannot read {source}: it is not a file of gatewise, PyTorch, safetensors, NumPy, Keras or ONNX, nor a JSON"
        " model of a known kind"
    )


def weights_file(path: FilePath) -> FilePath:
    """Return the weights file in a model's folder, by Hugging Face's names; the path itself if it is a file."""
    if not os.path.isdir(path):
        return path
    for name in WEIGHTS:
        if os.path.isfile(path / name):
            try:
                beside.target_within(path, name)
            except FileError as problem:
                raise FileError(f"cannot read {path}: its {name} is a link, {problem}") from None
            return path / name
    if (refusal := unread.folder_refusal(path)) is not None:
        raise FileError(f"cannot read {path}: {refusal}")
    try:
        return storage.readable(path)
    except FileError as problem:  # its words say what the path is
        alternatives = f", or a folder with one of config.yml (NeuralHydrology), {', '.join(WEIGHTS)}"
        raise FileError(f"{problem}{alternatives if str(problem).endswith('the name of a file') else ''}") from None


def inspect(path: Path, **omitted: Any) -> Contents:
    """Return the contents of a file: its LSTMs, its other layers, and everything that cannot be read, with reasons.

    Parameters
    ----------
    path : path
        Of a file of gatewise, PyTorch (``.pt``, ``.pth``, ``.pt2``, ``.bin``, ``.pkl``, TorchScript, ``.safetensors``,
        the index of a model in several files), NumPy (``.npz``, ``.npy``), madmom, Keras (``.keras``, ``.h5``) or ONNX,
        or of a JSON model as RTNeural, Neural Amp Modeler and Automated-GuitarAmpModelling write it; or of a
        folder with the weights of a model as Hugging Face names them. The first bytes decide which it is, not the name.
    **omitted
        Settings that the file leaves out, by name; each format has its own.

    Returns
    -------
    Contents

    Raises
    ------
    FileError
        If the file cannot be read.
    OptionError
        If an option is given that files of this format do not leave out, or `path` is a live model: see `capture`.
    MissingExtraError
        If the library that reads its container is not installed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gw.save(gw.LSTM(3, 2, rng=0), f"{folder}/model.safetensors")
    ...     contents = gw.inspect(f"{folder}/model.safetensors")
    >>> contents.lstms[0].name
    'lstm'
    """
    name, source = reader_of(path)
    try:
        with storage.guarded(source), beside.recording_files() as others:
            contents: Contents = package(name).contents(source, omitted)
    except GatewiseError:
        raise
    except MemoryError:
        raise CapacityError(f"reading {source} needs more memory than is available") from None
    except RecursionError:
        raise FileError(f"cannot read {source}: it is nested too deeply") from None
    with storage.guarded(source):
        files = dict.fromkeys([source] * source.is_file() + others)
        provenance = Provenance(os.fspath(path), tuple(map(ReadFile.of, files)), contents.epoch)
    for stored in contents.lstms:
        stored.lstm.provenance = provenance
    if isinstance(contents.network, FileNetwork):
        contents.network.provenance = provenance
    object.__setattr__(contents, "again", partial(_inspect_unchanged, provenance, omitted))
    return contents


def _inspect_unchanged(provenance: Provenance, omitted: dict[str, Any]) -> Contents:
    """Return the contents of a file, or raise FileError if it is no longer the file that was inspected."""
    with storage.guarded(provenance.path):
        if any(ReadFile.of(file.path) != file for file in provenance.files):
            raise FileError(f"cannot read {provenance.path}: the file has changed since it was inspected")
    return inspect(provenance.path, **omitted)


def capture(model: Any, /, *inputs: Any, strict: bool = False, **named: Any) -> tuple[Captured, ...]:
    """Run a model once in its own framework, and trace every call of every LSTM in it at the inputs it received.

    Parameters
    ----------
    model : torch.nn.Module, keras.Model or layer, onnx.ModelProto, or path
        A path is that of an ONNX file, which onnxruntime runs.
    *inputs, **named
        The model's inputs; of an ONNX model, in the graph's order or by name.
    strict : bool
        Refuse what is else a warning. An input of the model that is called ``strict`` cannot be given by name.

    Returns
    -------
    tuple of Captured
        One for each call of each LSTM, in the order of the calls (ONNX: in the order of the graph). Each holds the
        trace, and the largest difference of its outputs from the model's.

    Raises
    ------
    OptionError
        If the model is of another kind, has no LSTM that can be captured, or does not fit the inputs; or if `strict`
        refuses it.
    FileError
        If an ONNX model cannot be read or run.
    MissingExtraError
        If the framework is not installed.

    Warns
    -----
    WeightsWarning
        If weights are not finite, of LSTMs of other classes, which are not captured, and of each note of a `Captured`:
        another precision, a comparison that was left out.

    See Also
    --------
    gatewise.interop.torch.capture, gatewise.interop.keras.capture, gatewise.interop.onnx.capture

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.LSTM(3, 2))
    >>> captured = gw.capture(model, torch.ones(5, 1, 3))[0]
    >>> captured.trace.output.shape, captured.difference < 1e-6
    ((5, 1, 2), True)
    """
    framework = framework_of(model)
    if isinstance(model, (str, os.PathLike)):
        framework = reader_of(model)[0]
        if framework != "onnx":
            raise OptionError(
                f"capture runs ONNX files, but {os.fspath(model)} is not one. Build the model and capture that, or"
                " trace its LSTM at inputs of your own with gatewise.load(path).trace(x)."
            )
    if framework is None:
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        raise OptionError(
            f"capture takes a PyTorch module, a Keras model, an ONNX model or the path of an ONNX file, not {kind}"
            + (". Call its trace instead." if hasattr(model, "trace") and kind.startswith("gatewise.") else "")
        )
    run = package(framework).capture
    try:
        with warnings.catch_warnings():
            if strict:
                warnings.simplefilter("error", WeightsWarning)
            calls: tuple[Captured, ...] = run(model, *inputs, **named)
            for text in dict.fromkeys(f"{call.name}: {note}" for call in calls for note in call.notes):
                warnings.warn(text, WeightsWarning, stacklevel=2)
    except WeightsWarning as warning:
        if not strict:  # a filter of the caller's makes warnings errors
            raise
        raise OptionError(f"refused with strict=True: {warning}") from None
    return calls
