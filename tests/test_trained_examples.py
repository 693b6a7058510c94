"""The trained models that come with gatewise: they fit their data, and every command takes them by name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from program import output_of, refusal_of

import gatewise as gw
from gatewise.arrays import Array
from gatewise.cli import COMMANDS
from gatewise.cli.example_files import PLACES
from gatewise.examples import TRAINED
from gatewise.examples.trained_models import FOLDER, ExampleData

MAX_BYTES = 500_000


def unexplained(output: Array, data: ExampleData) -> float:
    """Return the share of the observed variance that a model leaves unexplained after 120 steps."""
    wanted = data.observed[120:]
    return float(((output[120:] - wanted) ** 2).sum() / ((wanted - wanted.mean(axis=0)) ** 2).sum())


def wrong_bits(output: Array, data: ExampleData) -> float:
    return float((np.sign(output) != data.observed).mean())


def bits(output: Array, data: ExampleData) -> float:
    """Return the bits with which a model predicts each next token, on average."""
    scores = output - np.log(np.exp(output).sum(axis=-1, keepdims=True))
    return float(-scores[np.arange(len(scores) - 1), data.x[1:]].mean() / np.log(2))


ERRORS: dict[str, tuple[Callable[[Array, ExampleData], float], float]] = {  # of each, how it is measured and its bound
    "river": (unexplained, 0.1),
    "amp": (unexplained, 0.02),
    "flipflop": (wrong_bits, 1e-9),
    "agreement": (bits, 2.2),
    "quotes": (bits, 1.4),
}


def test_every_example_has_a_stated_error():
    assert ERRORS.keys() == TRAINED.keys()


@pytest.mark.parametrize("name", TRAINED)
def test_an_example_fits_its_data_within_its_stated_error(name):
    model, data = getattr(gw.examples, name)()
    error, bound = ERRORS[name]
    assert 0 <= error(model.trace(data.x).output, data) < bound


def test_all_examples_are_small_and_every_file_belongs_to_one():
    files = set(FOLDER.iterdir())
    assert files == {path for example in TRAINED.values() for path in vars(example).values() if path is not None}
    assert sum(path.stat().st_size for path in files) < MAX_BYTES


@pytest.mark.parametrize("name", TRAINED)
def test_a_training_script_makes_every_example(name):
    script = Path(__file__).parent.parent / "docs" / "training" / f"{name}.py"
    text = script.read_text(encoding="utf-8")
    assert "torch.set_num_threads(1)" in text
    assert "torch.manual_seed" in text
    for path in vars(TRAINED[name]).values():
        assert path is None or path.stem in text or path.stem.removeprefix(f"{name}_") in text


# Every command takes them.


@pytest.mark.subjects(1)
@pytest.mark.parametrize("name", TRAINED)
def test_gatewise_computes_what_pytorch_computed(name, capsys):
    assert ": rounding" in " ".join(output_of(capsys, "verify", "--example", name).split())


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize(
    "line",
    [
        "inspect",
        "plot",
        "plot --kind gates -o gates.csv",
        "trace -o trace.npz",
        "page -o page.html",
        "convert -o model.safetensors",
        "export -o model.h",
    ],
)
def test_a_command_runs_on_an_example(line, name, here, capsys):
    command, *options = line.split()
    assert output_of(capsys, command, "--example", name, *options)
    assert all(Path(option).stat().st_size > 0 for option in options if Path(option).suffix)


def report_of(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the printed report on an example."""
    return output_of(capsys, "report", f"--example={name}")


def test_the_report_on_the_river_uses_its_words(here, capsys):
    text = report_of("river", capsys)
    assert "rain" in text
    assert "temperature" in text
    assert "Measured: output discharge (mm/d)" in text
    assert "Which units carry snow?" in text
    assert "the error rises" in text


def test_an_example_is_the_same_as_its_files(here, capsys):
    files = TRAINED["river"]
    assert output_of(capsys, "plot", "--example", "river") == output_of(capsys, "plot", files.model, files.input)


@pytest.mark.thorough
def test_an_own_file_comes_before_that_of_the_example(here, capsys):
    shutil.copy(TRAINED["river"].values, "mine.csv")
    text = Path("mine.csv").read_text(encoding="utf-8")
    Path("mine.csv").write_text(text.replace("snow", "my own"), encoding="utf-8")
    assert "Which units carry my own?" in output_of(capsys, "report", "--example", "river", "--values", "mine.csv")


def test_all_commands_that_open_a_model_take_an_example():
    assert PLACES.keys() == COMMANDS.keys() - {"walk", "check", "exercise", "judge", "reproduce"}


def test_what_is_wrong_with_an_example_is_said(here, capsys):
    assert "there is no example 'rivr'. Choose river" in refusal_of(capsys, "report", "--example", "rivr")
    assert "needs a value" in refusal_of(capsys, "inspect", "--example")
    assert "brings its own files. Leave out x.pt." in refusal_of(capsys, "report", "x.pt", "--example", "river")
