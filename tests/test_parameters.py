"""What a cell is made of: its switches, its arrays, the dropout; and how wrong ones are refused."""

from __future__ import annotations

import copy
import json
import math
import pickle
from dataclasses import FrozenInstanceError

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise.parameters import ARRAYS, array_shapes

every_variant = pytest.mark.parametrize("variant", cases.VARIANTS)


def arrays(**changes):
    """Return the arrays of a plain cell of 3 features and 2 units, with some changed or, by None, left out."""
    whole = {"weight": np.ones((4, 2, 5)), "bias": np.zeros((4, 2)), **changes}
    return {name: array for name, array in whole.items() if array is not None}


# The switches.


def test_the_defaults_are_the_plain_cell():
    v = gw.Variant()
    assert [v.activation(letter).name for letter in "ifgo"] == ["sigmoid", "sigmoid", "tanh", "sigmoid"]
    assert v.cell_activation.name == "tanh"
    assert (v.peephole, v.coupling, v.layer_norm) == ("none", "none", "none")
    assert v.gate_clip is v.cell_clip is v.projection_clip is v.epsilon is None
    assert (v.coupled, v.own, v.differences()) == ("", "ifgo", {})


@every_variant
def test_switches_there_and_back_through_json_are_the_identity(variant):
    v = gw.Variant(**cases.VARIANTS[variant])
    text = json.dumps(v.to_json(), allow_nan=False)
    again = gw.Variant.from_json(json.loads(text))
    assert again == v
    assert hash(again) == hash(v)
    assert set(v.differences()) == set(cases.VARIANTS[variant])


def test_json_may_name_only_the_switches_that_differ():
    assert gw.Variant.from_json({"peephole": "full"}) == gw.Variant(peephole="full")
    assert gw.Variant.from_json({"cell_activation": "relu"}) == gw.Variant(cell_activation="relu")


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ({"peepholes": "full"}, ["'peepholes'", "peephole", "gate_clip"]),
        ({"input_activation": {"alpha": 1}}, ["input_activation", "name"]),
        ({"input_activation": {"name": "tanh", "gamma": 1}}, ["input_activation", "gamma"]),
        ({"input_activation": None}, ["input_activation", "None"]),
    ],
)
def test_json_that_describes_no_variant_is_refused_in_one_sentence(data, parts):
    with cases.refusal(*parts, by=gw.OptionError):
        gw.Variant.from_json(data)


@pytest.mark.parametrize(
    ("switches", "parts"),
    [
        ({"peephole": "half"}, ["peephole", "'half'", "none, full"]),
        ({"peephole": True}, ["peephole", "True", "none, full"]),
        ({"coupling": "cifg"}, ["coupling", "'cifg'", "forget=1-input", "input=1-forget"]),
        ({"layer_norm": "batch"}, ["layer_norm", "'batch'", "gates", "haste"]),
        ({"gate_clip": 0}, ["gate_clip", "positive", "0"]),
        ({"projection_clip": math.inf}, ["projection_clip", "finite", "inf"]),
        ({"gate_clip": "3"}, ["gate_clip", "'3'"]),
        ({"gate_clip": True}, ["gate_clip", "True"]),
        ({"layer_norm": "gates"}, ["layer_norm", "'gates'", "epsilon", "1e-8"]),
        ({"epsilon": 1e-5}, ["epsilon", "layer norm"]),
        ({"layer_norm": "haste", "epsilon": -1e-5}, ["epsilon", "positive", "-1e-05"]),
        ({"cell_activation": "swish"}, ["'swish'", "tanh"]),
        ({"cell_activation": 5}, ["cell_activation", "5"]),
        ({"output_activation": "hard_sigmoid"}, ["hard_sigmoid", "alpha", "beta"]),
    ],
)
def test_a_wrong_switch_is_refused_in_one_sentence(switches, parts):
    with cases.refusal(*parts, by=gw.OptionError):
        gw.Variant(**switches)


def test_the_coupled_gate_has_no_weights_of_its_own():
    assert gw.Variant(coupling="forget=1-input").own == "igo"
    assert gw.Variant(coupling="input=1-forget").own == "fgo"


def test_numbers_of_numpy_are_taken_as_switches():
    assert gw.Variant(gate_clip=np.float64(2)) == gw.Variant(gate_clip=2)
    assert json.dumps(gw.Variant(cell_clip=np.float32(0.5)).to_json()["cell_clip"]) == "0.5"


# The arrays.


@every_variant
@pytest.mark.parametrize("projection", cases.PROJECTIONS)
def test_every_array_is_read_only_and_not_the_caller_s(variant, projection):
    p = cases.run_of(variant, projection=projection).p
    given = {name: array.copy() for name, array in p.arrays().items()}
    made = gw.Parameters(variant=p.variant, **given)
    assert set(made.arrays()) == set(given)
    for name, array in made.arrays().items():
        assert not array.flags.writeable, name
        assert array.flags.c_contiguous, name
        assert not np.shares_memory(array, given[name]), name
        given[name][...] = 77
        np.testing.assert_array_equal(array, p.arrays()[name])
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1
    assert all(array.flags.writeable for array in given.values())


def test_a_read_only_view_of_the_caller_s_array_is_not_shared_either():
    mine = np.ones((4, 2, 5))
    view = mine.view()
    view.flags.writeable = False
    p = gw.Parameters(view, np.zeros((4, 2)))
    mine[...] = 77
    assert (p.weight == 1).all()


def test_the_parts_of_the_weight_are_views_of_it():
    p = cases.run_of("plain", projection="projected").p
    assert np.shares_memory(p.recurrent_weight, p.weight)
    assert np.shares_memory(p.input_weight, p.weight)
    np.testing.assert_array_equal(np.concatenate([p.recurrent_weight, p.input_weight], -1), p.weight)
    assert (p.recurrent_weight.shape, p.input_weight.shape) == ((4, 4, 3), (4, 4, 2))


@pytest.mark.parametrize("projection", cases.PROJECTIONS)
def test_sizes_are_read_off_the_arrays(projection):
    p = cases.run_of("plain", projection=projection, inputs=2, hidden=5).p
    assert (p.input_size, p.hidden_size) == (2, 5)
    assert p.recurrent_size == (5 if projection == "unprojected" else 3)


@every_variant
@pytest.mark.parametrize("projection", cases.PROJECTIONS)
def test_the_count_leaves_out_what_a_coupled_gate_does_not_use(variant, projection):
    """Moving every number by a hair moves the gates, but for those that are not counted."""
    run = cases.run_of(variant, projection=projection)
    p, used = run.p, 0
    dy = np.random.default_rng(0).normal(size=(3, 3, p.recurrent_size))
    for array in gw.backward(run.trace(), dy).parameters.values():
        used += np.count_nonzero(array)
    clipped = any(p.variant.to_json()[clip] for clip in ("gate_clip", "cell_clip", "projection_clip"))
    kinked = any("relu" in str(a) or "hard" in str(a) for a in p.variant.differences().values())
    assert used <= p.num_parameters
    if not clipped and not kinked:
        assert used == p.num_parameters


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_type_holds_for_every_array(dtype):
    p = gw.Parameters(**arrays(weight=np.ones((4, 2, 5), dtype), projection=np.ones((2, 2), np.float64)))
    assert {array.dtype for array in p.arrays().values()} == {np.dtype(dtype)}
    other = np.float64 if dtype == np.float32 else np.float32
    changed = p.astype(other)
    assert {array.dtype for array in changed.arrays().values()} == {np.dtype(other)}
    assert changed.dtype == other
    assert changed.variant == p.variant


def test_plain_lists_and_whole_numbers_are_taken():
    p = gw.Parameters(np.ones((4, 2, 5), int).tolist(), [[0, 0]] * 4, projection=[[1, 0], [0, 1]])
    assert {array.dtype for array in p.arrays().values()} == {np.dtype(np.float64)}
    step = gw.LSTMCell.from_parameters(p).step([1, 2, 3])
    assert step.candidate[0] == np.tanh(6)


def test_numbers_in_another_byte_order_are_taken_for_what_they_are(tmp_path):
    """As netCDF and FITS give them."""
    p = cases.run_of("plain").p
    swapped = gw.Parameters(p.weight.astype(">f8"), p.bias.astype(">f8"))
    assert swapped.weight.dtype.isnative
    gw.save(gw.LSTMCell.from_parameters(swapped), tmp_path / "cell.safetensors")
    np.testing.assert_array_equal(gw.load(tmp_path / "cell.safetensors")[0].parameters.weight, p.weight)


@pytest.mark.parametrize("mend", ["peephole", "projection", "norm_gain", "cell_norm"])
def test_replacing_an_array_leaves_the_others(mend):
    p = cases.run_of("peephole, coupling, layer norm of Haste", projection="projected").p
    other = p.replace(**{mend: 2 * getattr(p, mend)})
    for name in ARRAYS:
        factor = 2 if name == mend else 1
        np.testing.assert_array_equal(getattr(other, name), factor * getattr(p, name))


FULL = gw.Variant(peephole="full")
GATES = gw.Variant(layer_norm="gates", epsilon=1e-5)
HASTE = gw.Variant(layer_norm="haste", epsilon=1e-5)


@pytest.mark.parametrize(
    ("given", "kind", "parts"),
    [
        ({"weight": np.ones((4, 2))}, gw.ShapeError, ["weight", "(4, 2)", "(4, hidden, recurrent + input)"]),
        ({"weight": np.ones((4, 0, 5))}, gw.ShapeError, ["weight", "(4, 0, 5)"]),
        ({"weight": np.ones((4, 2, 2))}, gw.ShapeError, ["weight", "2 columns", "more than 2"]),
        ({"weight": 5.0}, gw.ShapeError, ["weight", "()"]),
        ({"weight": [[1, 2], [3]]}, gw.ShapeError, ["weight", "equal lengths"]),
        ({"weight": np.ones((4, 2, 5), complex)}, gw.OptionError, ["weight", "complex128", "real"]),
        ({"weight": np.full((4, 2, 5), None)}, gw.OptionError, ["weight", "object"]),
        ({"bias": np.zeros(8)}, gw.ShapeError, ["bias", "(8,)", "(4, 2)"]),
        ({"peephole": np.zeros((3, 2))}, gw.OptionError, ["peephole", "variant"]),
        ({"variant": FULL}, gw.OptionError, ["peephole", "missing", "(3, 2)"]),
        ({"variant": FULL, "peephole": np.zeros((4, 2))}, gw.ShapeError, ["peephole", "(4, 2)", "(3, 2)"]),
        ({"norm_gain": np.zeros((4, 2))}, gw.OptionError, ["norm_gain", "variant"]),
        ({"variant": GATES}, gw.OptionError, ["norm_gain", "missing", "(4, 2)"]),
        ({"variant": GATES, "norm_gain": np.ones((2, 4, 2))}, gw.ShapeError, ["norm_gain", "(2, 4, 2)", "(4, 2)"]),
        ({"variant": HASTE, "norm_gain": np.ones((2, 4, 2))}, gw.OptionError, ["cell_norm", "missing", "(2, 2)"]),
        ({"projection": np.ones((2, 3))}, gw.ShapeError, ["projection", "(2, 3)", "(recurrent, 2)"]),
        ({"projection": np.ones((0, 2))}, gw.ShapeError, ["projection", "(0, 2)"]),
        ({"projection": np.full((1, 2), "a")}, gw.OptionError, ["projection", "real"]),
        ({"variant": gw.Variant(projection_clip=1)}, gw.OptionError, ["projection_clip", "no projection"]),
        ({"variant": "plain"}, gw.OptionError, ["variant", "'plain'"]),
    ],
)
def test_wrong_arrays_are_refused_in_one_sentence(given, kind, parts):
    with cases.refusal(*parts, by=kind):
        gw.Parameters(**arrays(**given))


@pytest.mark.parametrize("dtype", [np.float16, "int32", "float128", object, "nonsense", 5])
def test_only_float32_and_float64_are_types_of_a_cell(dtype):
    with cases.refusal("dtype", "float32, float64", by=gw.OptionError):
        gw.Parameters(**arrays()).astype(dtype)


def test_parameters_and_switches_are_frozen():
    p = gw.Parameters(**arrays())
    with pytest.raises(FrozenInstanceError):
        p.weight = p.weight
    with pytest.raises(FrozenInstanceError):
        p.variant.gate_clip = 3.0


def test_parameters_say_what_they_are():
    p = gw.Parameters(**arrays(projection=np.ones((1, 2))), variant=gw.Variant(gate_clip=3, cell_activation="relu"))
    assert repr(p) == (
        "Parameters(input_size=4, hidden_size=2, projection_size=1, gate_clip=3.0, cell_activation=relu, dtype=float64)"
    )


@every_variant
@pytest.mark.parametrize("projection", ["unprojected", "projected"])
def test_the_shapes_written_down_are_those_of_the_arrays(variant, projection):
    p = cases.run_of(variant, projection=projection).p
    shapes = array_shapes(p.variant, p.input_size, p.hidden_size, p.recurrent_size)
    for name, shape in shapes.items():
        assert np.shape(getattr(p, name)) == (shape or ())


# The dropout.


def test_dropout_masks_are_broadcast_to_the_run_in_the_cell_s_type():
    p = cases.run_of("plain", projection="projected", dtype=np.float32).p
    dropout = gw.DropoutMasks(
        input=[1, 0],
        recurrent=np.ones((5, 1)),
        zoneout_cell=0.5,
        zoneout_hidden=np.zeros((3, 1, 1)),
        weight=np.ones((4, 1, 3)),
    )
    shapes = {name: array.shape for name, array in dropout.fit(p, 3, 5).arrays().items()}
    assert shapes == {
        "input": (3, 5, 2),
        "recurrent": (3, 5, 3),
        "zoneout_cell": (3, 5, 4),
        "zoneout_hidden": (3, 5, 3),
        "weight": (4, 4, 3),
    }
    assert {array.dtype for array in dropout.fit(p, 3, 5).arrays().values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(dropout.fit(p, 3, 5).input[2, 4], [1, 0])


@pytest.mark.parametrize(
    ("dropout", "kind", "parts"),
    [
        ({"input": np.ones((3, 5, 4))}, gw.ShapeError, ["'input'", "(3, 5, 4)", "(3, 5, 2)"]),
        ({"recurrent": np.ones((2, 5, 4))}, gw.ShapeError, ["'recurrent'", "(2, 5, 4)", "(3, 5, 4)"]),
        ({"zoneout_cell": "half"}, gw.OptionError, ["'zoneout_cell'", "real numbers"]),
    ],
)
def test_dropout_masks_that_do_not_fit_are_refused_in_one_sentence(dropout, kind, parts):
    run = cases.run_of("plain", time=3, batch=5)
    with pytest.raises(kind) as caught:
        run.replace(dropout=gw.DropoutMasks(**dropout)).trace()
    assert type(caught.value) is kind
    cases.one_sentence(caught.value, *parts)


@pytest.mark.parametrize("dropout", [[], [[]], [[None], [None]], [[None, None]], 5, [[5]], gw.DropoutMasks()])
def test_dropout_masks_in_another_nesting_are_refused_in_one_sentence(dropout):
    run = cases.run_of("plain")
    with cases.refusal("dropout", "DropoutMasks", by=gw.GatewiseError):
        run.lstm(run.x, dropout=dropout)


def test_parameters_stay_read_only_when_copied_and_pickled():
    p = cases.run_of("plain").p
    for again in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        np.testing.assert_array_equal(again.weight, p.weight)
        with pytest.raises(ValueError, match="read-only"):
            again.weight[...] = 0
    with pytest.raises(ValueError, match="WRITEABLE"):
        p.weight.flags.writeable = True
