"""Ablation: a model's metric with units, gates or anything else out of action, one at a time."""

import numpy as np
import pytest
from cases import refusal
from planted import rain_gauge

import gatewise as gw
from gatewise.insight import ablation

Edit = gw.Edit
RAIN = np.random.default_rng(0).gamma(0.3, 5, (6, 2, 1))


def mean_of(y):
    return float(np.mean(y))


def test_the_unit_that_holds_the_water_is_the_one_that_matters():
    network, _ = rain_gauge()
    found = ablation(network, RAIN, mean_of)
    assert found.names == ("unit 0", "unit 1")
    assert found.effects[1] == 0
    assert found.metrics[0] == pytest.approx(1.3)  # the head's bias is all that is left
    assert str(found) == (
        f"Of 2 units, unit 0 matters most: without it, the metric goes from {found.unedited:.3g} to 1.3."
    )
    assert list(found.columns) == ["edit", "metric", "effect"]
    assert found.unedited == mean_of(network(RAIN, engine="reference")[0])


def without(parameters, gate, units, bias):
    """Return a cell in which a gate of some units is what its bias says, whatever comes in."""
    weight, biases = np.array(parameters.weight), np.array(parameters.bias)
    weight[gate, units], biases[gate, units] = 0, bias
    return parameters.replace(weight=weight, bias=biases)


def test_a_part_that_is_put_out_of_action_is_as_if_its_parameters_said_so():
    lstm = gw.LSTM(1, 3, num_layers=2, bidirectional=True, rng=0, dtype=np.float64)
    units, gates = ablation(lstm, RAIN, mean_of), ablation(lstm, RAIN, mean_of, "gates")
    assert len(units.names) == 12
    assert len(gates.names) == 12
    for found, name, gate, which, bias in (
        (units, "unit 2 of layer 0 (backward)", 3, 2, -1e3),
        (gates, "no forget gate of layer 1 (forward)", 1, slice(None), 1e3),
        (gates, "no input gate of layer 0 (backward)", 0, slice(None), 1e3),
    ):
        layer, place = int(name.split("layer ")[1][0]), int("backward" in name)
        rows = [[cell.parameters for cell in row] for row in lstm.layers]
        rows[layer][place] = without(rows[layer][place], gate, which, bias)
        expected = mean_of(gw.LSTM.from_cells(rows)(RAIN)[0])
        assert found.metrics[found.names.index(name)] == pytest.approx(expected, rel=1e-12), name
    assert (np.abs(units.effects[:-1]) >= np.abs(units.effects[1:])).all()


def test_edits_of_ones_own_are_ranked_by_what_they_change():
    network, _ = rain_gauge()
    edits = {
        "nothing": Edit.scale("cell_state", 1.0),
        "dry": [Edit.set("cell_state", 0.0, units=0), Edit.set("input_gate", 0.0)],
        "half": Edit.scale("hidden_state", 0.5),
    }
    found = ablation(network, RAIN, mean_of, edits, lengths=[6, 3])
    assert found.names == ("dry", "half", "nothing")
    assert found.edits[0] == tuple(edits["dry"])
    assert str(found).startswith("Of 3 edits, 'dry' changes the metric most: from ")
    listed = ablation(network, RAIN, mean_of, [Edit.scale("cell_state", 1.0)])
    assert listed.names == ("cell_state scaled by 1",)
    assert str(listed) == f"None of 1 edit changes the metric, {listed.unedited:.3g}."


def test_the_metric_sees_the_output_in_the_shape_of_a_call():
    seen = []
    ablation(gw.LSTM(1, 1, rng=0), RAIN[:, 0], lambda y: seen.append(y.shape) or 0.0)
    assert seen == [(6, 1)] * 2


NETWORK = rain_gauge()[0]
REFUSED = {
    "model": (lambda: ablation(NETWORK.lstm.trace(RAIN), RAIN, mean_of), ("LSTM or a Network", "LSTMTrace")),
    "metric": (lambda: ablation(NETWORK, RAIN, 3), ("function of the output", "3")),
    "no number": (lambda: ablation(NETWORK, RAIN, lambda y: y), ("must return a number", "ndarray")),
    "infinity": (lambda: ablation(NETWORK, RAIN, lambda y: np.inf), ("it is inf",)),
    "NaN": (lambda: ablation(NETWORK, RAIN, lambda y: np.nan), ("finite number; of the unchanged model it is nan",)),
    "what": (lambda: ablation(NETWORK, RAIN, mean_of, "layers"), ("units, gates, or edits", "'layers'")),
    "none": (lambda: ablation(NETWORK, RAIN, mean_of, {}), ("at least one edit",)),
    "no edits": (lambda: ablation(NETWORK, RAIN, mean_of, [3]), ("takes Edits", "3")),
    "twice": (lambda: ablation(NETWORK, RAIN, mean_of, [Edit.set("candidate", 1)] * 2), ("have different names",)),
    "option": (lambda: ablation(NETWORK, RAIN, mean_of, engine="native"), ("engine",)),
    "place": (lambda: ablation(NETWORK, RAIN, mean_of, [Edit.set("candidate", 1, units=7)]), ("no unit 7",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_ablated_is_refused_in_one_sentence(name):
    ask, parts = REFUSED[name]
    with refusal(*parts, by=gw.GatewiseError):
        ask()
