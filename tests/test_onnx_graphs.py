"""What is in an ONNX graph beside the operator LSTM: cells of standard operators, parts of a network, stacks."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from pairwise import cover

import gatewise as gw
from gatewise.interop.chosen_layers import chosen_network
from tests.test_interop import assert_same_lstm

onnx = pytest.importorskip("onnx")

import onnx_models as models  # noqa: E402
from onnx_reading import contents_of, found_in, network, refused_in, tensor_of, written_out  # noqa: E402

from gatewise.interop import onnx as gw_onnx  # noqa: E402

FORMS = {"Gemm": {}, "MatMul": {"product": "MatMul"}, "one matrix": {"apart": False}}
WRITTEN_OUT = cover(
    {
        "order": ("ifgo", "iofg", "gfoi"),
        "inputs": (3, 4),  # as many as units: then only the state tells what recurs
        "form": tuple(FORMS),
        "swap": (False, True),
    }
)


@pytest.mark.parametrize("case", WRITTEN_OUT, ids=lambda case: "-".join(map(str, case.values())))
def test_a_cell_of_standard_operators_is_recognised_by_its_equations(case):
    model, lstm = written_out(case["order"], inputs=case["inputs"], swap=case["swap"], **FORMS[case["form"]])
    found = found_in(model)
    np.testing.assert_array_equal(found.lstm[0].parameters.weight, lstm[0].parameters.weight)
    np.testing.assert_array_equal(found.lstm[0].parameters.bias, lstm[0].parameters.bias)
    assert found.name == "cell"
    assert "built from" in found.convention


def test_a_cell_of_standard_operators_in_another_form_is_refused_by_the_names_of_its_operators():
    model, _ = written_out()
    model.graph.node[-1].op_type = "Div"
    refused_in(model, "built from Gemm, Split", "Sigmoid", "Tanh")
    model, _ = written_out(inputs=4)
    model.graph.node[1].input[0] = "cells"  # another tensor than that of the hidden states
    refused_in(model, "cell", "does not distinguish its hidden state from its input")


@pytest.mark.parametrize("head", ["fc.weight", "gemm.weight"])
def test_linear_layers_and_embeddings_make_a_network(head, tmp_path):
    model, table, weight, bias = network()
    path = models.save(model, tmp_path / "model.net")  # whatever it is called
    contents = gw.inspect(path)
    assert contents.format.startswith("ONNX, opset 15")
    assert {(one.name, one.kind, one.shape) for one in contents.parts} == {
        ("words", "embedding", (7, 3)),
        ("fc.weight", "linear layer", (2, 8)),
        ("gemm.weight", "linear layer", (2, 8)),
    }
    with pytest.warns(gw.WeightsWarning, match=f"leaves out '{'gemm' if head == 'fc.weight' else 'fc'}.weight'"):
        whole = gw.load_network(path, embedding="words", head=head)
    tokens = np.array([[1, 2], [3, 6], [0, 5]])
    y, _ = gw.load(path)(table[tokens])
    np.testing.assert_allclose(whole(tokens)[0], y @ weight + bias, atol=1e-6)


def test_a_head_whose_numbers_are_missing_is_refused_when_it_is_wanted():
    model, *_ = network()
    tensor_of(model, "gemm.weight").raw_data = b""
    contents = contents_of(model)
    with cases.refusal("gemm.weight"):
        chosen_network(contents, None, None, "gemm.weight", "every")


def test_directions_that_are_merged_in_two_ways_are_noted_as_separate():
    pair = [("Concat", ["forth", "back"], ["joined"], {"axis": 2}), ("Add", ["forth", "back"], ["sum"], {})]
    contents = contents_of(models.one_upon_another(pair, directions=2)[0])
    assert [one.name for one in contents.lstms] == ["a", "b", "a → b"]
    assert any("an axis of their own" in note for note in contents.lstms[0].notes)
    assert contents.lstms[2].notes == contents.lstms[1].notes  # in the stack it is known which of them was taken


def test_a_stack_is_taken_without_its_name_where_it_is_all_of_the_files_lstms():
    lstm = gw.LSTM(3, 4, num_layers=3, rng=0)
    model = gw_onnx.write(lstm)
    model.producer_name = "another"
    assert_same_lstm(gw_onnx.read(model), lstm)
    for change in ("another", "refused"):  # one more that stands apart, or one that cannot be read
        more = onnx.ModelProto.FromString(model.SerializeToString())
        node = more.graph.node.add()
        node.CopyFrom(more.graph.node[0])
        node.name, node.input[0] = "more", "other"
        node.output[:] = ["z"]
        if change == "refused":
            node.input[1] = "nothing"
        with cases.refusal("lstm_0 → lstm_1 → lstm_2", "Choose one", by=gw.OptionError):
            gw_onnx.read(more)
