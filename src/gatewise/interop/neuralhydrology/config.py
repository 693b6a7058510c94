"""The configuration of a NeuralHydrology run: the parts of its network, and those that cannot be expressed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gatewise.errors import FileError
from gatewise.interop.containers.lookups import Lookups
from gatewise.interop.ledger import LedgerEntry, looked_up_entries
from gatewise.interop.neuralhydrology.documents import describe
from gatewise.network import Windows
from gatewise.records.labels import Measure
from gatewise.records.times import TimeStep

LSTMS = {"cudalstm": "lstm", "customlstm": "cell", "lstm": "cell"}  # where each has its LSTM; lstm: an old name
ACTIVATIONS = {"linear": None, "tanh": "tanh", "sigmoid": "sigmoid", "relu": "relu"}  # of embeddings
OUTPUT_ACTIVATIONS = {"relu": "relu", "softplus": "softplus"}  # every other is ignored, as NeuralHydrology does
UNSUPPORTED = (  # what changes the input of the LSTM, or its data, in ways that a Network has not
    "use_basin_id_encoding",
    "autoregressive_inputs",
    "evolving_attributes",
    "static_inputs",
    "mass_inputs",
    "hindcast_inputs",
    "forecast_inputs",
    "nan_handling_method",
    "nan_handling_pos_encoding_size",
    "timestep_counter",
    "random_holdout_from_dynamic_features",
)
WITHOUT_EFFECT = {  # what says how a run was trained, evaluated and stored
    *("additional_feature_files", "allow_subsequent_nan_losses", "base_run_dir", "batch_size"),
    *("cache_validation_data", "checkpoint_path", "clip_gradient_norm", "commit_hash", "continue_from_epoch"),
    *("custom_normalization", "data_dir", "dataset", "device", "dynamic_learning_rate", "early_stopping"),
    *("embedding_activation", "embedding_dropout", "embedding_hiddens", "epochs", "experiment_name"),
    *("factor_dynamic_learning_rate", "finetune_modules", "forcings", "img_log_dir", "initial_forget_bias"),
    *("is_continue_training", "is_finetuning", "learning_rate", "log_interval", "log_n_figures"),
    *("log_tensorboard", "loss", "max_updates_per_epoch", "metrics", "minimum_epochs_before_early_stopping"),
    *("n_distributions", "n_samples", "n_taus", "nan_sequence_probability", "nan_step_probability"),
    *("negative_sample_handling", "negative_sample_max_retries", "no_loss_frequencies", "num_workers"),
    *("number_of_basins", "optimizer", "output_dropout", "patience_dynamic_learning_rate"),
    *("patience_early_stopping", "per_basin_test_periods_file", "per_basin_train_periods_file"),
    *("per_basin_validation_periods_file", "rating_curve_file", "regularization", "run_dir", "save_all_output"),
    *("save_git_diff", "save_train_data", "save_validation_results", "save_weights_every", "seed"),
    *("target_loss_weights", "target_noise_std", "tau_down", "tau_up", "test_basin_file", "test_end_date"),
    *("test_start_date", "train_basin_file", "train_data_file", "train_dir", "train_end_date"),
    *("train_start_date", "umal_extend_batch", "validate_every", "validate_n_random_basins"),
    *("validation_basin_file", "validation_end_date", "validation_start_date", "verbose", "warmup_period"),
}
DATASET_STEPS = {  # of NeuralHydrology's data sets, which have one
    **dict.fromkeys(("camels_us", "camels_aus", "camels_br", "camels_cl", "camels_gb"), "1D"),
    "hourly_camels_us": "1h",
}
OTHER_MODELS = (  # how the names of settings of other models begin
    *("bidirectional_stacked_forecast_", "conceptual_", "dynamic_conceptual_", "forecast_", "hindcast_", "mamba_"),
    *("ode_", "shared_mtslstm", "state_handoff_network", "transfer_mtslstm_states", "transformer_", "xlstm_"),
)
COPIED = re.compile(r"(.+)_copy([1-9][0-9]{0,5})", re.DOTALL)  # the names of features that are made of others
SHIFTED = re.compile(r"(.+)_shift(0|-?[1-9][0-9]{0,8})", re.DOTALL)
_MEASURED = re.compile(r"([^()\[\]]+?) *[(\[]([^()\[\]]+)[)\]](.*)", re.DOTALL)


@dataclass(frozen=True)
class Embedding:
    """Dense layers over some of the features: their sizes, and the activation of all but the last."""

    hiddens: tuple[int, ...]
    activation: str | None


@dataclass(frozen=True)
class Config:
    """The parts of a network."""

    model: str  # a key of `LSTMS`
    dynamic: tuple[str, ...]
    static: tuple[str, ...]  # in the order of the alphabet, behind the dynamic features
    targets: tuple[str, ...]
    clipped: tuple[str, ...]  # the targets that are never negative
    dynamics_embedding: Embedding | None
    statics_embedding: Embedding | None
    activation: str | None  # of the head
    hidden_size: int
    windows: Windows
    time_step: str | None = None
    notes: tuple[str, ...] = ()
    version: str = ""  # of the package that wrote the run

    @property
    def features(self) -> tuple[str, ...]:
        """All features, in the order in which they go into the network."""
        return (*self.dynamic, *self.static)


def unsupported_reason(document: Mapping[str, Any]) -> str | None:
    """Return why the network of a NeuralHydrology run cannot be expressed, as the rest of a sentence, or None."""
    model, head = _read_text(document, "model"), _read_text(document, "head")
    if model.lower() not in LSTMS:
        return f"it is a run of the model {describe(model)}; cudalstm and customlstm are supported"
    if head.lower() != "regression":
        return f"its head is {describe(head)}; regression is supported"
    for key in UNSUPPORTED:
        if document.get(key) not in (None, False, 0, 0.0, "", [], {}):
            return f"its {key} ({describe(document[key])}) is not supported"
    inputs = document.get("dynamic_inputs")
    groups = list(inputs.values()) if isinstance(inputs, dict) else inputs if isinstance(inputs, list) else []
    frequencies = document.get("use_frequencies")
    if len(frequencies if isinstance(frequencies, list) else []) > 1 or (isinstance(inputs, dict) and len(groups) > 1):
        return "it has several frequencies, and one is supported"
    if len(groups) > 1 and any(isinstance(group, list) for group in groups):
        return "its dynamic_inputs are several groups, and one is supported"
    for key in ("dynamics_embedding", "statics_embedding"):
        embedding = document.get(key)
        kind = embedding.get("type", "fc") if isinstance(embedding, dict) else "fc"
        if not isinstance(kind, str) or kind.lower() != "fc":
            return f"its {key} is of the type {describe(kind)}; fc is supported"
    return None


def read_config(document: Mapping[str, Any]) -> Config:
    """Return the parts of a NeuralHydrology run's configuration that its network needs."""
    inputs = document.get("dynamic_inputs")
    if isinstance(inputs, dict) and len(inputs) == 1:
        inputs = next(iter(inputs.values()))
    if isinstance(inputs, list) and len(inputs) == 1 and isinstance(inputs[0], list):
        inputs = inputs[0]
    attributes = "static_attributes" if "static_attributes" in document else "camels_attributes"
    static = sorted({*_read_name_list(document, attributes), *_read_name_list(document, "hydroatlas_attributes")})
    targets = "target_variables" if "target_variables" in document else "target_variable"
    dynamic = _read_name_list({"dynamic_inputs": inputs}, "dynamic_inputs")
    windows = Windows(_read_count_of_frequency(document, "seq_length"), _read_lags(document, dynamic))
    config = Config(
        model=_read_text(document, "model").lower(),
        dynamic=dynamic,
        static=tuple(static),
        targets=_read_name_list(document, targets),
        clipped=_read_name_list(document, "clip_targets_to_zero"),
        dynamics_embedding=_read_embedding(document, "dynamics_embedding"),
        statics_embedding=_read_embedding(document, "statics_embedding"),
        activation=OUTPUT_ACTIVATIONS.get(_read_text(document, "output_activation", "linear").lower()),
        hidden_size=_read_count("hidden_size", document.get("hidden_size")),
        windows=windows,
        time_step=(step := _time_step(document)),
        notes=_comparison_notes(document, windows, step),
        version=_version_text(document.get("package_version")),
    )
    for key, names in (("dynamic_inputs", config.dynamic), (targets, config.targets)):
        if not names:
            raise FileError(f"its config.yml has no {key}")
    for names in (config.features, config.targets):
        if twice := [name for place, name in enumerate(names) if name in names[:place]]:
            raise FileError(f"its config.yml has the name {describe(twice[0])} twice")
    if config.statics_embedding is not None and not static:
        raise FileError("its config.yml has a statics_embedding, but no static_attributes")
    return config


def measure_of(name: str) -> Measure | None:
    """Return the quantity and the unit that a name gives, such as QObs(mm/h), or None."""
    match = _MEASURED.fullmatch(name)
    return None if match is None else Measure(match[1] + match[3], match[2])


def _read_text(document: Mapping[str, Any], key: str, default: str | None = None) -> str:
    """Return a text entry of a NeuralHydrology run's config.yml."""
    value = document.get(key, default)
    if not isinstance(value, str):
        raise FileError(f"{key} in its config.yml must be a text, not {describe(value)}")
    return value


def config_ledger(document: Lookups, lstm: str) -> Iterator[LedgerEntry]:
    """Yield the entries of a NeuralHydrology run's config.yml: those looked up are used; an unknown one concerns it."""

    def idle(key: str) -> str:
        other = key in WITHOUT_EFFECT or key.startswith(OTHER_MODELS)
        return "it says how the run was trained, evaluated or stored, or is of other models" if other else ""

    entries = ((key, key in document.looked_up) for key in document)
    unknown = "it is no setting of NeuralHydrology's that is known here"
    return looked_up_entries(entries, lambda key: "config.yml", [lstm], unknown, idle)


def _read_count(key: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**31:
        raise FileError(f"{key} in its config.yml must be a positive integer, not {describe(value)}")
    return value


def _read_name_list(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return the names in an entry of a NeuralHydrology run's config.yml: a list, or a single name."""
    value = document.get(key)
    names = [] if value is None else value if isinstance(value, list) else [value]
    for name in names:
        if not isinstance(name, str) or not name:
            raise FileError(f"{key} in its config.yml must be names, not {describe(name)}")
    return tuple(names)


def _read_embedding(document: Mapping[str, Any], key: str) -> Embedding | None:
    """Return the embedding that a NeuralHydrology run's config.yml gives its inputs, or None."""
    value = document.get(key)
    if value in (None, False):
        return None
    if value is True:  # as older versions had it, the same for both
        value = {name: document.get(f"embedding_{name}", "tanh") for name in ("hiddens", "activation")}
    if not isinstance(value, dict):
        raise FileError(f"{key} in its config.yml must have hiddens, not be {describe(value)}")
    hiddens, activation = value.get("hiddens"), value.get("activation", "tanh")
    sizes = _as_list(hiddens)
    if not isinstance(activation, str) or activation.lower() not in ACTIVATIONS:
        raise FileError(f"the activation of {key} must be one of {', '.join(ACTIVATIONS)}, not {describe(activation)}")
    return Embedding(
        tuple(_read_count(f"hiddens of {key}", size) for size in sizes or [None]), ACTIVATIONS[activation.lower()]
    )


def _read_count_of_frequency(document: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """Return a count of a configuration, or that of the only frequency."""
    value = document.get(key, default)
    return _read_count(key, next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else value)


def _read_lags(document: Mapping[str, Any], dynamic: tuple[str, ...]) -> dict[str, tuple[str, int]]:
    """Return the dynamic inputs that NeuralHydrology adds to its data: the column of each, and the steps before.

    It makes ``duplicate_features`` first, so that a copy may be shifted as well.
    """
    copies, shifts = document.get("duplicate_features"), document.get("lagged_features") or {}
    if not isinstance(copies, dict):
        copies = dict.fromkeys(_read_name_list(document, "duplicate_features"), 1)
    if not isinstance(shifts, dict):
        raise FileError(f"lagged_features in its config.yml must be a dictionary, not {describe(shifts)}")
    lags = {}
    for name in dynamic:
        column, steps = name, 0
        shift = SHIFTED.fullmatch(column)
        if shift is not None and shift[1] in shifts and int(shift[2]) in _as_list(shifts[shift[1]]):
            column, steps = shift[1], int(shift[2])
        copy = COPIED.fullmatch(column)
        count = 0 if copy is None or copy[1] not in copies else _read_count("duplicate_features", copies[copy[1]])
        if copy is not None and int(copy[2]) <= count:
            column = copy[1]
        if column != name:
            lags[name] = column, steps
    return lags


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _time_step(document: Mapping[str, Any]) -> str | None:
    """Return the time step of a NeuralHydrology run: its only frequency, else that of its data set; None if unknown."""
    stated = [*_as_list(document.get("use_frequencies") or [])]
    for key in ("seq_length", "dynamic_inputs"):
        value = document.get(key)
        stated += [*value] if isinstance(value, dict) else []
    dataset = document.get("dataset")
    stated += [DATASET_STEPS.get(dataset.lower())] if isinstance(dataset, str) and not stated else []
    return next((frequency for frequency in stated[:1] if TimeStep.of(frequency) is not None), None)


def _comparison_notes(document: Mapping[str, Any], windows: Windows, time_step: str | None) -> tuple[str, ...]:
    """Return notes to read before numbers are compared with NeuralHydrology's."""
    notes = [
        f"NeuralHydrology evaluates it in windows: each output comes from {windows.steps:,} steps of its own, from"
        " zeros (seq_length)"
    ]
    if (predicted := _read_count_of_frequency(document, "predict_last_n", 1)) > 1:
        notes.append(
            f"NeuralHydrology saves the last {predicted:,} outputs of each window (predict_last_n); its metrics"
            " take the last one"
        )
    if time_step is not None:
        notes.append(f"its time step is {time_step}: data with other steps are refused, if they have dates")
    elif document.get("use_frequencies"):
        steps = describe(document["use_frequencies"])
        notes.append(f"its steps are of use_frequencies, {steps}: an input of other steps is taken as it is")
    if document.get("mc_dropout"):
        notes.append("mc_dropout: NeuralHydrology drops outputs of the LSTM at random in its evaluations; none is here")
    return tuple(notes)


def _version_text(value: object) -> str:
    text = str(value) if isinstance(value, (str, int, float)) else ""
    return text if re.fullmatch(r"[\w.+-]{1,40}", text, re.ASCII) else ""
