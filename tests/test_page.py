"""The page: what it holds is the run, what it is joined of keeps the rules, and nothing given to it is ever run."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import zlib
from functools import cache
from html.parser import HTMLParser
from importlib.resources import files
from itertools import cycle
from pathlib import Path

import cases
import numpy as np
import pytest
from program import exit_code, refusal_of
from walks import EVERY_PART

import gatewise as gw
from gatewise.examples import latch
from gatewise.playground import assembly, sequence_run
from gatewise.playground import page as page_module
from gatewise.playground.assembly import squeezed_script
from gatewise.symbolic import cell
from gatewise.symbolic.cell import program

ASSETS = files("gatewise.playground").joinpath("assets")
NAMES = sorted(path.relative_to(ASSETS).as_posix() for path in Path(str(ASSETS)).rglob("*.js"))
BUILT = Path(__file__).parent.parent / "docs" / "page.html"
ELSEWHERE = re.compile(r'"(?:deflated|written_by)":"[^"]*"')  # what may have other bytes on another machine
HOSTILE = ("</script><script>boom()</script>", "<!--<script>", '"><img src=x onerror=boom()>', "\u2028\u202e\x1b[31m")
X = np.random.default_rng(0).normal(size=(6, 2, 3)).astype(np.float32)
ORDER = ("--axes", "time,batch,feature")  # gatewise's own files do not say it


class Read(HTMLParser):
    """The tags of a page, the text of its scripts and styles, and its policy."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = [("", {})]
        self.texts: dict[str, str] = {}
        self.feed(page)
        self.policy = next(one["content"] for _, one in self.tags if one.get("http-equiv") == "Content-Security-Policy")
        self.document = json.loads(self.texts["application/json"])
        self.document |= json.loads(zlib.decompress(base64.b64decode(self.document.pop("deflated"))))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        tag, attrs = self.tags[-1]
        if tag in ("script", "style"):
            key = attrs.get("type", tag)
            self.texts[key] = self.texts.get(key, "") + data

    def handle_endtag(self, tag):
        self.tags.append(("/" + tag, {}))


@cache
def teaching() -> gw.Page:
    return gw.page()


def read(*thing, **options) -> dict:
    return Read(gw.page(*thing, **options).html).document


def decoded(array) -> np.ndarray:
    """Return an array of a document: nested lists, or base64."""
    if isinstance(array, list):
        return np.array(array, float)
    return np.frombuffer(base64.b64decode(array["base64"]), array["dtype"]).reshape(array["shape"])


@pytest.fixture
def without_mistakes(monkeypatch):
    """Let pages hold no mistakes that people make: those have laws of their own, and take most of the time."""
    monkeypatch.setattr("gatewise.playground.document.MAX_WORKED_UNITS", 0)


# What it holds.


@pytest.mark.usefixtures("without_mistakes")
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        pytest.param(name, dtype, marks=() if name in EVERY_PART else pytest.mark.peers)
        for name, dtype in zip(cases.VARIANTS, cycle([np.float32, np.float64]), strict=False)
    ],
)
def test_a_page_holds_every_number_of_a_model_exactly(name, dtype):
    rng = np.random.default_rng(0)
    rows = [[cases.parameters(cases.VARIANTS[name], rng, inputs=3, projection=2, dtype=dtype) for _ in "ab"]]
    rows += [[cases.parameters(cases.VARIANTS[name], rng, inputs=4, projection=2, dtype=dtype) for _ in "ab"]]
    lstm, state = gw.LSTM.from_cells(rows), None
    state = [[gw.State(rng.normal(size=(2, 2)), rng.normal(size=(2, 4))) for _ in row] for row in rows]
    found = read(lstm, x=X, state=state, lengths=[6, 4], sequence=1, masked_output="repeat")
    assert [[one["direction"] for one in row] for row in found["wiring"]["layers"]] == [["forward", "backward"]] * 2
    for row, cells, states, starts in zip(
        found["wiring"]["layers"], rows, found["inputs"]["state"], state, strict=True
    ):
        for one, p, own, start in zip(row, cells, states, starts, strict=True):
            form = cell.form_of(p, gw.DropoutMasks())
            assert found["program"][one["program"]]["form"]["variant"] == p.variant.to_json()
            written = found["parameters"][one["parameters"]]
            assert len(written) == len(program(form).of_kind("parameter"))
            given = cell.parameter_values(form, p).values()
            for array, value in zip(written.values(), given, strict=True):
                assert array["dtype"] == np.dtype(dtype).str
                np.testing.assert_array_equal(decoded(array), value)
            np.testing.assert_array_equal(decoded(own["h"]), start.h[1].astype(dtype))
            np.testing.assert_array_equal(decoded(own["c"]), start.c[1].astype(dtype))
    np.testing.assert_array_equal(decoded(found["inputs"]["x"]), X[:, 1])
    assert found["inputs"]["valid"] == [True] * 4 + [False] * 2
    assert found["wiring"]["masked_output"] == "repeat"
    assert any("float32" in said for said in found["about"]) == (dtype == np.float32)


@pytest.mark.usefixtures("without_mistakes")
def test_a_page_holds_a_network_and_its_tokens():
    rng = np.random.default_rng(0)
    head = gw.Linear(rng.normal(size=(2, 4)).astype("f4"), activation="softmax")
    lstm = gw.LSTM(3, 4, rng=0)
    network = gw.Network(lstm, embedding=rng.normal(size=(9, 3)), head=head, reads="last", masked=0)
    labels = gw.Labels(outputs=("q", "r"), measures={"q": ("discharge", "mm/d")})
    found = read(network, x=np.array([[4, 1], [2, 8], [0, 3]]), labels=labels, sequence=0)
    assert found["inputs"]["x"] == [4, 2, 0]
    assert found["inputs"]["valid"] == [True, True, False]
    np.testing.assert_array_equal(decoded(found["wiring"]["embedding"]), network.embedding)
    np.testing.assert_array_equal(decoded(found["wiring"]["head"]["constants"]["V"]), head.weight)
    assert found["wiring"]["reads"] == "last"
    assert found["labels"]["outputs"] == ["q", "r"]
    assert found["labels"]["measures"] == {"q": ["discharge", "mm/d"]}


@pytest.mark.usefixtures("without_mistakes")
def test_a_page_holds_the_dropout_masks_of_its_sequence():
    rng = np.random.default_rng(0)
    lstm = gw.LSTM(3, 4, num_layers=2, rng=0)
    masks = cases.dropout_of(lstm.layers[0][0].parameters, 6, 2, rng)
    found = read(lstm, x=X, dropout=[[masks], [None]], sequence=1)["inputs"]["dropout"]
    assert found[1] == [{}]
    fitted = masks.fit(lstm.layers[0][0].parameters, 6, 2)
    form = cell.form_of(lstm.layers[0][0].parameters, fitted)
    expected = cell.mask_values(form, lstm.layers[0][0].parameters, fitted.at((slice(None), 1)))
    for array, value in zip(found[0][0].values(), expected.values(), strict=True):
        np.testing.assert_array_equal(decoded(array), value)
    assert read(lstm, x=X)["inputs"]["dropout"] is None


@pytest.mark.usefixtures("without_mistakes")
def test_a_page_has_the_names_and_dates_of_the_run():
    times = np.arange("2001-01-01", "2001-01-07", dtype="datetime64[D]")
    labels = gw.Labels(features=("rain", "sun", "frost"), units=("u", "v"), times=times, sequences=("north", "south"))
    trace = gw.LSTM(3, 2, rng=0).trace(X, labels=labels)
    found = read(trace, sequence="south", title="Two units", notes=["A note."])
    assert found["title"] == "Two units"
    assert found["labels"]["features"] == ["rain", "sun", "frost"]
    assert found["labels"]["units"] == [["u", "v"]]
    assert found["labels"]["times"][:2] == ["2001-01-01", "2001-01-02"]
    assert found["about"][0] == "A note."
    assert "This is sequence 1 (south) of a batch of 2, counted from 0." in found["about"]
    assert read(trace[0][2:4])["labels"]["times"] == ["2001-01-03", "2001-01-04"]
    unnamed = read(gw.LSTM(3, 2, rng=0).trace(X)[0][2:4])["labels"]
    assert unnamed["times"] == ["2", "3"]
    assert unnamed["features"] == ["x0", "x1", "x2"]


@pytest.mark.usefixtures("without_mistakes")
def test_units_are_sorted_by_their_timescales():
    trace = gw.LSTM(3, 8, bidirectional=True, rng=0).trace(X)
    found = read(trace, sequence=1)["sorted"]
    for order, run in zip(found[0], trace.layers[0].values(), strict=True):
        lengths = gw.insight.timescales(run[:, 1:2]).timescale[order]
        assert sorted(order) == list(range(8))
        assert list(lengths) == sorted(lengths, reverse=True)


def test_a_trace_a_model_its_file_and_one_cell_give_the_same_page(tmp_path):
    lstm = gw.LSTM(3, 4, rng=0)
    gw.save(lstm, tmp_path / "m.safetensors")
    trace = lstm.trace(X)
    gw.save(trace, tmp_path / "t.safetensors")
    pages = [gw.page(lstm, x=X), gw.page(trace), gw.page(trace[0]), gw.page(lstm.layers[0][0], x=X)]
    pages += [gw.page(tmp_path / "m.safetensors", x=X), gw.page(str(tmp_path / "t.safetensors"))]
    assert len({one.html for one in pages}) == 1
    gw.page(trace).save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == pages[0].html


@pytest.mark.usefixtures("without_mistakes")
def test_numbers_that_are_not_finite_are_on_the_page():
    p = gw.LSTM(3, 4, rng=0).layers[0][0].parameters
    weight = np.array(p.weight)
    weight[1, 2, 3], weight[0, 0, 0] = np.nan, -np.inf
    found = read(gw.LSTM.from_cells(p.replace(weight=weight)), x=X)
    np.testing.assert_array_equal(decoded(found["parameters"][0]["W_f"]), weight[1])
    assert found["sorted"] == [[[0, 1, 2, 3]]]  # there are no timescales


def test_the_teaching_page_is_the_latch():
    whole, example = Read(teaching().html).document, latch()
    found = whole | {key: column[0] for key, column in whole["scenes"].items()}
    np.testing.assert_array_equal(decoded(found["inputs"]["x"]), example.x)
    np.testing.assert_array_equal(decoded(found["parameters"][0]["W_o"]), example.cell.parameters.weight[3])
    assert found["teaching"]
    assert found["scene"] == "latch"
    assert found["labels"]["features"] == ["bit", "write", "release"]
    assert found["labels"]["units"] == [["latch"]]


# What it is joined of.


def test_the_teaching_page_is_small():
    assert len(teaching().html.encode()) <= 420_000


def test_a_model_adds_its_numbers_in_base64_and_nothing_that_grows():
    few, many = (len(gw.page(gw.LSTM(4, 64, rng=0), x=np.zeros((n, 4))).html) for n in (10, 1010))
    assert many - few < 1000 * 4 * 4 * 4 / 3 + 100
    trace = gw.LSTM(30, 100, rng=0).trace(np.zeros((500, 30)))
    size = page_module.size_of(sequence_run.sequence_run_of(trace, None, 0, {}))
    numbers = size - page_module.FRAME_BYTES
    plain = len(gw.page(gw.LSTM(30, 1, rng=0), x=np.zeros((1, 30))).html)
    assert abs(len(gw.page(trace).html) - plain - numbers) < 0.1 * numbers


def test_the_policy_allows_the_script_and_the_style_of_the_page_alone():
    page = Read(teaching().html)
    assert page.policy == "default-src 'none'; " + "; ".join(
        f"{kind}-src 'sha256-{base64.b64encode(hashlib.sha256(page.texts[text].encode()).digest()).decode()}'"
        for kind, text in (("script", "module"), ("style", "style"))
    )
    assert [tag for tag, _ in page.tags if tag in ("script", "style")] == ["style", "script", "script"]


def test_nothing_on_the_page_is_loaded_or_run_from_markup():
    for _, attributes in Read(teaching().html).tags:
        for name, value in attributes.items():
            assert name not in ("style", "src", "srcset", "action", "ping", "data"), name
            assert not name.startswith("on"), name
            assert name != "href" or value.startswith("#")


FORBIDDEN = re.compile(
    r"\beval\s*\(|new Function|\bFunction\s*\(|innerHTML|outerHTML|insertAdjacentHTML|document\.write|setHTML|"
    r"""createContextualFragment|DOMParser|\bimport\s*\(|\bfetch\s*\(|XMLHttpRequest|WebSocket|sendBeacon|EventSource|"""
    r"""setAttribute\(\s*["']style|url\(|@import|set(?:Timeout|Interval)\(\s*["'`]"""
)


@pytest.mark.parametrize("name", [*NAMES, *(one.name for one in ASSETS.iterdir() if one.name.endswith(".css"))])
def test_no_module_and_no_style_runs_text_or_asks_the_network(name):
    text = assembly.asset(name)
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    code = re.sub(r'import\("\.{1,2}/[\w/.]+\.js"\)', "", code)
    assert not FORBIDDEN.findall(code)
    assert {*re.findall(r"https?://[\w./]*", code)} <= {
        f"http://www.w3.org/{space}" for space in ("2000/svg", "1998/Math/MathML", "1999/xhtml")
    }


AT_MARGIN = re.compile(
    r"import |export |function |function\* |async function |const |let |class |//|/\*\*?| \*|[})\]`]|$"
)


def test_modules_have_their_own_scopes(monkeypatch):
    modules = {
        "engine/a.js": "const name = 1;\nexport function first() {\n  return name;\n}\n",
        "views/b.js": 'import {first} from "../engine/a.js";\nconst name = 2;\nexport const pair = [first(), name];\n',
        "main.js": 'import {pair} from "./views/b.js";\nconst name = 3;\nlet all = [...pair, name];\n',
    }
    monkeypatch.setattr(assembly, "asset", modules.__getitem__)
    assert assembly.modules() == list(modules)
    assert squeezed_script(assembly.joined(modules)) == (
        "const engine$a=(()=>{const name=1;function first(){return name}\nreturn{first}})();"
        "const views$b=(()=>{const{first}=engine$a;const name=2;const pair=[first(),name];return{pair}})();"
        "const{pair}=views$b;const name=3;let all=[...pair,name];"
    )


@cache
def exported(name: str) -> list[str]:
    return re.findall(r"^export [\w* ]*?([\w$]+)(?= ?[=({]| extends)", assembly.asset(name), re.M)


@pytest.mark.parametrize("name", NAMES)
def test_a_module_is_short_and_has_imports_and_exports_of_the_one_form(name):
    text = assembly.asset(name)
    assert len(text.splitlines()) < 300
    assert len(re.findall(r"^import ", text, re.M)) == len(assembly.IMPORT.findall(text))
    assert len(re.findall(r"^export ", text, re.M)) == len(assembly.EXPORT.findall(text))
    for imported, path in assembly.IMPORT.findall(text):
        other = assembly.imported_module(name, path)
        for one in filter(str.strip, imported.split(",")):
            assert one.strip() in exported(other), f"{one} is not exported by {other}"
    if name not in (assembly.ENTRY, assembly.TEACHING):
        for line in re.sub(r"^/\*.*?\*/", "", text, flags=re.DOTALL | re.MULTILINE).splitlines():
            assert AT_MARGIN.match(line) or line[:1].isspace(), f"at the margin: {line}"
            assert not re.match(r"(?:export )?(?:const|let) [\[{]", line), f"names are declared one by one: {line}"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_left_out_of_a_module_changes_nothing(name):
    found = squeezed_script(assembly.asset(name))
    assert squeezed_script(found) == found
    assert "</script" not in found
    assert "<!--" not in found


@pytest.mark.parametrize(
    ("code", "left"),
    [
        ("let a = 1;  // one\n\n  let b;", "let a=1;let b;"),
        ("/** of it\n * @type {number} */\nlet a", "let a"),
        ("return /** @type {A} */ (b)", "return(b)"),
        (
            'a = "// no" + \'/* no */\' + `// ${ `/* ${ {b: "}"}.b } */` } "`;',
            'a="// no"+\'/* no */\'+`// ${ `/* ${ {b: "}"}.b } */` } "`;',
        ),
        ('a = b / c / d; e.replace(/[/"]+ \\//g, f)', 'a=b/c/d;e.replace(/[/"]+ \\//g,f)'),
        ("return /  '/.test(a) ? +a + +b : - -c", "return/  '/.test(a)?+a+ +b:- -c"),
        ("class A { #b = 1; static async c() {} }", "class A{#b=1;static async c(){}}"),
        ("a\n  ++b", "a\n++b"),
        ("if (a) {\n  b(\n    c,\n    d\n  );\n}\ne\n  .f();", "if(a){b(c,d)}\ne.f();"),
        ("for (;;) {\n  a;\n}", "for(;;){a}"),
        ("{ for (;;); }{ else; }{ a(b); }", "{for(;;);}{else;}{a(b)}"),
    ],
)
def test_a_script_is_squeezed_as_javascript_has_it(code, left):
    assert squeezed_script(code) == left


BELOW = {"engine": {"engine"}, "judge": {"engine", "judge"}, "views": {"engine", "judge", "views"}}


@pytest.mark.parametrize("entry", [assembly.ENTRY, assembly.TEACHING])
def test_every_module_is_on_the_page_behind_what_it_imports(entry):
    order = assembly.modules(entry)
    assert order[-1] == entry
    for name in order:
        for _, path in assembly.IMPORT.findall(assembly.asset(name)):
            other = assembly.imported_module(name, path)
            assert order.index(other) < order.index(name), f"{name} and {other} import each other"
            folder, imported = name.split("/")[0], other.split("/")[0]
            assert imported in BELOW.get(folder, {imported}), f"{name} imports {other}"


@pytest.mark.usefixtures("without_mistakes")
def test_a_models_page_has_no_line_of_lessons_and_grows_little():
    """Its script had 251,577 bytes when there was one entry alone."""
    of_model, of_lessons = assembly.modules(), assembly.modules(assembly.TEACHING)
    assert sorted({*of_model, *of_lessons}) == NAMES
    lessons = [*({*of_lessons} - {*of_model})]
    assert {"teaching.js", "views/chapters.js", "views/chapter_start.js", "views/scenes.js", "engine/training.js"} <= {
        *lessons
    }
    script = Read(gw.page(gw.LSTM(3, 4, rng=0), x=X).html).texts["module"]
    lines = {line for name in lessons for line in squeezed_script(assembly.asset(name)).splitlines() if len(line) > 60}
    assert len(lines) > 20
    assert not [line for line in lines if line in script]
    assert len(script.encode()) <= 251_577 + 20_000


def test_the_page_in_the_documentation_is_the_page():
    """GATEWISE_UPDATE_GOLDEN=1 pytest tests/test_page.py writes it again; look at it before you commit it."""
    if os.environ.get("GATEWISE_UPDATE_GOLDEN"):
        BUILT.write_text(teaching().html, encoding="utf-8", newline="\n")
    built, made = BUILT.read_text(encoding="utf-8"), teaching().html
    holds = [Read(page).document | {"written_by": ""} for page in (built, made)]
    is_built = holds[0] == holds[1] and ELSEWHERE.sub("", built) == ELSEWHERE.sub("", made)
    assert is_built, "docs/page.html is another one: GATEWISE_UPDATE_GOLDEN=1 pytest tests/test_page.py builds it"


def test_notes_on_a_page_name_no_options_of_the_command_line():
    notes = [
        "Note: an input of shape (3, 2) is 3 steps of 2 features (--axes time,feature).",
        "Note: --input-of lstm: features are the LSTM's own, by position.",
        "Note: the batch has 2 sequences; the page shows the first; --sequence picks one.",
    ]
    page = gw.page(gw.LSTM(1, 2, rng=0), np.ones((3, 1)), notes=notes)
    assert Read(page.html).document["about"][:3] == [
        "Note: an input of shape (3, 2) is 3 steps of 2 features.",
        "Note: features are the LSTM's own, by position.",
        "Note: the batch has 2 sequences; the page shows the first.",
    ]


# What is given to it.


@pytest.mark.usefixtures("without_mistakes")
def test_names_with_markup_in_them_are_inert():
    labels = gw.Labels(features=HOSTILE[:3], units=HOSTILE, sequences=HOSTILE[2:], times=[*HOSTILE, *"ab"])
    made = gw.page(gw.LSTM(3, 4, rng=0).trace(X, labels=labels), title=HOSTILE[0], notes=list(HOSTILE))
    plain = Read(gw.page(gw.LSTM(3, 4, rng=0).trace(X)).html)
    page = Read(made.html)
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert page.document["labels"]["features"] == list(HOSTILE[:3])
    assert "<" not in page.texts["application/json"]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u2028\u2029\u202e]", page.texts["application/json"])
    frame = made._repr_html_()
    assert "<script" not in frame
    assert html.unescape(re.search(r'srcdoc="([^"]*)"', frame)[1]) == made.html


def test_a_notebook_shows_a_page_in_a_frame_of_its_own(monkeypatch):
    shown = teaching()._repr_html_()
    assert shown.startswith('<iframe title="An LSTM you can see through" sandbox="allow-scripts')
    assert "allow-same-origin" not in shown
    monkeypatch.setattr(page_module, "MAX_INLINE", 10)
    assert "too large for a notebook" in teaching()._repr_html_()


def _edited():
    return gw.LSTM(3, 4, rng=0).trace(X, edit=gw.Edit("forget_gate", "set", 1.0))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: gw.page(3), "a page is of a cell, an LSTM, …, not int"),
        (lambda: gw.page("nothing.onnx"), "cannot read nothing.onnx: there is no such file"),
        (lambda: gw.page(gw.LSTM(3, 4, rng=0)), "a page of a model of type LSTM needs x"),
        (lambda: gw.page(gw.LSTM(3, 4, rng=0), x=gw.LSTM(3, 4, rng=0).trace(X)), "x must be numbers, not a LSTMTrace"),
        (lambda: gw.page(gw.LSTM(3, 4, rng=0).trace(X), x=X), "a trace is already a run. Leave out x."),
        (lambda: gw.page(gw.LSTM(3, 4, rng=0), x=X[:0]), "a page needs a step; this run has none"),
        (lambda: gw.page(gw.LSTM(3, 4, rng=0), x=X, lengths=[6, 0], sequence=1), "a page needs a valid step"),
        (lambda: gw.page(gw.LSTM(3, 4, rng=0), x=X, sequence=2), "there is no sequence 2; this run has"),
        (lambda: gw.page(gw.LSTM(3, 4, rng=0), x=X, sequence="north"), "there is no sequence 'north'"),
        (lambda: gw.page(gw.LSTM(3, 4, rng=0).trace(X, keep=["cell_state"])), "a page needs a whole trace"),
        (lambda: gw.page(_edited()), "a page needs a run without edits"),
        (lambda: gw.page(x=X), "the teaching page takes no x: give a model first"),
        (lambda: gw.page(title=3), "title must be a str"),
        (lambda: gw.page(notes="a"), "notes must be a list of sentences"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_sentence(make, told):
    with cases.refusal(*told.split("…"), by=gw.GatewiseError):
        make()


@pytest.mark.parametrize(
    ("limit", "most", "told"),
    [
        ("VALUES", 20, "at most 20 states of units, … this run has 24: give it at most 5 steps"),
        ("PRODUCTS", 400, "at most 400 products in sums, … has 672: give it at most 3 steps"),
        ("NUMBERS", 100, "at most 100 numbers; this model and its input have 146"),
    ],
)
def test_a_model_that_is_too_large_is_refused(limit, most, told, monkeypatch):
    monkeypatch.setattr(sequence_run, f"MAX_{limit}", most)
    with cases.refusal(*told.split("…"), by=gw.OptionError):
        gw.page(gw.LSTM(3, 4, rng=0).trace(X))


# The program.


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gw.save(gw.LSTM(3, 4, rng=0), "m.safetensors")
    np.save("x.npy", X)
    lines = ["date,rain,</script>,frost", *(f"2001-01-0{day},{day},2,3" for day in range(1, 7))]
    (tmp_path / "rain.csv").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def test_the_program_writes_the_teaching_page_and_opens_it(folder, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    assert exit_code(["page"]) == 0
    assert (folder / "gatewise.html").read_text(encoding="utf-8") == teaching().html
    assert opened == []
    assert exit_code(["page", "-o", "a page.html", "--open"]) == 0
    assert opened == [(folder / "a page.html").resolve().as_uri()]
    assert re.fullmatch(r"gatewise\.html: \d+ kB\na page\.html: \d+ kB\n", capsys.readouterr().out)


def test_the_program_embeds_a_model_and_its_input(folder, capsys):
    assert exit_code(["page", "m.safetensors", "--x", "rain.csv", "-o", "rain.html"]) == 0
    found = Read((folder / "rain.html").read_text(encoding="utf-8")).document
    assert found["title"] == "m.safetensors on rain.csv"
    assert found["labels"]["features"] == ["rain", "</script>", "frost"]
    assert found["labels"]["times"][5] == "2001-01-06"
    assert capsys.readouterr().err == ""
    assert exit_code(["page", "m.safetensors", "x.npy", *ORDER, "-o", "x.html"]) == 0
    assert "has 2 sequences; the page shows the first" in capsys.readouterr().err
    assert exit_code(["page", "m.safetensors", "x.npy", *ORDER, "-o", "x.html", "--sequence", "1"]) == 0
    assert capsys.readouterr().err == ""
    found = Read((folder / "x.html").read_text(encoding="utf-8")).document
    np.testing.assert_array_equal(decoded(found["inputs"]["x"]), X[:, 1])


def test_the_program_takes_a_trace_and_weights_that_are_not_finite(folder, capsys):
    gw.save(gw.LSTM(3, 4, rng=0).trace(X), "t.safetensors")
    assert exit_code(["page", "t.safetensors", "-o", "t.html", "--sequence", "1"]) == 0
    assert exit_code(["page", "m.safetensors", "x.npy", *ORDER, "-o", "x.html", "--sequence", "1"]) == 0
    found = [Read((folder / name).read_text(encoding="utf-8")).document for name in ("t.html", "x.html")]
    assert found[0]["parameters"] == found[1]["parameters"]
    assert found[0]["inputs"] == found[1]["inputs"]
    p = gw.LSTM(3, 4, rng=0).layers[0][0].parameters
    gw.save(gw.LSTM.from_cells(p.replace(bias=np.full((4, 4), np.nan, "f4"))), "nan.safetensors")
    capsys.readouterr()
    assert exit_code(["page", "nan.safetensors", "rain.csv"]) == 0
    assert "has weights that are not finite" in capsys.readouterr().err
    shown = Read((folder / "gatewise.html").read_text(encoding="utf-8")).document
    assert np.isnan(decoded(shown["parameters"][0]["b_f"])).all()


def test_the_program_says_the_size_of_a_large_page_first(folder, monkeypatch, capsys):
    monkeypatch.setattr("gatewise.cli.page.LARGE", 1000)
    assert exit_code(["page", "m.safetensors", "rain.csv"]) == 0
    assert re.search(r"gatewise\.html will take about \d+ MB \(146 numbers\)", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("page -o page.pdf", "the name of page.pdf must end in .html"),
        ("page m.safetensors", "m.safetensors is a model. Give the file of its input as well"),
        ("page m.safetensors x.npy --x rain.csv", "the input is given twice: x.npy, and --x rain.csv"),
        ("page --x rain.csv", "--x belongs to a model: give its file as well"),
        ("page --sequence 1", "--sequence belongs to a model: give its file as well"),
        ("page nothing.onnx x.npy", "cannot read nothing.onnx: there is no such file"),
        (
            "page m.safetensors x.npy --axes time,batch,feature --sequence 7",
            "there is no sequence 7; this run has sequences 0 to 1",
        ),
        ("page m.safetensors x.npy --axes time,batch,feature -o no/page.html", "cannot write no/page.html: "),
    ],
)
def test_a_command_that_cannot_be_followed_is_one_sentence_and_leaves_nothing(line, told, folder, capsys):
    assert told in refusal_of(capsys, *line.split())
