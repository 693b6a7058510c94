"""Runs of NeuralHydrology made by hand: a folder with a configuration, a scaler and weights, and what they compute.

`answer` works a network out from the arrays in float64 with nothing of gatewise, as NeuralHydrology's `inputlayer.py`,
`customlstm.py`, `head.py` and `tester.py` do.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from agreement import assert_agree
from fuzzing import everything

from gatewise.interop.torch.writing import write_archive

DYNAMIC = ["prcp(mm/day)", "tmax(C)", "pet"]
STATIC = ["slope", "area", "elev_mean"]  # not as the alphabet has them, which is how they go into the network
TARGETS = ["QObs(mm/d)"]
ACTIVATIONS = {
    "linear": lambda a: a,
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "softplus": lambda a: np.logaddexp(0, a),
}


def numbers(rng: np.random.Generator, *shape: int) -> Any:
    return rng.normal(0, 0.5, shape).astype(np.float32)


def settings(**changes: Any) -> dict[str, Any]:
    """Return a configuration; None leaves an entry out."""
    found = {
        "model": "cudalstm",
        "head": "regression",
        "hidden_size": 5,
        "dynamic_inputs": DYNAMIC,
        "static_attributes": STATIC,
        "target_variables": TARGETS,
        "clip_targets_to_zero": TARGETS,
        "output_activation": "linear",
        "seq_length": 365,
        "package_version": "1.13.0",
        "run_dir": "/nowhere/to/be/found",
        "train_dir": "/nowhere/to/be/found/train_data",
        "learning_rate": {0: 0.001, 2: 5e-05},
    } | changes
    return {name: value for name, value in found.items() if value is not None}


def weights(config: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Return arrays of a run by their names in the file."""
    found: dict[str, Any] = {}
    size = 0
    for kind, names, place in (
        ("dynamics", config["dynamic_inputs"], "embedding_net.dynamics_embeddings.0.net"),
        ("statics", config.get("static_attributes", []), "embedding_net.statics_embedding.net"),
    ):
        width = len(names)
        if (given := config.get(f"{kind}_embedding")) is not None:
            for number, hidden in enumerate(given["hiddens"]):
                found[f"{place}.{3 * number}.weight"] = numbers(rng, hidden, width)
                found[f"{place}.{3 * number}.bias"] = numbers(rng, hidden)
                width = hidden
        size += width
    units = config["hidden_size"]
    for kind, columns in (("ih", size), ("hh", units)):
        weight, bias = numbers(rng, 4 * units, columns), numbers(rng, 4 * units)
        custom = config["model"] == "customlstm"
        found[f"cell.w_{kind}" if custom else f"lstm.weight_{kind}_l0"] = weight
        found[f"cell.b_{kind}" if custom else f"lstm.bias_{kind}_l0"] = bias
    count = len(config["target_variables"])
    return found | {"head.net.0.weight": numbers(rng, count, units), "head.net.0.bias": numbers(rng, count)}


def scales(config: dict[str, Any], rng: np.random.Generator) -> dict[str, dict[str, float]]:
    """Return the center and the scale of every feature and target, in the alphabet's order."""
    dynamic = sorted([*config["dynamic_inputs"], *config["target_variables"]])
    static = sorted(config.get("static_attributes", []))

    def of(names: list[str], low: float, high: float) -> dict[str, float]:
        return {name: float(np.float32(rng.uniform(low, high))) for name in names}

    found = {"xarray_feature_scale": of(dynamic, 1, 9), "xarray_feature_center": of(dynamic, -3, 3)}
    return found | ({"attribute_means": of(static, 2, 300), "attribute_stds": of(static, 1, 90)} if static else {})


def window_answers(
    config: dict[str, Any], arrays: dict[str, Any], tables: dict[str, Any], basin: dict[str, Any], steps: int
) -> Any:
    """Return the outputs (time, target) of windows: of each the last one, from zeros; NaN where none fits in."""
    length = config["seq_length"]
    found = np.full((steps, len(config["target_variables"])), np.nan)
    for end in range(length - 1, steps):
        inside = slice(end + 1 - length, end + 1)
        window = {name: values[inside] if np.ndim(values) else values for name, values in basin.items()}
        found[end] = answer(config, arrays, tables, window)[-1]
    return found


def assert_series_agree(got: Any, want: Any, tolerance: float = 2e-5) -> None:
    """Compare the outputs of windows, which are NaN at the same steps."""
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    assert_agree({"y": np.nan_to_num(got)}, {"y": np.nan_to_num(want)}, tolerance)


def yaml(value: Any) -> str:
    """Return a configuration as YAML: a line for each entry, and its value in JSON, which is YAML as well."""
    return "".join(f"{json.dumps(name)}: {json.dumps(one)}\n" for name, one in value.items())


def scaler_yaml(tables: dict[str, dict[str, float]]) -> str:
    """Return a scaler as NeuralHydrology writes it: Series and Datasets as dictionaries."""
    lines = []
    for key, table in tables.items():
        lines.append(f"{key}:")
        if key.startswith("attribute"):
            lines += [f"  {name}: {value!r}" for name, value in table.items()]
            continue
        lines += ["  coords: {}", "  attrs: {}", "  dims: {}", "  data_vars:"]
        for name, value in table.items():
            lines += [f"    {name}:", "      dims: []", "      attrs: {}", f"      data: {value!r}"]
    return "\n".join([*lines, ""])


def make_run(
    folder: Path,
    config: dict[str, Any] | None = None,
    *,
    seed: int = 0,
    epochs: tuple[int, ...] = (1,),
    arrays: dict[str, Any] | None = None,
    tables: dict[str, dict[str, float]] | None = None,
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """Write a run, and return its arrays and its scaler."""
    rng = np.random.default_rng(seed)
    config = settings() if config is None else config
    tables = scales(config, rng) if tables is None else tables
    (folder / "train_data").mkdir(parents=True)
    (folder / "config.yml").write_text(yaml(config), encoding="utf-8")
    (folder / "train_data" / "train_data_scaler.yml").write_text(scaler_yaml(tables), encoding="utf-8")
    for epoch in epochs:
        arrays = weights(config, rng) if arrays is None or epoch > 1 else arrays
        write_archive(folder / f"model_epoch{epoch:03}.pt", arrays)
    assert arrays is not None
    return arrays, tables


def answer(config: dict[str, Any], arrays: dict[str, Any], tables: dict[str, Any], basin: dict[str, Any]) -> Any:
    """Return the outputs (time, target) for a basin: a series or a number by the name of each feature."""
    static = sorted(config.get("static_attributes", []))
    centers = tables["xarray_feature_center"] | tables.get("attribute_means", {})
    spreads = tables["xarray_feature_scale"] | tables.get("attribute_stds", {})
    steps = len(basin[config["dynamic_inputs"][0]])

    def embedded(kind: str, names: list[str], place: str) -> Any:
        y = np.stack([np.broadcast_to((basin[n] - centers[n]) / spreads[n], steps) for n in names], axis=-1)
        given = config.get(f"{kind}_embedding") or {"hiddens": []}
        for number in range(len(given["hiddens"])):
            y = y @ np.float64(arrays[f"{place}.{3 * number}.weight"]).T + arrays[f"{place}.{3 * number}.bias"]
            if number < len(given["hiddens"]) - 1:
                y = ACTIVATIONS[given.get("activation", "tanh")](y)
        return y

    x = embedded("dynamics", config["dynamic_inputs"], "embedding_net.dynamics_embeddings.0.net")
    if static:
        x = np.concatenate([x, embedded("statics", static, "embedding_net.statics_embedding.net")], axis=-1)
    kinds = ("cell.w_{}", "cell.b_{}") if config["model"] == "customlstm" else ("lstm.weight_{}_l0", "lstm.bias_{}_l0")
    (w_ih, b_ih), (w_hh, b_hh) = ([np.float64(arrays[one.format(way)]) for one in kinds] for way in ("ih", "hh"))
    h = c = np.zeros(config["hidden_size"])
    found = []
    for step in x:
        i, f, g, o = np.split(w_ih @ step + b_ih + w_hh @ h + b_hh, 4)
        sigmoid = ACTIVATIONS["sigmoid"]
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        y = np.float64(arrays["head.net.0.weight"]) @ h + arrays["head.net.0.bias"]
        found.append(ACTIVATIONS[config.get("output_activation", "linear")](y))
    least = [0 if name in config.get("clip_targets_to_zero", []) else -math.inf for name in config["target_variables"]]
    scale, center = ([table[name] for name in config["target_variables"]] for table in (spreads, centers))
    return np.maximum(np.array(found) * scale + center, least)


def basin_of(config: dict[str, Any], steps: int = 20, seed: int = 5) -> dict[str, Any]:
    """Return made-up series and attributes by name."""
    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {name: rng.normal(1, 4, steps) for name in config["dynamic_inputs"]}
    return found | {name: float(rng.uniform(1, 400)) for name in config.get("static_attributes", [])}


# The pickle that a scaler was before it was YAML, as pandas 1 and xarray 0.16 wrote it: put together from operations.


def _text(value: str) -> bytes:
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def _bytes(value: bytes) -> bytes:
    return b"B" + len(value).to_bytes(4, "little") + value


def _tuple(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def _dict(entries: dict[str, bytes]) -> bytes:
    return b"}(" + b"".join(_text(name) + one for name, one in entries.items()) + b"u"


def _class(name: str) -> bytes:
    module, _, kind = name.rpartition(".")
    return f"c{module}\n{kind}\n".encode()


def _list(*parts: bytes) -> bytes:
    return b"](" + b"".join(parts) + b"e"


def _array(kind: str, shape: tuple[int, ...], held: bytes) -> bytes:
    built = _class("numpy.core.multiarray._reconstruct") + _tuple(_class("numpy.ndarray"), _tuple(b"K\0"), _bytes(b"b"))
    dtype = _class("numpy.dtype") + _tuple(_text(kind), b"K\0", b"K\1") + b"R"
    dtype += _tuple(b"K\3", _text("|" if kind == "O8" else "<"), b"N", b"N", b"N", b"J\xff\xff\xff\xff", b"K\0") + b"b"
    sizes = _tuple(*(b"K" + bytes([n]) for n in shape))
    return built + b"R" + _tuple(b"K\1", sizes, dtype, b"\x89", held) + b"b"


def _new(name: str, state: bytes) -> bytes:
    return _class(name) + b")\x81" + state + b"b"


def _series(table: dict[str, float]) -> bytes:
    data = _dict({"data": _array("O8", (len(table),), _list(*map(_text, table))), "name": b"N"})
    index = (
        _class("pandas.core.indexes.base._new_Index") + _tuple(_class("pandas.core.indexes.base.Index"), data) + b"R"
    )
    values = _array("f8", (len(table),), _bytes(np.array([*table.values()], "<f8").tobytes()))
    manager = _new(
        "pandas.core.internals.managers.SingleBlockManager",
        _tuple(_list(index), _list(values), _list(index), _dict({"0.14.1": b"N"})),
    )
    return _new("pandas.core.series.Series", _dict({"_data": manager, "_typ": _text("series"), "_name": b"N"}))


def _dataset(table: dict[str, float]) -> bytes:
    variables = {
        name: _new(
            "xarray.core.variable.Variable",
            _tuple(b"N", _dict({"_dims": b")", "_data": _array("f4", (), _bytes(np.array(value, "<f4").tobytes()))})),
        )
        for name, value in table.items()
    }
    return _new("xarray.core.dataset.Dataset", _tuple(b"N", _dict({"_attrs": b"}", "_variables": _dict(variables)})))


def scaler_pickle(tables: dict[str, dict[str, float]]) -> bytes:
    """Return a scaler as a pickle."""
    entries = {key: (_series if key.startswith("attribute") else _dataset)(one) for key, one in tables.items()}
    return b"\x80\x03" + _dict(entries) + b"."


def spoiled_part(path: Path, folder: str, part: str) -> None:
    """Read a run of which one file is replaced by another."""
    (Path(folder) / part).write_bytes(path.read_bytes())
    everything(Path(folder))


# The example of docs/hydrology.md: three reservoirs whose behaviour is known, since their weights are set by hand.

EXAMPLE = settings(
    hidden_size=3,
    dynamic_inputs=["prcp(mm/d)", "tmean(C)"],
    static_attributes=["elev_mean"],
    target_variables=["QObs(mm/d)"],
    experiment_name="reservoirs",
)
SCALES = {
    "attribute_means": {"elev_mean": 800.0},
    "attribute_stds": {"elev_mean": 400.0},
    "xarray_feature_center": {"QObs(mm/d)": 2.0, "prcp(mm/d)": 3.0, "tmean(C)": 8.0},
    "xarray_feature_scale": {"QObs(mm/d)": 3.0, "prcp(mm/d)": 6.0, "tmean(C)": 9.0},
}


def reservoirs() -> dict[str, Any]:
    """Return weights: soil that empties in 3 days, groundwater in 60, and snow, which gathers in frost and melts."""

    def logit(days: float) -> float:
        return math.log(days - 1)  # of a forget gate that keeps all but one part in so many

    of_rain, of_warmth = np.zeros((4, 3)), np.zeros((4, 3))  # by gate and unit, per mm and per degree
    bias, of_height = np.zeros((4, 3)), np.zeros((4, 3))
    bias[1] = logit(3), logit(60), 5.0
    of_warmth[0] = 1.5, 1.5, -1.5  # rain goes into the ground above freezing, and into snow below
    of_height[0] = -0.3, -0.3, 0.3
    of_warmth[1, 2] = -0.5  # it melts the faster the warmer it is
    of_rain[2] = 0.025, 0.0017, 0.004
    bias[3], of_warmth[3, 2] = (4.0, 4.0, 0.0), 0.6  # snow gives nothing in frost
    p, t = 3.0, 8.0
    weight = np.stack([of_rain * 6, of_warmth * 9, of_height], axis=-1).reshape(12, 3)
    return {
        "lstm.weight_ih_l0": np.float32(weight),
        "lstm.weight_hh_l0": np.zeros((12, 3), np.float32),
        "lstm.bias_ih_l0": np.float32((bias + of_rain * p + of_warmth * t).reshape(12)),
        "lstm.bias_hh_l0": np.zeros(12, np.float32),
        "head.net.0.weight": np.array([[2.0, 1.0, 1.5]], np.float32),
        "head.net.0.bias": np.array([-2 / 3], np.float32),
    }


def make_example(folder: Path) -> None:
    """Write the run of the example, three years of one of its basins, and the attributes of two."""
    make_run(folder / "run", EXAMPLE, epochs=(1,), arrays=reservoirs(), tables=SCALES)
    draw = np.random.RandomState(7)
    dates = np.arange("1999-10-01", "2002-10-01", dtype="datetime64[D]")
    day = (dates - dates.astype("datetime64[Y]")).astype(int)
    rain = np.where(draw.rand(len(dates)) < 0.4, draw.gamma(0.8, 9, len(dates)), 0).round(1)
    noise = np.convolve(draw.normal(0, 2, len(dates) + 4), np.ones(5) / 2, "valid")
    warmth = (7 - 11 * np.cos(2 * np.pi * (day - 20) / 365) + noise).round(1)
    basin = {"prcp(mm/d)": rain, "tmean(C)": warmth, "elev_mean": 950.0}
    flow = answer(EXAMPLE, reservoirs(), SCALES, basin)[:, 0] * draw.lognormal(0, 0.1, len(dates))
    lines = [f"{date},{q:.2f},{t},{p}" for date, q, t, p in zip(dates, flow, warmth, rain, strict=True)]
    (folder / "01013500.csv").write_text("\n".join(["date,QObs(mm/d),tmean(C),prcp(mm/d)", *lines, ""]))
    attributes = "gauge_id,elev_mean,geol_class\n01013500,950,granite\n01022500,310,limestone\n"
    (folder / "attributes.csv").write_text(attributes)
