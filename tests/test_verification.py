"""Rounding is told from a mistake, and the mistake is called by its name."""

from __future__ import annotations

import itertools

import cases
import numpy as np
import pytest
from pairwise import pairs

import gatewise as gw
from gatewise import gates
from gatewise.diagnostics import rounding, suspects
from gatewise.diagnostics.verification import verify

ENGINES = [one.name for one in gw.engines() if one.available]


def half_of(count):
    """Return so many seeds, of which a half is left to the peers."""
    return [*range(count // 2), *(pytest.param(n, marks=pytest.mark.peers) for n in range(count // 2, count))]


def drawn(seed, *, bidirectional=None, layers=None, square=None, dtype=np.float32):
    """Return an LSTM of drawn sizes, an input and an initial state."""
    rng = np.random.default_rng(seed)
    hidden, time, batch = int(rng.integers(3, 20)), int(rng.integers(5, 14)), int(rng.integers(2, 4))
    inputs = hidden if (seed % 2 if square is None else square) else int(rng.integers(2, 12))
    lstm = gw.LSTM(
        inputs,
        hidden,
        num_layers=layers or 1 + (seed % 3 == 2),
        bidirectional=seed % 4 == 3 if bidirectional is None else bidirectional,
        rng=rng,
        dtype=dtype,
    )
    x = rng.normal(rng.choice([0.0, 1.0]), 1, (time, batch, inputs)).astype(dtype)
    state = tuple(
        tuple(gw.State(*rng.normal(0, 0.5, (2, batch, hidden)).astype(dtype)) for _ in row) for row in lstm.layers
    )
    return lstm, x, state, rng


def changed(lstm, change):
    """Return an LSTM with other parameters."""
    rows = [tuple(gw.LSTMCell.from_parameters(change(cell.parameters)) for cell in row) for row in lstm.layers]
    return gw.LSTM.from_cells(rows, direction=lstm.directions[0], merge=lstm.merge)


def one_after_another(p, x, order):
    """Return the answers of a runtime that adds one product after another, in any order, in float32."""
    hidden = p.hidden_size
    h = c = np.zeros((x.shape[1], hidden), np.float32)
    outputs = []

    def sigmoid(a):
        return np.float32(1) / (np.float32(1) + np.exp(-np.clip(a, -80, 80)))

    for step in x:
        z = np.concatenate([h, step], -1)[:, order]
        a_i, a_f, a_g, a_o = (
            np.add.accumulate(p.weight[:, None][..., order] * z[None, :, None], axis=-1)[..., -1] + p.bias[:, None]
        )
        c = sigmoid(a_f) * c + sigmoid(a_i) * np.tanh(a_g)
        h = sigmoid(a_o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs), h, c


# Rounding is never called a mistake.


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", half_of(12))
def test_what_another_engine_rounds_otherwise_is_rounding(seed, engine):
    lstm, x, state, _ = drawn(seed)
    y, final = lstm(x, state, engine=engine)
    found = verify(lstm, x, y, state=state, final=final)
    assert found.agrees
    assert found.precision == "float32"
    assert len(found.differences) == 1 + 2 * lstm.num_layers * len(lstm.directions)
    assert max(one.excess for one in found.differences) < 0.8
    assert min(one.excess for one in found.differences) > 0


@pytest.mark.parametrize("scale", [0.01, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("seed", half_of(6))
def test_a_sum_in_any_order_is_rounding(seed, scale):
    rng = np.random.default_rng(seed)
    hidden, inputs = rng.integers(1, 60, 2)
    p = gw.Parameters(
        rng.normal(0, scale, (4, hidden, hidden + inputs)).astype(np.float32),
        rng.normal(0, scale, (4, hidden)).astype(np.float32),
    )
    x = rng.normal(rng.choice([0, 2]), 1, (15, 2, inputs)).astype(np.float32)
    y, h, c = one_after_another(p, x, rng.permutation(hidden + inputs))
    assert verify(gw.LSTM.from_cells(p), x, y, final=[[(h, c)]]).agrees


@pairs(variant=cases.VARIANTS, projection=cases.PROJECTIONS, thin=True)
def test_every_variant_is_held_against_itself(variant, projection):
    run = cases.run_of(variant, projection=projection, valid="lengths", dtype=np.float32, time=6)
    counts = run.valid.sum(0)
    y, final = run.lstm(run.x, [[run.state]], lengths=counts, engine="reference")
    found = verify(run.lstm, run.x, y, state=[[run.state]], final=final, lengths=counts)
    assert found.agrees, found
    wide = run.lstm.astype(np.float64)
    y, final = wide(run.x, [[run.state]], lengths=counts)
    assert verify(wide, run.x, y, state=[[run.state]], final=final, lengths=counts).agrees


@pytest.mark.parametrize("seed", range(2))
def test_answers_in_float64_are_held_to_float64(seed):
    lstm, x, state, rng = drawn(seed, dtype=np.float64)
    y, final = lstm(x, state)
    found = verify(lstm, x, y, state=state, final=final)
    assert (found.verdict, found.precision) == ("rounding", "float64")
    assert verify(lstm, x, y + 1e-9 * rng.normal(size=y.shape), state=state).verdict == "mistake"
    short, _ = lstm.astype(np.float32)(x, state)  # what came from float32 is float32, whatever it is kept in
    assert verify(lstm, x, short.astype(np.float64), state=state).verdict == "rounding"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_answers_in_half_the_bits_are_known_for_what_they_are_in_any_type(seed, kind):
    lstm, x, _, _ = drawn(seed, layers=1, bidirectional=False)
    exact, _ = lstm(x)
    near = exact.astype(np.float16).astype(np.float32)
    if kind == "bfloat16":
        near = ((exact.view(np.uint32) + 0x8000) & np.uint32(0xFFFF0000)).view(np.float32)
    found = verify(lstm, x, near)
    assert (found.verdict, found.precision) == ("rounding", kind)
    if kind == "float16":
        assert verify(lstm, x, near.astype(np.float16)) == found
    assert verify(lstm, x[::-1], near).verdict == "mistake"


def test_where_no_number_tells_anything_the_verdict_is_neither():
    lstm = gw.LSTM(3, 4, rng=0)
    empty = verify(lstm, np.zeros((0, 1, 3)), np.zeros((0, 1, 4)))
    assert (empty.verdict, empty.agrees) == ("undecided", False)
    wild = gw.LSTM(8, 32, rng=0)
    p = wild[0].parameters
    wild = gw.LSTM.from_cells(p.replace(weight=p.weight * 20))
    x = np.random.default_rng(0).normal(size=(60, 1, 8)).astype(np.float32)
    _, (((h, c),),) = wild(x)
    found = verify(wild, x, final=[[(-h, -c)]])
    assert found.verdict in ("undecided", "mistake")
    assert not found.agrees


@pytest.mark.thorough
def test_where_rounding_hides_everything_the_notes_say_so():
    rng = np.random.default_rng(0)
    p = gw.Parameters(rng.normal(0, 6, (4, 40, 42)).astype(np.float32), np.zeros((4, 40), np.float32))
    lstm, x = gw.LSTM.from_cells(p), rng.normal(0, 1, (50, 1, 2)).astype(np.float32)
    y, _ = lstm(x, engine="reference")
    found = verify(lstm, x, y)
    assert found.agrees
    assert any("rounding alone changes y as much as a mistake would" in note for note in found.notes)
    other, _ = changed(lstm, lambda p: p.replace(weight=p.weight[[1, 0, 2, 3]]))(x)
    assert not verify(lstm, x, other).agrees  # the first steps tell


# A mistake is.


@pytest.mark.parametrize("seed", half_of(16))
def test_a_weight_that_is_off_by_a_thousandth_is_a_mistake(seed):
    lstm, x, state, rng = drawn(seed, layers=1)
    gate, unit = rng.integers(4), rng.integers(lstm.hidden_size)
    column = np.argmax(np.abs(lstm.layers[0][0].parameters.weight[gate, unit]))

    def off(p):
        weight = p.weight.copy()
        weight[gate, unit, column] *= 1.001
        return p.replace(weight=weight)

    y, _ = changed(lstm, off)(x, state)
    found = verify(lstm, x, y, state=state)
    assert found.verdict == "mistake"
    assert found.differences[0].excess > 1


@pytest.mark.parametrize("seed", half_of(8))
def test_no_cause_is_named_where_none_fits(seed):
    lstm, x, state, rng = drawn(seed)

    def off(p):
        return p.replace(weight=(p.weight * (1 + 0.01 * rng.normal(size=p.weight.shape))).astype(np.float32))

    y, final = changed(lstm, off)(x, state)
    found = verify(lstm, x, y, state=state, final=final)
    assert (found.verdict, found.causes) == ("mistake", ())


def test_the_place_of_a_single_wrong_number_is_named():
    lstm, x, state, _ = drawn(3, layers=1)
    y, final = lstm(x, state)
    wrong = y.copy()
    wrong[4, 1, 2] += 1e-3
    (found,) = verify(lstm, x, wrong, state=state).differences
    assert (found.index, found.where, found.beyond, found.first) == (
        (4, 1, 2),
        "step 4, sequence 1, unit 2",
        1,
        (4, 1, 2),
    )
    assert found.given - found.computed == pytest.approx(1e-3, rel=1e-2)
    assert found.largest == pytest.approx(1e-3, rel=1e-2)
    assert found.excess == pytest.approx(found.largest / found.allowance)
    assert found.scale == pytest.approx(np.abs(y).max(), rel=1e-4)
    wrong[2, 0, 1] = np.nan
    (found,) = verify(lstm, x, wrong, state=state).differences
    assert (found.index, found.largest, found.beyond) == ((2, 0, 1), np.inf, 2)
    final[0][1].c[1, 0] += 1e-3
    names = {one.name: one for one in verify(lstm, x, y, state=state, final=final).differences if one.beyond}
    assert list(names) == ["cn of backward"]
    assert names["cn of backward"].where == "sequence 1, unit 0"


def test_the_same_nan_is_no_difference():
    lstm, x, _, _ = drawn(1, layers=1)
    x[3, 1] = np.nan
    y, final = lstm(x)
    assert np.isnan(y).any()
    assert verify(lstm, x, y, final=final).agrees


def test_a_nan_in_one_direction_leaves_the_rounding_of_the_other_alone():
    lstm = gw.LSTM(3, 4, bidirectional=True, rng=0)
    x = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
    x[2] = np.nan
    y, _ = lstm(x)
    y += 1e-7
    assert np.isnan(y).any()
    assert gw.verify(lstm, x, y).verdict == "rounding"
    y[0, 0, 0] += 0.1
    assert gw.verify(lstm, x, y).verdict == "mistake"


# And it is called by its name.


def supposed(seed):
    lstm, x, state, _ = drawn(seed)
    y, final = lstm(x, state)
    wide = tuple(tuple(gw.State(*(part.astype(float) for part in one)) for one in row) for row in state)
    case = rounding.Case(lstm.astype(float), x.astype(float), wide, None)
    claims = {
        "y": y,
        **{name: one for name, one in rounding.answers_by_name(lstm, y, final).items() if name[0] in "hc"},
    }
    return case, claims, suspects.mistakes(case, claims)


@pytest.mark.thorough
@pytest.mark.parametrize(  # in a square LSTM of two directions each fourth; peers try all in a dozen LSTMs
    ("seed", "every"), [(3, 4), *(pytest.param(seed, 1, marks=pytest.mark.peers) for seed in range(12))]
)
def test_the_mistakes_that_are_looked_for_are_found_when_a_runtime_makes_them(seed, every):
    lstm, x, state, _ = drawn(seed)
    _, claims, mistakes = supposed(seed)
    right = lstm(x, state)[0]
    tried, missed, blamed = 0, [], []
    for said, other, answers in itertools.islice(mistakes, 0, None, every):
        if answers is claims:  # the runtime computes otherwise
            short = None
            if other.state is not None:
                short = [[gw.State(*(part.astype(np.float32) for part in one)) for one in row] for row in other.state]
            try:
                y, final = other.lstm.astype(np.float32)(other.x.astype(np.float32), short, engine=ENGINES[0])
            except gw.ShapeError:
                continue
            if y.shape == right.shape and np.allclose(y, right, atol=1e-4):
                continue
            found = verify(lstm, x, y, state=state, final=final)
        else:  # or it writes its answers otherwise: what undoes that does it again
            final = [
                [
                    tuple(answers[rounding.name_of(name, lstm, number, direction)] for name in ("hn", "cn"))
                    for direction in lstm.directions
                ]
                for number in range(lstm.num_layers)
            ]
            found = verify(lstm, x, answers["y"], state=state, final=final)
        tried += 1
        if said not in found.causes:
            missed.append(said)
        if len(found.causes) > 1:
            blamed.append((said, found.causes))
    assert tried >= 35 // every
    assert not missed
    assert not blamed


@pytest.mark.parametrize("framework", [name for name, order in gates.ORDERS.items() if order != gates.LETTERS])
@pytest.mark.parametrize("peephole", ["none", "full"])
def test_the_order_of_another_framework_is_named(framework, peephole):
    """Weights that lie in the framework's order, and are read as if they lay in gatewise's own."""
    rng = np.random.default_rng(1)
    p = cases.parameters({"peephole": peephole}, rng, dtype=np.float32)
    without = gates.ORDERS[framework].replace("g", "")
    rows = None if p.peephole is None else p.peephole[[gates.PEEPHOLES.index(letter) for letter in without]]
    read = p.replace(
        weight=gates.reorder(p.weight, "gatewise", framework),
        bias=gates.reorder(p.bias, "gatewise", framework),
        peephole=rows,
    )
    x = rng.normal(size=(6, 2, 3)).astype(np.float32)
    y, _ = gw.LSTM.from_cells(p)(x)
    (cause,) = verify(gw.LSTM.from_cells(read), x, y).causes
    assert " ".join(gates.ORDERS[framework]) in cause
    assert framework in cause


@pytest.mark.parametrize("alpha", [0.2, 1 / 6])
@pytest.mark.parametrize("read", ["hard_sigmoid", "sigmoid"])
def test_the_slope_of_a_different_hard_sigmoid_is_named(read, alpha):
    rng = np.random.default_rng(2)
    names = ("input_activation", "forget_activation", "output_activation")

    def lstm(activation):
        return gw.LSTM.from_cells(p.replace(variant=gw.Variant(**dict.fromkeys(names, activation))))

    p = cases.parameters({}, rng, dtype=np.float32)
    x = rng.normal(size=(6, 2, 3)).astype(np.float32)
    y, _ = lstm(gw.Activation("hard_sigmoid", alpha, 0.5))(x)
    other = gw.Activation("hard_sigmoid", 1 / 6 if alpha == 0.2 else 0.2, 0.5) if read == "hard_sigmoid" else "sigmoid"
    (cause,) = verify(lstm(other), x, y).causes
    assert "hard sigmoid" in cause
    assert ("Keras 2" if alpha == 0.2 else "Keras 3") in cause
    y, _ = lstm("sigmoid")(x)
    (cause,) = verify(lstm(gw.Activation("hard_sigmoid", alpha, 0.5)), x, y).causes
    assert cause == "the gates' nonlinearity is sigmoid, not hard_sigmoid"


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(n, marks=pytest.mark.peers) for n in range(3, 10))])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_one_of_two_biases_that_is_missing_is_found_out(seed, bidirectional):
    lstm, x, state, rng = drawn(seed, layers=1, bidirectional=bidirectional)
    missing = [rng.uniform(-0.5, 0.5, cell.parameters.bias.shape).astype(np.float32) for cell in lstm.layers[0]]
    parts = iter(missing)
    y, final = changed(lstm, lambda p: p.replace(bias=p.bias - next(parts)))(x, state)
    (cause,) = verify(lstm, x, y, state=state, final=final).causes
    assert "different biases" in cause
    largest = max(missing, key=lambda one: np.abs(one).max())
    by = -largest.flat[np.argmax(np.abs(largest))]
    assert f"by {by:+.2g}"[:6] in cause


@pytest.mark.parametrize(("switch", "words"), [({"gate_clip": 0.3}, "gate_clip"), ({"cell_clip": 0.1}, "cell_clip")])
def test_a_clip_that_the_runtime_does_not_have_is_named(switch, words):
    rng = np.random.default_rng(4)
    p = cases.parameters(switch, rng, dtype=np.float32)
    x = rng.normal(size=(6, 2, 3)).astype(np.float32)
    y, _ = gw.LSTM.from_cells(p.replace(variant=gw.Variant()))(x)
    (cause,) = verify(gw.LSTM.from_cells(p), x, y).causes
    assert words in cause


def test_lengths_that_the_runtime_ignores_are_named():
    lstm, x, _, _ = drawn(0, layers=1, bidirectional=False)
    y, final = lstm(x)
    lengths = [2] * x.shape[1]
    (cause,) = verify(lstm, x, y, final=final, lengths=lengths).causes
    assert cause == "the runtime ignores the lengths or the mask"
    for masked_output in ("zeros", "repeat"):
        y, final = lstm(x, lengths=lengths, masked_output=masked_output)
        found = verify(lstm, x, y, final=final, lengths=lengths)
        assert found.agrees
        assert any("repeated" in note for note in found.notes) == (masked_output == "repeat")


def test_swapped_time_and_batch_axes_are_named():
    lstm, x, _, _ = drawn(0, layers=1, bidirectional=False)
    y, _ = lstm(x.swapaxes(0, 1))
    (cause,) = verify(lstm, x, y.swapaxes(0, 1)).causes
    assert "time and batch" in cause
    square = x[: x.shape[1]]  # the sizes do not tell
    y, final = lstm(square.swapaxes(0, 1))
    (cause,) = verify(lstm, square, y.swapaxes(0, 1), final=final).causes
    assert "time and batch" in cause


# Shapes as frameworks have them.


def test_answers_are_taken_in_every_frameworks_shape():
    lstm, x, state, _ = drawn(3, layers=1)  # both directions
    y, final = lstm(x, state)
    time, batch, size = y.shape
    onnx = y.reshape(time, batch, 2, size // 2).transpose(0, 2, 1, 3)
    assert verify(lstm, x, onnx, state=state).agrees
    keras = {"axes": ("batch", "time", "feature"), "state": state}
    assert verify(lstm, x.swapaxes(0, 1), y.swapaxes(0, 1), **keras).agrees
    assert verify(lstm, x.swapaxes(0, 1), onnx.transpose(2, 0, 1, 3), **keras).agrees
    assert verify(
        lstm, x.transpose(2, 0, 1), y.transpose(2, 0, 1), axes=("feature", "time", "batch"), state=state
    ).agrees
    last = np.concatenate([final[0][0].h, final[0][1].h], -1)
    assert [one.name for one in verify(lstm, x, last, state=state).differences] == ["last y"]
    assert verify(lstm, x, last, state=state).agrees
    apart = gw.LSTM.from_cells(lstm.layers, merge="none")
    assert verify(apart, x, onnx, state=state).agrees
    alone = [[gw.State(one.h[0], one.c[0]) for one in state[0]]]
    ends = [[(one.h[0], None) for one in final[0]]]
    found = verify(lstm, x[:, 0], y[:, 0], state=alone, final=ends)
    assert [one.name for one in found.differences] == ["y", "hn of forward", "hn of backward"]
    assert found.agrees
    assert verify(lstm, x[:, :1], last[:1], state=[[gw.State(one.h[:1], one.c[:1]) for one in state[0]]]).agrees


@pytest.mark.parametrize("time", [0, 1])
def test_sequences_of_no_step_and_of_one_are_verified_too(time):
    lstm, x, state, _ = drawn(2)
    y, final = lstm(x[:time], state)
    assert verify(lstm, x[:time], y, state=state, final=final).agrees
    y, final = lstm(x[:, :0])
    assert verify(lstm, x[:, :0], y, final=final).verdict == "undecided"


def test_what_does_not_fit_is_refused_in_one_sentence():
    lstm, x, state, _ = drawn(0, layers=1, bidirectional=False)
    y, final = lstm(x, state)
    wrong = [
        ((x[..., :1], y), {}, "features"),
        ((x, y[:-1]), {}, "y has shape"),
        ((x, y[..., :1]), {}, "y has shape"),
        ((x, y), {"axes": ("time", "row", "feature")}, "time,row,feature"),
        ((x, y), {"axes": ("time", "time", "feature")}, "time,time,feature"),
        ((x[0, 0], y), {}, "x has shape"),
        ((x, None), {}, "nothing to verify"),
        ((x, None), {"final": [[(None, None)]]}, "nothing to verify"),
        ((x, None), {"final": [[(final[0][0].h[:, :1], None)]]}, "hn has shape"),
        ((x, None), {"final": []}, "final state"),
        ((x, y), {"state": [[]]}, "state must have"),
        ((x, y), {"lengths": [99] * x.shape[1]}, "lengths"),
        ((x, [["a"]]), {}, "y must hold real numbers"),
    ]
    for arguments, options, words in wrong:
        with cases.refusal(words, by=gw.GatewiseError):
            verify(lstm, *arguments, **options)


def test_the_verdict_is_the_same_each_time():
    lstm, x, state, _ = drawn(5)
    y, final = lstm(x, state)
    assert verify(lstm, x, y, state=state, final=final) == verify(lstm, x, y, state=state, final=final)


def test_a_verdict_takes_a_seed_or_a_generator_and_refuses_anything_else():
    lstm, x, *_ = drawn(0)
    y, _ = lstm(x)
    for rng in (3, np.random.default_rng(3)):
        assert gw.verify(lstm, x, y, rng=rng).agrees
    for rng in (-1, "x", None):
        with cases.refusal("rng must be", by=gw.OptionError):
            gw.verify(lstm, x, y, rng=rng)
