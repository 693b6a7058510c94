"""The JSON of a walkthrough holds all of it: a reader without gatewise computes every number again."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import schemas
from pairwise import pairs
from walks import SUBJECTS, equations, some, trace_of, walk_of

import gatewise as gw
from gatewise.activations import Activation
from gatewise.render import data, text
from gatewise.walkthrough.notation import NOTATIONS
from gatewise.walkthrough.parts import Expanded

pytestmark = pytest.mark.usefixtures("few_differences")

MOST = ("peephole, coupling, clips", "peephole, layer norm of the gates", "layer norm of Haste", "elu, scaled tanh")
WAYS = ("forward", "expanded", "backward", "two steps backward", "three steps from every output")


def read(walk):
    """Read a walk's JSON as strictly as JSON is defined."""

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return json.loads(walk.render("json"), parse_constant=refuse)


def blocks(document, kind):
    return [block for section in document["sections"] for block in section["blocks"] if block["type"] == kind]


def number(value):
    """Return an array of what JSON has for it."""
    return np.array(value, dtype=np.float64)  # "nan", "inf" and "-inf" are numbers to NumPy


FUNCTIONS = {"max": np.maximum, "min": np.minimum, "ln": np.log}  # others have NumPy's names
RELATIONS = {">": np.greater, "<": np.less, "≤": np.less_equal}


def computed(node, symbols):
    """Compute a formula from the JSON alone, as docs/walkthrough.schema.json has it."""

    def of(part):
        return computed(part, symbols)

    match node["node"]:
        case "symbol":
            return number(symbols[node["text"]])
        case "number":
            return number(node["value"])
        case "sum":
            return sum(map(of, node["terms"]))
        case "negative":
            return -of(node["term"])
        case "product":
            found = 1.0
            for factor in node["factors"]:
                found = found * of(factor)
            return found
        case "matmul":
            return of(node["left"]) @ of(node["right"])
        case "transpose":
            return of(node["matrix"]).T
        case "outer":
            return of(node["left"])[:, None] * of(node["right"])
        case "part":
            return of(node["vector"])[node["start"] : node["stop"]]
        case "quotient":
            return of(node["over"]) / of(node["under"])
        case "power":
            return of(node["base"]) ** of(node["exponent"])
        case "call":
            arguments = [of(argument) for argument in node["arguments"]]
            if node["activation"] is not None:
                return Activation(*node["activation"].values())(*arguments)
            function = FUNCTIONS.get(node["name"]) or getattr(np, node["name"])
            return function(*arguments)
        case "holds":
            return RELATIONS[node["relation"]](of(node["left"]), of(node["right"])).astype(float)
        case "slope":
            return of(node["body"])
        case "stack":
            return np.concatenate([of(part) for part in node["parts"]])
    raise AssertionError(node)


@pairs(**SUBJECTS, way=WAYS, notation=NOTATIONS, thin=some)
def test_a_reader_computes_every_value_again_from_the_file_alone(variant, projection, dropout, way, notation):
    walk = walk_of(variant, projection, dropout, way, notation)
    document = read(walk)
    for block, equation in zip(blocks(document, "equation"), equations(walk), strict=True):
        found = computed(block["right"]["tree"], block["symbols"])
        np.testing.assert_allclose(found, number(block["value"]), rtol=1e-12, atol=1e-13)
        np.testing.assert_array_equal(number(block["value"]), equation.value)
        for line in block["worked"]:
            whole = block["value"] if line["entry"] is None else block["value"][line["entry"]]
            assert line["value"] == whole
            names = document["names"][block["over"]]
            assert line["name"] == (None if line["entry"] is None else names[line["entry"]])
        if equation.worked:
            expanded = way == "expanded" and equation.over == "units" and np.ndim(equation.value)
            assert len(block["worked"]) == (1 if expanded else np.atleast_1d(equation.value).shape[0])
        else:
            assert block["worked"] == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_number_comes_back_bit_for_bit(dtype):
    walk = walk_of("peephole", 1, "no dropout", "backward", dtype=dtype)
    for block, equation in zip(blocks(read(walk), "equation"), equations(walk), strict=True):
        np.testing.assert_array_equal(np.array(block["value"], dtype=np.asarray(equation.value).dtype), equation.value)
        for symbol, value in equation.env.items():
            if (name := text.formula(symbol)) in block["symbols"]:
                np.testing.assert_array_equal(number(block["symbols"][name]), np.asarray(value, np.float64))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_finite_number_is_a_string(value):
    step = gw.LSTMCell(3, 2, rng=0, dtype=np.float64).step([value, 0, 0])
    table = next(block for block in blocks(read(gw.walk(step)), "table") if block["title"] == "The input x")
    assert table["rows"][0]["values"] == [str(value), 0, 0]
    assert read(gw.walk(step, backward=True))["backward"]


def test_nothing_is_left_out_of_a_large_cell():
    lstm = gw.LSTM(30, 20, rng=0, dtype=np.float64)
    step = lstm.trace(np.random.default_rng(1).normal(size=(1, 30)))[0].step(0)
    document = read(gw.walk(step, backward=True))
    assert "…" not in json.dumps([block["worked"] for block in blocks(document, "equation")], ensure_ascii=False)
    forget = next(block for block in blocks(read(gw.walk(step)), "equation") if block["left"]["text"] == "a_f")
    assert [line["entry"] for line in forget["worked"]] == list(range(20))
    for line in forget["worked"]:
        assert line["right"].count("×") == 50
        terms = re.sub(r" - ", " + -", line["right"]).replace("(", "").replace(")", "").split(" + ")
        products = [np.prod([float(factor) for factor in term.split("×")]) for term in terms]
        np.testing.assert_allclose(sum(products), line["value"], atol=1e-6)
    outer = next(block for block in blocks(document, "equation") if block["left"]["text"] == "dW_f")
    assert outer["worked"][0]["right"].count(",") == 49


def test_where_units_are_expanded_the_numbers_of_those_are_put_in():
    walk = walk_of("plain", None, "no dropout", "expanded")
    document = read(walk)
    assert document["units"] == [1]
    for block in blocks(document, "equation"):
        if block["over"] == "units" and isinstance(block["value"], list) and block["worked"]:
            assert [line["entry"] for line in block["worked"]] == [1]
    found = blocks(document, "expanded")
    parts = [block for section in walk.sections for block in section.blocks if isinstance(block, Expanded)]
    for block, part in zip(found, parts, strict=True):
        assert [term["name"] for term in block["terms"]] == [term.name for term in part.terms]
        assert block["total"] == float(part.terms.total)
        assert block["name"] == document["names"][block["over"]][block["entry"]]
        np.testing.assert_allclose(sum(term["product"] for term in block["terms"]), block["total"], atol=1e-12)


@pairs(notation=NOTATIONS, variant=MOST, thin=True)
def test_the_text_of_a_symbol_is_one_symbol_within_an_equation(notation, variant):
    for equation in equations(walk_of(variant, 1, "zoneout", "backward", notation)):
        texts = [text.formula(symbol) for symbol in equation.env]
        assert len(texts) == len(set(texts))


def test_names_are_what_they_are_in_the_file_which_is_read_again(tmp_path):
    names = ['"', "\\", "\n\x1b\u2028", "日本語"]
    labels = gw.Labels(features=names[:3], units=names)
    p = trace_of("plain", None).parameters
    walk = gw.walk(gw.LSTMCell.from_parameters(p, labels).step([1, 2, 3]), facts={"file": "\udcff.safetensors"})
    walk.save(tmp_path / "walk.json")
    document = json.loads((tmp_path / "walk.json").read_text(encoding="utf-8"))
    assert document["names"]["units"] == names
    assert document["names"]["features"] == names[:3]
    assert blocks(document, "facts")[0]["items"][-1] == {"name": "file", "value": "\udcff.safetensors"}


def test_the_json_is_the_document_and_readable():
    walk = walk_of("plain", None, "no dropout", "forward")
    shown = walk.render("json")
    assert json.loads(shown) == data.walk_document(walk)
    assert shown.endswith("}\n")
    lines = shown.splitlines()
    assert '   "key": "forget_gate",' in lines
    assert any(re.fullmatch(r' *"f": \[(-?[\d.e-]+, ){1}-?[\d.e-]+\],?', line) for line in lines)


def keys(value):
    """Go through all keys of a document that are the schema's own, and not names of symbols or axes."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from () if key in ("symbols", "names") else keys(one)
    elif isinstance(value, list):
        for one in value:
            yield from keys(one)


MORE = {"projected": (1, "DropConnect", "gatewise"), "in Keras": (None, "dropout", "keras")}


@pairs(variant=MOST, way=WAYS, more=MORE, thin=True)
def test_every_key_and_every_kind_of_block_and_node_is_documented(variant, way, more):
    schema = schemas.schema("walkthrough")
    described, sections_of = schemas.described("walkthrough"), schema["$defs"]["section"]["properties"]["key"]
    rules = [*schema["$defs"]["block"]["allOf"], *schema["$defs"]["node"]["allOf"]]
    projection, dropout, notation = MORE[more]
    document = read(walk_of(variant, projection, dropout, way, notation))
    assert document["version"] == schema["properties"]["version"]["const"] == data.VERSION
    assert f"`{document['notation']}`" in schema["properties"]["notation"]["description"]
    assert set(keys(document)) <= described
    kinds = {block["type"] for section in document["sections"] for block in section["blocks"]}
    kinds |= set(re.findall(r'"node": "(\w+)"', json.dumps(document)))
    assert kinds <= {value for rule in rules for value in schemas.values(rule["if"])}
    assert {section["key"] for section in document["sections"]} <= schemas.values(sections_of)
