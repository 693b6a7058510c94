"""Ablation: a model's metric with units, gates or anything else out of action, one at a time."""

import numpy as np
import pytest
from cases import RUNS, VARIANTS, refusal, run_of
from pairwise import pairs
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
    falls = f"falls from {found.unedited:.3g} to 1.3"
    assert str(found) == f"Without unit 0 the metric {falls}; of 2 units, no other has a tenth of that effect."
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
    assert str(found).startswith("With 'dry' the metric falls from ")
    listed = ablation(network, RAIN, mean_of, [Edit.scale("cell_state", 1.0)])
    assert listed.names == ("cell_state scaled by 1",)
    assert str(listed) == "None of 1 edit changes the metric."


def test_the_metric_sees_the_output_in_the_shape_of_a_call():
    seen = []
    ablation(gw.LSTM(1, 1, rng=0), RAIN[:, 0], lambda y: seen.append(y.shape) or 0.0)
    assert seen == [(6, 1)] * 2


RNG = np.random.default_rng(1)
X = RNG.normal(size=(7, 2, 3))


def lstm_of(**options):
    return gw.LSTM(3, 4, rng=0, dtype=np.float64, **options)


def head_of(size, outputs, activation=None):
    rng = np.random.default_rng(2)
    return gw.Linear(3 * rng.normal(size=(outputs, size)), 0.1 * rng.normal(size=outputs), activation)


def test_in_float32_units_are_silenced_likewise():
    lstm = lstm_of(num_layers=2).astype(np.float32)
    found = ablation(lstm, X.astype(np.float32), lambda y: float(y[..., 0].sum()))
    for edits, metric in zip(found.edits, found.metrics, strict=True):
        y = lstm.trace(X.astype(np.float32), edit=edits).output
        assert metric == pytest.approx(float(y[..., 0].sum()), rel=1e-4, abs=1e-5)


def assert_runs_with_edits(model, x, **options):
    """Assert that each metric of an ablation is that of the output of a run with its edit."""
    weights = np.random.default_rng(3).normal(size=np.shape(model.trace(x, **options).output))
    found = ablation(model, x, lambda y: float((weights * y).sum()), **options)
    scale = np.abs(weights * model.trace(x, **options).output).sum()
    assert len(found.names) == sum(cell.parameters.hidden_size for cell in model.trace(x, **options).cells().values())
    for edits, metric, effect in zip(found.edits, found.metrics, found.effects, strict=True):
        y = model.trace(x, engine="reference", edit=edits, **options).output
        assert abs((weights * y).sum() - metric) <= 1e-12 * scale, edits
        assert effect == metric - found.unedited
    return found


@pairs(variant=VARIANTS, **RUNS, thin=True)
def test_a_silenced_unit_is_one_whose_output_gate_is_set_to_zero(variant, projection, direction, valid, dropout):
    run = run_of(variant, projection=projection, direction=direction, valid=valid, dropout=dropout, time=6)
    assert_runs_with_edits(run.lstm, run.x, **run.options())
    if not dropout:  # and from a state of zeros, where masks silence it
        assert_runs_with_edits(run.lstm, run.x, mask=run.valid)


TABLE = np.random.default_rng(4).normal(size=(9, 3))
MODELS = {
    "layers": (lstm_of(num_layers=3), X, {}),
    "both directions": (lstm_of(num_layers=2, bidirectional=True), X, {"lengths": [7, 4]}),
    "not merged": (lstm_of(num_layers=2, bidirectional=True, merge=["concat", "none"]), X, {}),
    "added": (lstm_of(num_layers=2, bidirectional=True, merge=["sum", "mul"]), X, {}),
    "backward": (gw.LSTM.from_cells(lstm_of()[0], direction="backward"), X, {"lengths": [7, 4]}),
    "one sequence": (lstm_of(num_layers=2), X[:, 0], {}),
    "repeated": (lstm_of(bidirectional=True), X, {"lengths": [7, 4], "masked_output": "repeat"}),
    "head": (gw.Network(lstm_of(num_layers=2), head=head_of(4, 2, "softmax")), X, {}),
    "last": (gw.Network(lstm_of(bidirectional=True), head=head_of(8, 2), reads="last"), X, {"lengths": [7, 4]}),
    "last of one": (gw.Network(lstm_of(), head=head_of(4, 2), reads="last"), X[:, 0], {}),
    "tokens": (gw.Network(lstm_of(), head=head_of(4, 9), embedding=TABLE, masked=0), RNG.integers(0, 9, (7, 2)), {}),
    "scaled": (
        gw.Network(
            lstm_of(), head=head_of(4, 1), skip=1, inputs=gw.Scaling([1, 2, 3], [2, 2, 2]), outputs=gw.Scaling([5], [9])
        ),
        X,
        {},
    ),
    "branches": (
        gw.Network(
            gw.LSTM(4, 4, rng=0, dtype=np.float64),
            head=head_of(4, 2),
            branches=[gw.network.Branch([0, 2], [head_of(2, 3)]), gw.network.Branch([1])],
        ),
        X,
        {},
    ),
    "learned state": (gw.Network(lstm_of(), initial=[[gw.State(np.ones(4), np.ones(4))]]), X, {}),
    "one step": (lstm_of(num_layers=2), X[:1], {}),
}


@pytest.mark.parametrize("name", MODELS)
def test_units_of_a_whole_model_are_silenced_as_by_edits_and_in_its_run_likewise(name):
    model, x, options = MODELS[name]
    found = assert_runs_with_edits(model, x, **options)
    plain = ablation(model, x, **options)
    of_run = ablation(model.trace(x, **options))
    assert of_run.to_csv() == plain.to_csv()
    assert set(plain.names) == set(found.names)
    assert plain.reading[0].startswith("Tested: ")


def test_layers_and_gates_are_left_out_in_a_run_as_in_a_model():
    for name in ("both directions", "last", "tokens", "scaled"):
        model, x, options = MODELS[name]
        for parts in ("layers", "gates"):
            found = ablation(model, x, mean_of, parts, **options)
            for edits, metric in zip(found.edits, found.metrics, strict=True):
                assert metric == mean_of(model.trace(x, engine="reference", edit=edits, **options).output)
            assert ablation(model.trace(x, **options), None, mean_of, parts).metrics.tolist() == found.metrics.tolist()
    found = ablation(lstm_of(num_layers=2), X, None, "layers")
    assert found.names == ("layer 1", "layer 0")
    assert str(found).startswith("Without layer 1 the outputs move by ")


def outputs_without(model, x, found, **options):
    """Yield the outputs of the runs with the edits of an ablation."""
    for edits in found.edits:
        yield model.trace(x, engine="reference", edit=edits, **options).output


def test_the_error_is_the_root_mean_square_over_what_is_observed():
    model, x, _ = MODELS["scaled"]
    lengths, observed = [7, 4], RNG.normal(size=(7, 2, 1))
    observed[3, 0] = observed[6, 1] = np.nan
    used = ~np.isnan(observed[..., 0]) & (np.arange(7)[:, None] < lengths)
    for given in (observed, observed[..., 0]):
        found = ablation(model, x, observed=given, lengths=lengths)
        for y, metric in zip(outputs_without(model, x, found, lengths=lengths), found.metrics, strict=True):
            assert metric == pytest.approx(np.sqrt(((y - observed)[used] ** 2).mean()), rel=1e-12)
        assert "the error" in str(found)
    for given in (observed[:, :1], observed[:, 0], observed[:, 0, 0], observed[:, :1, 0]):
        np.testing.assert_array_equal(
            ablation(model, x[:, :1], observed=given).metrics, ablation(model, x[:, 0], observed=given).metrics
        )


def test_the_accuracy_is_the_share_of_observed_classes_that_are_predicted():
    model, x, _ = MODELS["head"]
    observed = RNG.integers(0, 2, (7, 2)).astype(float)
    observed[2, 1] = np.nan
    found = ablation(model, x, observed=observed)
    for y, metric in zip(outputs_without(model, x, found), found.metrics, strict=True):
        assert metric == (y.argmax(-1) == observed)[~np.isnan(observed)].mean()
    assert "the accuracy" in str(found) or "changes the accuracy" in str(found)
    one = gw.Network(lstm_of(), head=head_of(4, 1, "sigmoid"), reads="last")
    found = ablation(one, x, observed=[1, 0])
    for y, metric in zip(outputs_without(one, x, found), found.metrics, strict=True):
        assert metric == ((y[:, 0] > 0.5) == [1, 0]).mean()
    assert ablation(one, x, "error", observed=[1, 0]).unedited == pytest.approx(
        np.sqrt(((one(x)[0][:, 0] - [1, 0]) ** 2).mean())
    )


def test_without_observed_values_outputs_are_compared_with_those_of_the_whole_model():
    model, x, options = MODELS["both directions"]
    found, whole = ablation(model, x, **options), model(x, **options)[0]
    used = np.arange(7)[:, None] < options["lengths"]
    for y, metric in zip(outputs_without(model, x, found, **options), found.metrics, strict=True):
        assert metric == pytest.approx(np.sqrt((((y - whole) / whole[used].std(0))[used] ** 2).mean()), rel=1e-12)
    assert found.unedited == 0
    for name in ("tokens", "head"):
        model, x, _ = MODELS[name]
        found, whole = ablation(model, x), model(x)[0]
        used = x != 0 if name == "tokens" else np.ones(x.shape[:2], bool)
        for y, metric in zip(outputs_without(model, x, found), found.metrics, strict=True):
            assert metric == pytest.approx((y.argmax(-1) != whole.argmax(-1))[used].mean(), rel=1e-12)
        assert found.title == "share of other classes (%)"
    assert "the share of outputs with another class rises from 0 to " in str(ablation(*MODELS["tokens"][:2]))


def test_of_a_window_the_last_step_is_compared():
    model, x, _ = MODELS["scaled"]
    observed = RNG.normal(size=(7, 2, 1))
    found = ablation(model.replace(windows=gw.network.Windows(7)), x, observed=observed)
    for y, metric in zip(outputs_without(model, x, found), found.metrics, strict=True):
        assert metric == pytest.approx(np.sqrt(((y - observed)[-1] ** 2).mean()), rel=1e-12)
    assert any("last step" in sentence for sentence in found.reading)
    assert " the error at step 6 " in str(found)
    longer = ablation(model.replace(windows=gw.network.Windows(5)), x, observed=observed)
    assert longer.unedited != found.unedited


def test_of_many_units_those_that_put_out_most_are_silenced():
    model = lstm_of(num_layers=2)
    found, every = ablation(model, X, most=3), ablation(model, X)
    sizes = {
        f"unit {unit} of layer {layer}": np.sqrt((cell.hidden_state[..., unit] ** 2).mean())
        for (layer, _), cell in model.trace(X).cells().items()
        for unit in range(4)
    }
    assert set(found.names) == set(sorted(sizes, key=sizes.get)[-3:])
    assert any("Of 8 units" in sentence for sentence in found.reading)
    for name, metric in zip(found.names, found.metrics, strict=True):
        assert metric == every.metrics[every.names.index(name)]


def test_the_reading_says_how_the_largest_effect_compares_with_the_others():
    network, _ = rain_gauge()
    labels = gw.Labels(["rain"], ["store", "empty"], outputs=["q"], measures={"q": ("discharge", "mm/d")})
    run = gw.Network(network.lstm, head=network.head, labels=labels.replace(units=None)).trace(RAIN, labels=labels)
    found = ablation(run, observed=run.output + 0.5)
    assert str(found).startswith("Without unit store the error rises from 0.5 to ")
    assert str(found).endswith(" mm/d; of 2 units, no other has a tenth of that effect.")
    assert found.title == "error (mm/d)"
    assert "Tested: 2 units silenced" in found.reading[0]
    assert "over 6 steps; the next, unit empty, has 0 % of the largest effect" in found.reading[0]


def test_names_from_the_data_stay_in_one_line():
    labels = gw.Labels(units=["\x1b[31m a", "b\nb", "{0}", "; c"], outputs=["q"], measures={"q": ("d", "{1} m³")})
    network = gw.Network(lstm_of(), head=head_of(4, 1), labels=gw.Labels(outputs=["q"]))
    found = ablation(network.trace(X, labels=labels), observed=X[..., 0])
    assert "{1} m³" in str(found)
    for sentence in (str(found), *found.reading):
        assert sentence.isprintable()


def test_an_output_that_nothing_changes_names_no_unit():
    deaf = gw.Network(lstm_of(), head=gw.Linear(np.zeros((1, 4)), np.ones(1)))
    assert str(ablation(deaf, X)) == "None of 4 units changes the output."
    assert str(ablation(deaf, X, observed=np.zeros((7, 2)))) == "None of 4 units changes the error."
    silent = gw.LSTM.from_cells(gw.Parameters(np.zeros((4, 3, 4)), np.zeros((4, 3))))
    assert str(ablation(silent, np.zeros((5, 1)))) == "None of 3 units changes the output."
    weight = np.array([[1, 1, 0, 0]], np.float32)
    single = gw.LSTM.from_cells(gw.Parameters(np.float32([[[0, 0, 0, 0, 1]] * 4] * 4), np.zeros((4, 4), np.float32)))
    found = ablation(gw.Network(single, head=gw.Linear(weight)), X[..., :1])
    assert found.names[:2] == ("unit 0", "unit 1")
    assert found.effects[2:].tolist() == [0, 0]


NETWORK = rain_gauge()[0]
REFUSED = {
    "model": (lambda: ablation(NETWORK.lstm.trace(RAIN), RAIN, mean_of), ("already has its input",)),
    "metric": (lambda: ablation(NETWORK, RAIN, "loss"), ("'loss'", "error", "accuracy")),
    "no number": (lambda: ablation(NETWORK, RAIN, lambda y: y), ("must return a number", "ndarray")),
    "infinity": (lambda: ablation(NETWORK, RAIN, lambda y: np.inf), ("it is inf",)),
    "NaN": (lambda: ablation(NETWORK, RAIN, lambda y: np.nan), ("finite number; of the unchanged model it is nan",)),
    "what": (lambda: ablation(NETWORK, RAIN, mean_of, "cells"), ("units, gates, layers", "'cells'")),
    "none": (lambda: ablation(NETWORK, RAIN, mean_of, {}), ("at least one edit",)),
    "no edits": (lambda: ablation(NETWORK, RAIN, mean_of, [3]), ("takes Edits", "3")),
    "twice": (lambda: ablation(NETWORK, RAIN, mean_of, [Edit.set("candidate", 1)] * 2), ("have different names",)),
    "shape": (lambda: ablation(NETWORK, RAIN, observed=np.ones(6)), ("observed has shape (6,)", "(6, 2, 1)")),
    "nothing observed": (lambda: ablation(NETWORK, RAIN, observed=np.full((6, 2), np.nan)), ("observed",)),
    "infinite": (lambda: ablation(NETWORK, RAIN, observed=np.full((6, 2), np.inf)), ("infinite",)),
    "observed": (lambda: ablation(NETWORK, RAIN, mean_of, observed=RAIN), ("With a function as metric",)),
    "accuracy": (lambda: ablation(NETWORK, RAIN, "accuracy"), ("an output for each class",)),
    "classes": (lambda: ablation(*MODELS["head"][:2], observed=np.full((7, 2), 2)), ("integers from 0 to 1",)),
    "error": (lambda: ablation(*MODELS["head"][:2], "error", observed=np.ones((7, 2))), ("all 2 outputs",)),
    "most": (lambda: ablation(NETWORK, RAIN, most=0), ("most", "0")),
    "most gates": (lambda: ablation(NETWORK, RAIN, None, "gates", most=2), ("most is a limit on units",)),
    "edited": (
        lambda: ablation(NETWORK.trace(RAIN, edit=Edit.set("candidate", 1))),
        ("an ablation needs a run without edits",),
    ),
    "kept less": (lambda: ablation(NETWORK.trace(RAIN, keep="candidate")), ("an ablation needs",)),
    "no step": (lambda: ablation(NETWORK, RAIN[:0]), ("needs a valid step",)),
    "no valid step": (lambda: ablation(NETWORK, RAIN, lengths=[0, 0]), ("needs a valid step",)),
    "NaN in x": (lambda: ablation(NETWORK, RAIN * np.nan), ("of the unchanged model it is nan",)),
    "option": (lambda: ablation(NETWORK, RAIN, mean_of, engine="native"), ("engine",)),
    "place": (lambda: ablation(NETWORK, RAIN, mean_of, [Edit.set("candidate", 1, units=7)]), ("no unit 7",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_ablated_is_refused_in_one_sentence(name):
    ask, parts = REFUSED[name]
    with refusal(*parts, by=gw.GatewiseError):
        ask()


def test_one_output_is_compared_in_its_unit_and_a_class_by_its_logit():
    rng = np.random.default_rng(0)
    lstm, x = gw.LSTM(2, 5, rng=0, dtype=np.float64), rng.normal(size=(40, 2, 2))
    weight = rng.normal(size=(3, 5))
    weight[0] = np.eye(5)[3] * 9
    labels = gw.Labels(outputs=["q", "b", "c"], measures={"q": ("discharge", "mm/d")})
    h = lstm(x)[0]
    moved = 9 * np.sqrt(np.square(h[..., 3]).mean())
    for head, words in (
        (gw.Linear(weight, None), f"Without unit 3 output q moves by {moved:.3g} mm/d;"),
        (
            gw.Linear(weight, np.array([50.0, 0, 0]), "softmax"),
            f"Without unit 3 the logit of output q moves by {moved:.3g};",
        ),
        (
            gw.Linear(weight, np.array([50.0, 0, 0]), "sigmoid"),
            f"Without unit 3 the logit of output q moves by {moved:.3g};",
        ),
    ):
        network = gw.Network(lstm, head=head, labels=labels)
        found = gw.insight.ablation(network, x, output="q")
        assert str(found).startswith(words)
        assert found.effects[0] == pytest.approx(moved)
        run = network.trace(x)
        for name, moves in zip(found.names, found.effects, strict=True):
            one = gw.insight.effect(run, unit=int(name.split()[1]), scale=0)
            assert moves == pytest.approx(one.columns["size"][0])
        assert gw.insight.ablation(network.replace(reads="last"), x, output=0).effects[0] == pytest.approx(
            9 * np.sqrt(np.square(h[-1, :, 3]).mean())
        )
    network = gw.Network(lstm, head=gw.Linear(weight, None), labels=labels.replace(measures={}))
    assert f"output q moves by {moved / (9 * h[..., 3]).std():.3g} standard" in str(
        gw.insight.ablation(network, x, output=0)
    )
    observed = network(x)[0] + [1.0, 5.0, 0.0]
    assert "the error falls from 5 to" in str(gw.insight.ablation(network, x, observed=observed, output="b")) or (
        "the error rises from 5 to" in str(gw.insight.ablation(network, x, observed=observed, output="b"))
    )
    constant = gw.Network(lstm, head=gw.Linear(np.array([[0.0] * 5, [1.0] * 5]), np.ones(2)))
    assert str(gw.insight.ablation(constant, x, output=0)) == "None of 5 units changes output 0."
    with refusal("no output 'd'", by=gw.OptionError):
        gw.insight.ablation(network, x, output="d")
    with refusal("With a function as metric", by=gw.OptionError):
        gw.insight.ablation(network, x, lambda y: 0.0, output=0)
