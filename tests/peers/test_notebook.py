"""Notebooks in a real kernel: valid, and printing what is saved in them."""

from __future__ import annotations

import numpy as np
import pytest

import gatewise as gw
from gatewise import examples

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytestmark = pytest.mark.peers

EVERY_SWITCH = gw.Variant(
    peephole="full", layer_norm="gates", epsilon=1e-6, gate_clip=1.0, cell_clip=0.5, candidate_activation="elu:0.7"
)


def latch():
    example = examples.latch()
    return gw.walk(gw.LSTM.from_cells(example.cell).trace(example.x)[0], backward=True)


def worked_example():
    example = examples.notebook()
    return gw.walk(example.cell.step(example.x[0], example.state), notation="notebook")


def every_switch():
    cell = gw.LSTMCell(3, 4, rng=0, projection_size=2, variant=EVERY_SWITCH, dtype=np.float64)
    labels = gw.Labels(features=["rain\nimport os", '\'"""', "$x$"])
    trace = gw.LSTM.from_cells(cell.parameters).trace(np.ones((2, 1, 3)), labels=labels)[0]
    return gw.walk(trace, backward=True, notation="keras")


def printed(cell):
    """Return what a cell printed; a kernel may send it in pieces."""
    return "".join(output.text for output in cell.outputs)


@pytest.mark.parametrize("make", [worked_example, latch, every_switch])
def test_a_kernel_prints_what_is_saved_in_a_notebook(make):
    saved = nbformat.reads(make().render("notebook"), as_version=4)
    nbformat.validate(saved)
    executed = nbformat.from_dict(saved)
    for cell in executed.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbclient.NotebookClient(executed, timeout=120, kernel_name="python3").execute()
    codes = [[cell for cell in one.cells if cell.cell_type == "code"] for one in (saved, executed)]
    for before, after in zip(*codes, strict=True):
        assert {output.name for output in after.outputs} <= {"stdout"}, before.id
        assert printed(after) == printed(before), before.id
        assert after.execution_count == before.execution_count
