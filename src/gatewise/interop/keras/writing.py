"""An LSTM as a Keras 3 model: its configuration and weights, in a file or live. A file is written without Keras."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from gatewise.activations import Activation
from gatewise.arrays import Array
from gatewise.cell import LSTMCell
from gatewise.errors import OptionError, importing
from gatewise.files import storage
from gatewise.interop import conventions
from gatewise.interop.keras.config import PLAIN
from gatewise.interop.keras.files import CONFIG, METADATA, WEIGHTS
from gatewise.interop.keras.live import import_keras
from gatewise.layers import LSTM
from gatewise.records.gradients import LSTMGradients

VERSION = "3.0.0"  # of the configuration that is written
MODEL = "gatewise"  # the name of the models written here
NAMES = {Activation(name): name for name in PLAIN} | {  # Keras' words for the activations that it has
    Activation("affine"): "linear",
    Activation("leaky_relu", 0.2): "leaky_relu",
    Activation("hard_sigmoid", 1 / 6, 0.5): "hard_sigmoid",
}
MERGES = {"concat": "concat", "sum": "sum", "mul": "mul", "average": "ave", "none": None}
Config = dict[str, Any]


def write(lstm: LSTM, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> Any:
    """Write an LSTM as a Keras 3 model from (batch, time, feature) to the output at every step.

    Parameters
    ----------
    lstm : LSTM
    path : path, optional
        Ending in ``.keras`` or ``.h5``; it is written by h5py, without Keras. Each layer becomes one of Keras', and
        `gatewise.load` stacks them again.
    overwrite : bool
        Replace `path` even if it was read: see `gatewise.save`.

    Returns
    -------
    keras.Model or None
        The live model, where no path is given.

    Raises
    ------
    OptionError
        If Keras cannot express it; nothing is written then.
    MissingExtraError
        If h5py, or without a path Keras, is not installed.
    FileError
        If the file cannot be written; an existing one is left as it was.
    """
    if not isinstance(lstm, LSTM):
        raise OptionError(f"write takes an LSTM, not {type(lstm).__name__}")
    require_expressible(lstm)
    if path is None:
        return _live_model(lstm)
    name = os.fspath(path)
    if not isinstance(name, str) or not name.endswith((".keras", ".h5")):
        raise OptionError(f"the name of a Keras file must end in .keras or .h5, not {name!r}")
    with importing("h5py", "writing Keras files needs"):
        import h5py
    with storage.beside(path, overwrite=overwrite) as temporary:
        if name.endswith(".h5"):
            buffer = io.BytesIO()  # libhdf5 cannot handle a full disk
            with h5py.File(buffer, "w") as file:
                _write_hdf5_model(file, lstm)
            temporary.write_bytes(buffer.getvalue())
        else:
            _write_archive(temporary, lstm, h5py)
    return None


def require_expressible(lstm: LSTM) -> None:
    """Raise OptionError if Keras' LSTM cannot express an LSTM."""
    for number, row in enumerate(lstm.layers):
        for cell in row:
            if (quality := _inexpressible_part(cell)) is not None:
                raise OptionError(f"Keras' LSTM has no {quality}, which layer {number} has")


def _inexpressible_part(cell: LSTMCell) -> str | None:
    """Return the part of a cell that Keras' LSTM does not have; None if it has all."""
    p, v = cell.parameters, cell.variant
    if v.peephole != "none":
        return "peepholes"
    if v.coupling != "none":
        return "coupled gates"
    for switch, value in v.differences().items():
        if switch not in ("layer_norm", "epsilon") and not isinstance(value, Activation):
            return switch.replace("_", " ")
    if p.projection is not None:
        return "projection"
    if v.layer_norm != "none":
        return "layer norm"
    if len({v.activation(letter) for letter in "ifo"}) > 1:
        return "activation of each gate of its own"
    if v.activation("g") != v.activation("c"):
        return "activation of the cell state other than the candidate's"
    for letter in "ig":
        if v.activation(letter) not in NAMES:
            has = ", ".join(dict.fromkeys(NAMES.values()))
            return f"activation {v.activation(letter)} (it has {has}, each with constants of its own)"
    return None


# The configuration.


def _object_config(module: str, kind: str, config: Config, **more: Any) -> Config:
    return {"module": module, "class_name": kind, "config": config, "registered_name": None, **more}


def _dtype(lstm: LSTM) -> Config:
    return _object_config("keras", "DTypePolicy", {"name": lstm.dtype.name})


def _lstm_config(lstm: LSTM, cell: LSTMCell, name: str, backwards: bool) -> Config:
    """Return the configuration of a Keras LSTM layer with a cell's size and activations."""
    return {
        "name": name,
        "trainable": True,
        "dtype": _dtype(lstm),
        "return_sequences": True,
        "return_state": False,
        "go_backwards": backwards,
        "stateful": False,
        "unroll": False,
        "units": cell.hidden_size,
        "activation": NAMES[cell.variant.activation("g")],
        "recurrent_activation": NAMES[cell.variant.activation("i")],
        "use_bias": True,
        "unit_forget_bias": True,
    }


def _layer_configs(lstm: LSTM) -> Iterator[tuple[str, str, Config]]:
    """Yield the class, the name and the Keras configuration of each layer of an LSTM."""
    for number, (row, merge) in enumerate(zip(lstm.layers, lstm.merge, strict=True)):
        tail = f"_{number}" if number else ""
        if not lstm.bidirectional:
            # If the first runs backward, the others receive its steps in reverse order and so run backward already.
            backwards = lstm.directions == ("backward",) and number == 0
            yield "LSTM", f"lstm{tail}", _lstm_config(lstm, row[0], f"lstm{tail}", backwards)
            continue
        inner = [
            _object_config(
                "keras.layers", "LSTM", _lstm_config(lstm, cell, f"{direction}_lstm{tail}", direction == "backward")
            )
            for cell, direction in zip(row, lstm.directions, strict=True)
        ]
        config = {
            "name": f"bidirectional{tail}",
            "trainable": True,
            "dtype": _dtype(lstm),
            "merge_mode": MERGES[merge],
            "layer": inner[0],
            "backward_layer": inner[1],
        }
        yield "Bidirectional", f"bidirectional{tail}", config


def configuration(lstm: LSTM) -> Config:
    """Return the configuration of an LSTM as a functional model of Keras 3."""
    features, name = lstm.input_size, "input"
    dtype = lstm.dtype.name
    entry = {"batch_shape": [None, None, features], "dtype": dtype, "sparse": False, "ragged": False, "name": name}
    layers = [_object_config("keras.layers", "InputLayer", entry, name=name, inbound_nodes=[])]

    def append_layer(module: str, kind: str, config: Config, **more: Any) -> None:
        """Add a layer that reads the last one to the Keras configuration."""
        history = {"shape": [None, None, features], "dtype": dtype, "keras_history": [name, 0, 0]}
        node = {"args": [{"class_name": "__keras_tensor__", "config": history}], "kwargs": {}}
        layers.append(_object_config(module, kind, config, name=config["name"], inbound_nodes=[node], **more))

    for (kind, layer, config), row, merge in zip(_layer_configs(lstm), lstm.layers, lstm.merge, strict=True):
        append_layer("keras.layers", kind, config, build_config={"input_shape": [None, None, features]})
        features = sum(cell.hidden_size for cell in row) if merge == "concat" else row[0].hidden_size
        name = layer
    if lstm.directions == ("backward",):
        append_layer("keras.src.ops.numpy", "Flip", {"name": "flip", "axis": 1})
        layers[-1]["registered_name"] = "Flip"
        name = "flip"
    outputs: list[Any] = [name, 0, 0]
    if lstm.bidirectional and lstm.merge[-1] == "none":
        outputs = [[name, 0, 0], [name, 0, 1]]
    config = {
        "name": MODEL,
        "trainable": True,
        "layers": layers,
        "input_layers": ["input", 0, 0],
        "output_layers": outputs,
    }
    return _object_config("keras.src.models.functional", "Functional", config) | {"registered_name": "Functional"}


# The weights.


def arrays(cell: LSTMCell) -> list[Array]:
    """Return a cell's kernel, recurrent kernel and bias, as Keras has them."""
    stacked = conventions.stacked("keras", cell.parameters)
    return [
        np.ascontiguousarray(stacked.input_weight.T),
        np.ascontiguousarray(stacked.recurrent_weight.T),
        stacked.bias,
    ]


ROLES = ("kernel", "recurrent_kernel", "bias")  # of the `arrays` of a cell


def _arrays_by_layer(lstm: LSTM) -> Iterator[tuple[str, dict[str, Array]]]:
    """Yield the name of each Keras layer of an LSTM, and its arrays by the paths of its variables."""
    for (_, name, _), row in zip(_layer_configs(lstm), lstm.layers, strict=True):
        by_path: dict[str, Array] = {}
        for direction, cell in zip(lstm.directions, row, strict=True):
            side = f"{direction}_{name.replace('bidirectional', 'lstm')}/" if lstm.bidirectional else ""
            path = f"{name}/{side}lstm_cell"
            by_path |= {f"{path}/{role}": array for role, array in zip(ROLES, arrays(cell), strict=True)}
        yield name, by_path


def write_gradients(gradients: LSTMGradients, lstm: LSTM) -> dict[str, Array]:
    """Return the gradients of an LSTM's parameters by the variables' paths in the Keras model that `write` makes.

    Parameters
    ----------
    gradients : LSTMGradients
        Of a run of `lstm`: see `gatewise.backward`.
    lstm : LSTM

    Returns
    -------
    dict of str to array
        ``lstm/lstm_cell/kernel``, ``lstm/lstm_cell/recurrent_kernel``, ``lstm/lstm_cell/bias``, or
        ``bidirectional/forward_lstm/lstm_cell/kernel`` …, in Keras' shapes and in the order of ``trainable_variables``:
        of a layer with another name, the values come in the same order.

    Raises
    ------
    OptionError
        If Keras cannot express the LSTM, or the gradients are not those of one of its layers and directions.
    ShapeError
        If they are those of an LSTM of other sizes.
    """
    require_expressible(lstm)
    converted = conventions.gradients_as_parameters(lstm, gradients)
    return {path: array for _, by_path in _arrays_by_layer(converted) for path, array in by_path.items()}


def _write_archive(path: Any, lstm: LSTM, h5py: Any) -> None:
    """Write an LSTM as a .keras file: a zip archive of metadata, configuration and HDF5 weights."""
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        for name, by_path in _arrays_by_layer(lstm):
            for place, array in enumerate(by_path.values()):
                side, number = divmod(place, len(ROLES))
                folder = f"{lstm.directions[side]}_layer/" if lstm.bidirectional else ""
                file.create_dataset(f"layers/{name}/{folder}cell/vars/{number}", data=array)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        members = {
            METADATA: json.dumps({"keras_version": VERSION}).encode(),
            CONFIG: json.dumps(configuration(lstm)).encode(),
            WEIGHTS: target.getvalue(),
        }
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)  # always of the same date: the same bytes each time


def _write_hdf5_model(file: Any, lstm: LSTM) -> None:
    """Write an LSTM as a Keras model in HDF5, as Keras 2 and 3 write their .h5 files."""
    file.attrs["backend"] = "numpy"
    file.attrs["keras_version"] = VERSION
    file.attrs["model_config"] = json.dumps(configuration(lstm))
    weights = file.create_group("model_weights")
    weights.attrs["backend"], weights.attrs["keras_version"] = "numpy", VERSION
    names = ["input", *(name for _, name, _ in _layer_configs(lstm))]
    weights.attrs["layer_names"] = [name.encode() for name in names]
    weights.create_group("input").attrs["weight_names"] = np.zeros(0)
    for name, by_path in _arrays_by_layer(lstm):
        group = weights.create_group(name)
        for path, array in by_path.items():
            group.create_dataset(path, data=array)
        group.attrs["weight_names"] = [path.encode() for path in by_path]
    weights.create_group("top_level_model_weights").attrs["weight_names"] = np.zeros(0)


def _live_model(lstm: LSTM) -> Any:
    """Return an LSTM as a live Keras model."""
    model = import_keras().saving.deserialize_keras_object(configuration(lstm))
    for name, by_path in _arrays_by_layer(lstm):
        model.get_layer(name).set_weights([*by_path.values()])
    return model
