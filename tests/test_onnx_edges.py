"""An edge of an ONNX graph leads to the name whose numbers it carries: identities are dropped, exchanges are layout."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from gatewise.files.budget import Budget  # noqa: E402
from gatewise.interop.graphs import BATCH_FIRST, TIME_FIRST  # noqa: E402
from gatewise.interop.onnx.edges import equal_source, trace_sequence  # noqa: E402
from gatewise.interop.onnx.file import OnnxFile  # noqa: E402
from gatewise.interop.onnx.scopes import nodes_of  # noqa: E402

FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
SWAP, ROTATE = ("Transpose", {"perm": [1, 0, 2]}), ("Transpose", {"perm": [1, 2, 0]})
IDENTITY, DROPOUT = ("Identity", {}), ("Dropout", {})


def end_of(*operators):
    """Return the scope and the last name of operators in a row, the first of which reads x; each outputs its number."""
    names = ["x", *map(str, range(len(operators)))]
    nodes = [
        onnx.helper.make_node(operator, [given], [name], **attributes)
        for (operator, attributes), given, name in zip(operators, names, names[1:], strict=False)
    ]
    infos = [onnx.helper.make_tensor_value_info(name, FLOAT, None) for name in ("x", names[-1])]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", infos[:1], infos[1:]))
    node, *_ = nodes_of(OnnxFile(model, None, {}, Budget(model.ByteSize())))
    return node.scope, names[-1]


@pytest.mark.parametrize(
    ("operators", "source", "layout"),
    [
        ([IDENTITY, DROPOUT, ("Cast", {"to": FLOAT})], "x", TIME_FIRST),
        ([SWAP, IDENTITY], "x", BATCH_FIRST),
        ([SWAP, IDENTITY, SWAP], "x", TIME_FIRST),
        ([("Relu", {}), SWAP], "0", BATCH_FIRST),
        ([SWAP, ROTATE, IDENTITY], "1", TIME_FIRST),
        ([IDENTITY, ("Cast", {"to": INT64})], "1", TIME_FIRST),
    ],
    ids=str,
)
def test_an_edge_ends_where_a_number_changes_or_the_graph_begins(operators, source, layout):
    edge = trace_sequence(*end_of(*operators))
    assert (edge.source.name, edge.layout) == (source, layout)


def test_an_exchange_ends_an_edge_that_does_not_carry_a_sequence():
    assert equal_source(*end_of(IDENTITY, SWAP, IDENTITY)).name == "1"


def test_a_dropout_is_an_identity_unless_it_may_be_training():
    tensors = [onnx.numpy_helper.from_array(np.array(value), str(value)) for value in (True, False)]
    for training, source in (("False", "x"), ("True", "y"), ("z", "y")):
        node = onnx.helper.make_node("Dropout", ["x", "", training], ["y"])
        infos = [onnx.helper.make_tensor_value_info(name, FLOAT, None) for name in ("x", "z", "y")]
        model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", infos[:2], infos[2:], tensors))
        (node,) = nodes_of(OnnxFile(model, None, {}, Budget(model.ByteSize())))
        assert equal_source(node.scope, "y").name == source
