"""Train small models of NeuralHydrology on made-up basins, and write down what it computes with them.

A program of its own, since NeuralHydrology sets up logging for a whole process: ``neuralhydrology_runs.py FOLDER``.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np

BASINS = ("north", "south", "west")
GAP = "2002-02-20"  # a day on which the rain of the last basin is not known
LENGTH = 40  # steps of a sample
DYNAMIC = ["tmax(C)", "prcp(mm d-1)"]
STATIC = ["slope", "area", "elev_mean"]  # not as the alphabet has them
Q, SWE = "QObs(mm d-1)", "SWE"
MODELS: dict[str, dict[str, Any]] = {
    "plain": {"model": "cudalstm", "output_activation": "linear", "clip_targets_to_zero": [Q]},
    "custom": {
        "model": "customlstm",
        "output_activation": "relu",
        "static_attributes": [],
        "target_variables": [SWE, Q],
        "custom_normalization": {
            "prcp(mm d-1)": {"centering": "median", "scaling": "minmax"},
            "tmax(C)": {"centering": "none", "scaling": "none"},
        },
    },
    "embedded": {
        "model": "cudalstm",
        "output_activation": "softplus",
        "target_variables": [Q, SWE],
        "statics_embedding": {"type": "fc", "hiddens": [5, 4, 2], "activation": "relu", "dropout": 0.2},
        "dynamics_embedding": {"type": "fc", "hiddens": [6, 3], "activation": "sigmoid", "dropout": 0.1},
    },
    "lagged": {
        "model": "cudalstm",
        "dynamic_inputs": ["prcp(mm d-1)_shift2", "tmax(C)_copy1", "tmax(C)_copy2_shift1", "prcp(mm d-1)"],
        "lagged_features": {"prcp(mm d-1)": [1, 2], "tmax(C)_copy2": 1},
        "duplicate_features": {"tmax(C)": 2},
        "target_variables": [Q, SWE],
        "predict_last_n": 3,
    },
}


def write_data(folder: Path) -> None:
    """Write basins as NeuralHydrology's generic dataset has them."""
    import pandas as pd
    import xarray as xr

    (folder / "time_series").mkdir(parents=True)
    (folder / "attributes").mkdir()
    rng = np.random.default_rng(0)
    dates = pd.date_range("2000-01-01", "2002-06-30", name="date")
    for basin in BASINS:
        rain = rng.gamma(0.3, 8, len(dates))
        warm = 10 - 12 * np.cos(2 * np.pi * np.arange(len(dates)) / 365) + rng.normal(0, 2, len(dates))
        flow = np.convolve(rain, np.exp(-np.arange(30) / 8) / 8)[: len(dates)]
        if basin == BASINS[-1]:
            rain[dates == GAP] = np.nan
        series = {"prcp(mm d-1)": rain, "tmax(C)": warm, Q: flow, SWE: np.maximum(0, -warm)}
        frame = xr.Dataset({name: ("date", one) for name, one in series.items()}, coords={"date": dates})
        frame.to_netcdf(folder / "time_series" / f"{basin}.nc")
        frame.to_dataframe().to_csv(folder / f"{basin}.csv")
    attributes = {"slope": [3.0, 40.0, 12.0], "area": [900.0, 20.5, 100.0], "elev_mean": [5.0, 1000.0, 30.0]}
    index = pd.Index(BASINS, name="gauge_id")
    pd.DataFrame(attributes, index=index).to_csv(folder / "attributes" / "attributes.csv")
    (folder / "basins.txt").write_text("\n".join(BASINS))


def settings(folder: Path, name: str) -> dict[str, Any]:
    """Return the configuration of a model."""
    found: dict[str, Any] = {
        "experiment_name": name,
        "run_dir": str(folder / "runs"),
        "device": "cpu",
        "seed": 1,
        "head": "regression",
        "hidden_size": 8,
        "initial_forget_bias": 3,
        "output_dropout": 0.2,
        "optimizer": "Adam",
        "loss": "MSE",
        "learning_rate": {0: 0.03},
        "batch_size": 256,
        "epochs": 1,
        "max_updates_per_epoch": 4,
        "predict_last_n": 1,
        "seq_length": LENGTH,
        "log_interval": 5,
        "log_tensorboard": False,
        "log_n_figures": 0,
        "verbose": 0,
        "metrics": [],
        "dataset": "generic",
        "data_dir": str(folder),
        "dynamic_inputs": DYNAMIC,
        "static_attributes": STATIC,
        "target_variables": [Q],
    }
    for period, (start, end) in {
        "train": ("01/06/2000", "31/12/2001"),
        "validation": ("01/01/2002", "31/01/2002"),
        "test": ("01/02/2002", "31/03/2002"),
    }.items():
        found |= {f"{period}_basin_file": str(folder / "basins.txt")}
        found |= {f"{period}_start_date": start, f"{period}_end_date": end}
    return found | MODELS[name]


def gates(run: Path) -> dict[str, Any]:
    """Return what CustomLSTM computes with the weights of a CudaLSTM, and what it was given."""
    import torch
    from neuralhydrology.datasetzoo import get_dataset
    from neuralhydrology.datautils.utils import load_scaler
    from neuralhydrology.modelzoo.cudalstm import CudaLSTM
    from neuralhydrology.modelzoo.customlstm import CustomLSTM
    from neuralhydrology.utils.config import Config

    config = Config(run / "config.yml")
    fast, slow = CudaLSTM(config), CustomLSTM(config)
    fast.load_state_dict(torch.load(run / "model_epoch001.pt"))
    slow.copy_weights(fast)
    data = get_dataset(config, is_train=False, period="test", basin=BASINS[0], scaler=load_scaler(run))
    batch = data.collate_fn([data[0], data[40]])
    slow.eval()
    with torch.no_grad():
        found = slow(batch)
        found["x"] = slow.embedding_net(batch).transpose(0, 1)
    return {name: array.numpy() for name, array in found.items()}


def main(folder: Path) -> None:
    """Train every model, evaluate it, and write its answers, its gates, and its scaler as it was once pickled."""
    from neuralhydrology.datautils.utils import load_scaler
    from neuralhydrology.evaluation import get_tester
    from neuralhydrology.training.train import start_training
    from neuralhydrology.utils.config import Config

    write_data(folder)
    for name in MODELS:
        start_training(Config(settings(folder, name)))
        (run,) = (folder / "runs").glob(f"{name}_*")
        run = run.rename(folder / name)
        results = get_tester(Config(run / "config.yml"), run, "test", True).evaluate(save_results=False)
        answers = {}
        for basin, found in results.items():
            for target in MODELS[name].get("target_variables", [Q]):
                answers[f"{basin}: {target}"] = found["1D"]["xr"][f"{target}_sim"].values  # (date, of its last steps)
            answers[f"{basin}: date"] = found["1D"]["xr"]["date"].values.astype("datetime64[D]")
        np.savez(folder / f"{name}.npz", **{one.replace("/", " "): array for one, array in answers.items()})
        with open(folder / f"{name}.p", "wb") as file:
            pickle.dump(load_scaler(run), file)
    np.savez(folder / "gates.npz", **gates(folder / "plain"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
