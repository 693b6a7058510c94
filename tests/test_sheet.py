"""Sheets as files: the same numbers are marked alike in every format, and what is none gets a sentence."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from cases import Calls, one_sentence, refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from pairwise import pairs
from written import as_csv, as_json, as_npz, saved

import gatewise as gw
from gatewise import examples
from gatewise.grading import sheet
from gatewise.grading.chain import Chain

TOLD = 600  # characters of the longest sentence, besides the file's name


def of_example() -> gw.Step:
    example = examples.notebook()
    return example.cell.step(example.x[0], example.state)


STEP = of_example()
CHAIN = Chain(STEP)
KEY = {quantity.name: quantity.key for quantity in CHAIN.quantities}
F = "0.4934, 0.4975"  # f, to four decimals


def outcome(answers, chain=CHAIN) -> list[tuple]:
    """Return what is said of each quantity."""
    return [(v.name, v.status, v.entry, v.causes) for v in gw.check(answers, chain).verdicts]


def status(text: str, tmp_path: Path, suffix: str = "csv") -> dict[str, str]:
    return {v.name: v.status for v in gw.check(saved(tmp_path, f"sheet.{suffix}", text), CHAIN).verdicts}


def test_zeros_that_stand_alone_are_wrong_as_they_are_written(tmp_path):
    """Where no number of a sheet has digits, nothing says that its zeros are padding."""
    assert status("f,0.0000,0.0000\n", tmp_path) == {"f": "wrong"}
    assert status("f,0,0\n", tmp_path) == {"f": "too coarse"}


def test_a_line_follows_from_a_wrong_one_in_all_its_entries():
    """One entry as the key has it and one that follows from a wrong line: neither was computed so."""
    wrong = KEY["a_f"] + [0.5, 0.7]
    follows = 1 / (1 + np.exp(-wrong))
    expected = {"right": KEY["f"], "right from a wrong line": follows, "wrong": [KEY["f"][0], follows[1]]}
    for word, f in expected.items():
        answers = {"a_f": np.round(wrong, 4), "f": np.round(f, 4)}
        assert gw.check(answers, CHAIN, digits=4).verdicts[1].status == word


# The same numbers.


def with_a_mistake() -> dict[str, np.ndarray]:
    return KEY | {"h": KEY["o"] * np.tanh(STEP.previous.c), "dW_f": KEY["dW_f"] * 1.5}


@pairs(digits=[4, 6, 8], right=[True, False], thin=True)
def test_every_format_is_marked_alike(digits, right, tmp_path):
    numbers = KEY if right else with_a_mistake()
    whole = {name: np.round(value, digits) for name, value in numbers.items()}
    json_text = as_json(numbers, digits)
    marked = [
        outcome(saved(tmp_path, "a.csv", as_csv(numbers, digits))),
        outcome(saved(tmp_path, "a.json", json_text)),
        outcome(saved(tmp_path, "b.json", f'{{"course": 7, "answers": {json_text}}}')),
        outcome(saved(tmp_path, "A.JSON", json_text)),
        outcome(saved(tmp_path, "a.npz", as_npz(**whole))),
        outcome(whole),
        [(v.name, v.status, v.entry, v.causes) for v in gw.check(numbers, CHAIN, digits=digits).verdicts],
    ]
    assert all(one == marked[0] for one in marked)
    wrong = [name for name, status, *_ in marked[0] if status == "wrong"]
    assert wrong == ([] if numbers is KEY else ["h", "dW_f"])


def test_of_single_precision_its_own_rounding_is_forgiven_and_no_more(tmp_path):
    single = {name: value.astype(np.float32) for name, value in KEY.items()}
    assert {status for _, status, *_ in outcome(saved(tmp_path, "a.npz", as_npz(**single)))} == {"right"}
    single["f"] = single["f"] * np.float32(1 + 1e-4)
    wrong = [one for one in outcome(saved(tmp_path, "a.npz", as_npz(**single))) if one[1] != "right"]
    assert [one[:2] for one in wrong] == [("f", "wrong")]


WRITTEN = {
    "0.493": "right",  # it is 0.49336…
    "0.4934": "right",
    "0.49336": "right",
    "0.49": "right",
    "4.9e-1": "right",
    "49E-2": "right",
    ".493": "right",
    "0.5": "right",
    "0.494": "wrong",
    "0.492": "wrong",
    "0.48": "wrong",
    "0.493000": "wrong",
    "4.90e-1": "wrong",
    "0.4938": "wrong",
    "-0.493": "wrong",
    "2": "wrong",
}


@pytest.mark.parametrize("number", WRITTEN)
def test_a_number_is_right_within_half_of_its_last_digit(number, tmp_path):
    assert status(f"f,{number},0.4975", tmp_path) == {"f": WRITTEN[number]}
    if not number.startswith("."):
        assert status(f'{{"f": [{number}, 0.4975]}}', tmp_path, "json") == {"f": WRITTEN[number]}


def test_a_zero_with_a_large_exponent_is_a_zero_and_not_right_for_anything(tmp_path):
    for zero in ("0e9", "0e999999"):  # it is 0.8
        assert status(f"z,0.3,0.4,0.5,{zero},0.2", tmp_path)["z"] != "right"
        assert status(f'{{"z": [0.3, 0.4, 0.5, {zero}, 0.2]}}', tmp_path, "json")["z"] != "right"


@pytest.mark.parametrize("suffix", ["json", "npz"])
def test_a_vector_may_be_a_column_or_a_row(suffix, tmp_path):
    for name in ("f", "db_f", "z"):
        value = np.round(KEY[name], 4)
        for shape in ((-1, 1), (1, -1)):
            turned = value.reshape(shape)
            content = as_npz(**{name: turned}) if suffix == "npz" else json.dumps({name: turned.tolist()})
            assert outcome(saved(tmp_path, f"a.{suffix}", content)) == [(name, "right", "", ())]
    lines = "\n".join(f"f,{value:.4f}" for value in KEY["f"])
    assert status(lines, tmp_path) == {"f": "right"}


def test_a_transposed_matrix_is_named_in_every_format(tmp_path):
    turned = {"dW_f": np.round(KEY["dW_f"].T, 6)}
    for path in (
        saved(tmp_path, "a.csv", as_csv(turned, 6)),
        saved(tmp_path, "a.json", as_json(turned, 6)),
        saved(tmp_path, "a.npz", as_npz(**turned)),
    ):
        (verdict,) = gw.check(path, CHAIN).verdicts
        assert (verdict.status, {cause.kind for cause in verdict.causes}) == ("wrong", {"transposed weights"})
        assert "(5, 2), not (2, 5)" in str(gw.check(path, CHAIN))


# What may stand in a file besides.


LENIENT = {
    "a head": f"quantity,0,1\nf,{F}",
    "a head of names": f"Name,unit 0,unit 1\nf,{F}",
    "comments": f"# by hand\nf,{F}\n# that was all, and 7 more\n",
    "empty lines": f"\n\nf,{F}\n\n,,\n",
    "more columns": f"f,{F},,,",
    "Windows' line ends": f"quantity,0,1\r\nf,{F}\r\n",
    "old line ends": f"f,{F}\r",
    "a BOM": f"\ufefff,{F}",
    "quotes": '"f","0.4934","0.4975"',
    "spaces": " f , 0.4934 , 0.4975 ",
}


@pytest.mark.parametrize("text", LENIENT.values(), ids=LENIENT)
def test_what_spreadsheets_and_people_add_to_a_csv_does_not_matter(text, tmp_path):
    assert status(text, tmp_path) == {"f": "right"}


@pytest.mark.parametrize("text", [f'\ufeff{{"f": [{F}]}}', f'\r\n{{\r\n"f": [{F}]\r\n}}\r\n'], ids=["BOM", "CRLF"])
def test_a_json_file_may_have_a_bom_and_windows_line_ends(text, tmp_path):
    assert status(text, tmp_path, "json") == {"f": "right"}


@pytest.mark.parametrize("blank", ["", "_", "___", " ", "__ __"])
def test_a_blank_is_nothing_or_a_line_to_write_on(blank, tmp_path):
    assert status(f"f,{blank},0.4975\nc,{blank},{blank}\nh,{blank}\no", tmp_path) == {
        "f": "incomplete",
        "o": "missing",
        "c": "missing",
        "h": "missing",
    }
    assert status(f"f,{blank},0.4875", tmp_path) == {"f": "wrong"}


def test_a_blank_in_json_is_null_and_in_an_archive_nan(tmp_path):
    for path in (
        saved(tmp_path, "a.json", '{"f": [null, 0.4875], "c": null, "h": [null, null], "o": []}'),
        saved(tmp_path, "a.npz", as_npz(f=[np.nan, 0.4875], c=np.nan, h=[np.nan, np.nan], o=[])),
    ):
        assert [one[:2] for one in outcome(path)] == [
            ("f", "wrong"),
            ("o", "missing"),
            ("c", "missing"),
            ("h", "missing"),
        ]


# What is no sheet.


def npy_head(shape: str, kind: str = "'<f8'") -> bytes:
    """Return the head of an array in a file, of any shape that it claims to have."""
    head = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def npy(array) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array))
    return buffer.getvalue()


def changed(content: bytes, *places: tuple[int, int]) -> bytes:
    found = bytearray(content)
    for at, value in places:
        found[at] = value
    return bytes(found)


def encrypted() -> bytes:
    content = zipped(("f.npy", npy([1.0, 2.0])))
    return changed(content, (6, 1), (content.find(b"PK\x01\x02") + 8, 1))


GOOD = as_npz(f=np.array([0.4934, 0.4975]))
PACKED = {
    name: zipped(("f.npy", npy(np.arange(2000.0))), method=method)
    for name, method in (("deflate", zipfile.ZIP_DEFLATED), ("bzip2", zipfile.ZIP_BZIP2), ("lzma", zipfile.ZIP_LZMA))
}
LONG = "f" * 1_000_000

FAULTY: dict[str, tuple[str, str | bytes, tuple[str, ...]]] = {  # names and sizes: of one line each
    "json, unknown name": ("a.json", '{\n"c": [1, 2],\n"dW_ff": [1]}', ("line 3", "'dW_ff'", "did you mean 'dW_f'?")),
    "csv, unknown name": ("a.csv", "c,1,2\n\ndb_ff,1,2", ("line 3", "'db_ff'", "did you mean 'db_f'?")),
    "npz, unknown name": ("a.npz", as_npz(dz_prev=[1]), ("'dz_prev'", "did you mean")),
    "csv, nothing like it": ("a.csv", "xyzzy,1", ("line 1", "'xyzzy'", "allowed: z, a_f")),
    "csv, a word nearly right": ("a.csv", "forget_gat,1", ("line 1", "did you mean 'forget_gate'?")),
    "json, no name": ("a.json", '{"": [1]}', ("line 1", "''")),
    "json, control characters": ("a.json", json.dumps({"\x1b[2J\n": [1]}), ("line 1",)),
    "json, half a character": ("a.json", '{"\\ud800": [1]}', ("line 1",)),
    "json, another size": ("a.json", '{"c": [1, 2],\n"f": [1, 2, 3]}', ("line 2", "'f'", "(3,)", "(2,)")),
    "csv, another size": ("a.csv", "c,1,2\nf,1,2,3", ("line 2", "'f'", "(3,)", "(2,)")),
    "npz, another size": ("a.npz", as_npz(f=np.ones(3)), ("'f'", "(3,)", "(2,)")),
    "json, a flat matrix": ("a.json", json.dumps({"dW_f": [0.1] * 10}), ("(10,)", "(2, 5)")),
    "json, three axes": ("a.json", '{"f": [[[1, 2]]]}', ("line 1", "(1, 1, 2)")),
    "json, same quantity": ("a.json", '{"f": [1, 2],\n"forget_gate": [1, 2]}', ("line 2", "'forget_gate' and 'f'")),
    "csv, same name at once": ("a.csv", "f,1,2\nf,1,2", ("line 1", "(2, 2)", "(2,)")),
    "npz, same quantity": ("a.npz", as_npz(f=[1, 2], forget_gate=[1, 2]), ("'forget_gate' and 'f'",)),
    "json, nested deeper": ("a.json", '{"f": [[[[[1, 2]]]]]}', ("line 1", "(1, 1, 1, 1, 2)")),
    "json, a name of 1 MB": ("a.json", f'{{"{LONG}": [1]}}', ("line 1",)),
    "csv, a name of 1 MB": ("a.csv", f"{LONG},1", ()),
    "csv, a name of 100 KB": ("a.csv", f"{LONG[:100_000]},1", ("line 1",)),
    "npz, a name of 50 KB": ("a.npz", zipped((f"{LONG[:50_000]}.npy", npy([1.0]))), ()),
}
BAD: dict[str, tuple[str, str | bytes, tuple[str, ...]]] = {
    # No numbers.
    "json, text": ("a.json", '{\n"f": ["half", 1]}', ("line 2: f", "'half' is not a number")),
    "json, truth": ("a.json", '{"f": [true, 1]}', ("line 1", "true")),
    "json, an object": ("a.json", '{"f": {"a": 1}}', ("line 1: f", '{"a": "1"} is not a number')),
    "json, NaN": ("a.json", '{"f": [NaN, 1]}', ("line 1: f", "'NaN' is not a number")),
    "json, Infinity": ("a.json", '{"f": [-Infinity, 1]}', ("-Infinity",)),
    "json, 1e999": ("a.json", '{\n"f": [1e999, 1]}', ("line 2", "too large")),
    "json, an exponent of no end": ("a.json", '{"f": [1e99999999999999999999, 1]}', ("line 1: f", "is not a number")),
    "json, a number of 5000 digits": ("a.json", f'{{"f": [{"9" * 5000}, 1]}}', ("is too long for a number",)),
    "json, a list among numbers": ("a.json", '{"f": [1, [2]]}', ("line 1", "not equally long")),
    "json, a number among lists": ("a.json", '{"f": [[1], 2]}', ("line 1", "not equally long")),
    "json, nested without end": ("a.json", f'{{"f": {"[" * 100_000}{"]" * 100_000}}}', ("not JSON",)),
    "json, objects without end": ("a.json", '{"f":' * 100_000, ("not JSON",)),
    "csv, nan": ("a.csv", "f,nan,1", ("line 1", "'nan'")),
    "csv, inf": ("a.csv", "f,1,-inf", ("line 1", "'-inf'")),
    "csv, underscores": ("a.csv", "f,0_4934,1", ("line 1", "'0_4934'")),
    "csv, an open quote": ("a.csv", 'f,"0.4934,0.4975\nc,1,2', ("line",)),
    "csv, a NUL": ("a.csv", "f,0.49\0,1", ("not",)),
    "npz, infinity": ("a.npz", as_npz(f=[np.inf, 1]), ("'f'", "finite")),
    "npz, text": ("a.npz", as_npz(f=["a", "b"]), ("'f'", "numbers")),
    "npz, complex": ("a.npz", as_npz(f=[1j, 1]), ("'f'", "complex128")),
    "npz, truth": ("a.npz", as_npz(f=[True, False]), ("'f'", "bool")),
    "npz, dates": ("a.npz", as_npz(f=np.array(["2020", "2021"], "M8[D]")), ("'f'",)),
    "npz, records": ("a.npz", as_npz(f=np.zeros(2, [("a", "f8")])), ("'f'",)),
    "npz, more than doubles hold": ("a.npz", as_npz(f=np.array([np.longdouble("1e4000"), 1])), ("'f'",)),
    # Nothing.
    "json, empty": ("a.json", "", ("it is empty",)),
    "json, blank": ("a.json", " \n", ("it is empty",)),
    "json, empty object": ("a.json", "{}", ("there is no quantity in it",)),
    "json, empty answers": ("a.json", '{"answers": {}, "name": "x"}', ("there is no quantity in it",)),
    "json, a list": ("a.json", "[1, 2]", ("it must be an object",)),
    "json, a number": ("a.json", "1", ("it must be an object",)),
    "json, broken": ("a.json", '{"f": [1,\n2}', ("line 2 is not JSON",)),
    "csv, empty": ("a.csv", "", ("it is empty",)),
    "csv, only a head": ("a.csv", "quantity,0,1\n# and a comment\n", ("there is no quantity in it",)),
    "npz, empty": ("a.npz", b"", ("it is empty",)),
    "npz, no arrays": ("a.npz", as_npz(), ("there is no quantity in it",)),
    # Other files.
    "csv, UTF-16 cut short": ("a.csv", f"f,{F}".encode("utf-16")[:-1], ("not text in UTF-8 or UTF-16", "byte")),
    "json, UTF-16 cut short": ("a.json", f'{{"f": [{F}]}}'.encode("utf-16")[:-1], ("not text in UTF-8 or UTF-16",)),
    "csv, no text": ("a.csv", f"c,1,2\nf,{F},\x01é".encode("cp1252"), ("line 2 has the byte 0xe9", "save it as UTF-8")),
    "csv, binary": ("a.csv", bytes(range(256)), ("not text in UTF-8",)),
    "json, binary": ("a.json", bytes(range(256)), ("not text in UTF-8",)),
    "npz, binary": ("a.npz", bytes(range(256)), ("not an intact .npz file",)),
    "npz, text in it": ("a.npz", b"f,0.49,0.50", ("not an intact .npz file",)),
    "npz, an .npy": ("a.npz", npy([1.0, 2.0]), ("not an intact .npz file",)),
    "npz, a pickle": ("a.npz", pickle.dumps({"f": [1, 2]}), ("not an intact .npz file",)),
    "npz, objects": ("a.npz", as_npz(f=np.array([1, None], dtype=object)), ("'f' holds Python objects",)),
    "npz, something else in it": ("a.npz", zipped(("readme.txt", b"hello")), ()),
    "npz, a name without an array": ("a.npz", zipped(("f.npy", b"hello")), ()),
    "npz, a folder in it": ("a.npz", zipped(("f/", b"")), ()),
    "npz, encrypted": ("a.npz", encrypted(), ()),
    "npz, unknown packing": (
        "a.npz",
        changed(GOOD, (8, 77), (GOOD.find(b"PK\x01\x02") + 10, 77)),
        ("packed by method 77",),
    ),
    "npz, a newer format": ("a.npz", zipped(("f.npy", b"\x93NUMPY\x09\x00" + b"\0" * 100)), ("intact .npz",)),
    "npz, a head without end": ("a.npz", zipped(("f.npy", npy_head("(" * 300))), ()),
    "npz, no head": ("a.npz", zipped(("f.npy", npy_head("}{"))), ()),
    "npz, a shape of truth": ("a.npz", zipped(("f.npy", npy_head("(True,)") + b"\0" * 16)), ()),
    "npz, a negative shape": ("a.npz", zipped(("f.npy", npy_head("(-1,)") + b"\0" * 16)), ()),
    "npz, a shape too short": ("a.npz", zipped(("f.npy", npy_head("(9,)") + b"\0" * 16)), ("intact .npz",)),
    "npz, a shape of 8 TB": ("a.npz", zipped(("f.npy", npy_head("(1000000000000,)") + b"\0" * 16)), ("intact .npz",)),
    "npz, a shape beyond all": ("a.npz", zipped(("f.npy", npy_head(f"({'9' * 30},)") + b"\0" * 16)), ()),
    "no suffix": ("sheet", f"f,{F}", ("a sheet is a file ending in .json, .csv, .npz",)),
    # Too much.
    "json, a text of 1 MB": ("a.json", f'{{"f": ["{LONG}"]}}', ("line 1",)),
    "csv, a text of 100 KB": ("a.csv", f"f,{LONG[:100_000]}", ("line 1",)),
    "csv, a number of 100 KB": ("a.csv", f"f,{'1' * 100_000}", ("line 1", "too long for a number")),
}


def refused(path: Path, *parts: str, told: int = TOLD) -> str:
    """Return the sentence that a file gets."""
    with pytest.raises(gw.FileError) as problem:
        gw.check(path, CHAIN)
    one_sentence(problem.value, *parts)
    text = str(problem.value)
    assert path.name in text
    assert len(text) - len(str(path)) <= told, f"{len(text)} characters: {text[:200]}"
    return text


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_sheet_gets_one_short_sentence(what, tmp_path):
    name, content, parts = BAD[what]
    refused(saved(tmp_path, name, content), *parts)


@pytest.mark.parametrize("what", FAULTY)
def test_a_name_or_a_size_that_is_none_costs_its_line(what, tmp_path):
    name, content, parts = FAULTY[what]
    (fault,) = gw.check(saved(tmp_path, name, content), CHAIN).faults
    one_sentence(gw.FileError(str(fault)), *parts)
    assert len(str(fault)) <= TOLD


def test_a_folder_a_missing_file_and_a_pipe_get_one_sentence(tmp_path):
    (tmp_path / "a.csv").mkdir()
    refused(tmp_path / "a.csv", "it is a folder")
    refused(tmp_path / "b.csv", "there is no such file")
    os.mkfifo(tmp_path / "c.csv")
    refused(tmp_path / "c.csv", "not an ordinary file")


def test_an_archive_that_ends_anywhere_or_is_spoilt_anywhere_reads_or_gets_one_sentence(tmp_path):
    rng = np.random.default_rng(0)
    for cut in range(0, len(GOOD), 7):
        refused(saved(tmp_path, "a.npz", GOOD[:cut]))
    for content in (GOOD, *PACKED.values()):
        for _ in range(150):
            places = rng.integers(len(content), size=int(rng.integers(1, 20)))
            spoilt = changed(content, *((int(at), int(rng.integers(256))) for at in places))
            path = saved(tmp_path, "a.npz", spoilt)
            try:
                gw.check(path, CHAIN)
            except gw.FileError as fault:
                one_sentence(fault)


def test_nothing_in_a_file_is_executed(tmp_path):
    trace = tmp_path / "executed"
    payload = pickle.dumps(Calls(Path.touch, trace))
    pickle.loads(payload)
    assert trace.exists()
    trace.unlink()
    objects = as_npz(f=np.array([Calls(Path.touch, trace), 1], dtype=object))
    for content in (
        objects,
        payload,
        zipped(("f.npy", npy_head("(2,)", "'|O'") + payload)),
        zipped(("f.npy", payload)),
        zipped(("f", payload)),
    ):
        refused(saved(tmp_path, "a.npz", content))
        assert not trace.exists()


def test_what_is_large_packed_or_not_is_refused_before_it_is_read(tmp_path):
    for suffix in ("csv", "json", "npz"):
        path = tmp_path / f"a.{suffix}"
        with open(path, "wb") as file:
            file.truncate(100_000_000)
        refused(path, "at most")
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("f.npy", "w", force_zip64=True) as file,
    ):
        file.write(npy_head("(33554432,)"))
        for _ in range(64):
            file.write(bytes(1 << 22))
    assert path.stat().st_size < 10_000_000
    refused(path, "uncompressed", "at most")
    content = path.read_bytes()
    entry = content.rfind(b"PK\x01\x02")
    liar = content[: entry + 24] + struct.pack("<I", 1000) + content[entry + 28 :]
    refused(saved(tmp_path, "liar.npz", liar), "not an intact .npz file")


more = settings(max_examples=max(30, settings.default.max_examples))


@pytest.mark.thorough
@more
@given(text=st.text())
def test_any_text_as_json_reads_or_gets_one_sentence(text, tmp_path_factory):
    reads_or_not(tmp_path_factory.getbasetemp() / "any.json", text)


@more
@given(text=st.text(alphabet="fcho_,;\n\r\"'#0123456789.eE+- \t\0é[]()=:|%^*t") | st.text())
def test_any_text_as_csv_reads_or_gets_one_sentence(text, tmp_path_factory):
    reads_or_not(tmp_path_factory.getbasetemp() / "any.csv", text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=12,
)
NAMES = st.sampled_from([*list(KEY)[:14], "dW_f", "answers", "forget_gate"]) | st.text(max_size=4)


@more
@given(data=st.dictionaries(NAMES, VALUES, max_size=4) | VALUES)
def test_any_json_reads_or_gets_one_sentence(data, tmp_path_factory):
    reads_or_not(tmp_path_factory.getbasetemp() / "data.json", json.dumps(data))


def reads_or_not(path: Path, text: str) -> None:
    try:
        found = sheet.read(saved(path.parent, path.name, text))
    except gw.FileError as fault:
        one_sentence(fault)
        return
    assert found.answers
    for answer in found.answers.values():
        assert not np.isinf(answer.values).any()
        assert answer.values.shape == answer.tolerance.shape
    try:
        str(gw.check(found, CHAIN))
    except gw.FileError as fault:
        one_sentence(fault)


# Answers as arrays.


NONE = {
    "text": {"f": ["half", 1]},
    "ragged": {"f": [1, [2]]},
    "complex": {"f": np.array([1j, 1])},
    "infinite": {"f": [np.inf, 1]},
    "too large": {"f": [10**400, 1]},
    "an object": {"f": object()},
    "a dictionary": {"f": {"a": 1}},
    "dates": {"f": np.array(["2020", "2021"], "M8[D]")},
    **{f"not a mapping: {answers!r}": answers for answers in (None, 5, [1, 2], b"sheet.csv")},
}


@pytest.mark.parametrize("answers", [{"f": [1, 2, 3]}, {"ff": [1, 2]}, {"f": [1, 2], "forget_gate": [1, 2]}])
def test_an_answer_of_another_name_or_size_is_a_fault(answers):
    (fault,) = gw.check(answers, STEP).faults
    assert repr(next(reversed(answers))) in fault.says


@pytest.mark.parametrize("answers", NONE.values(), ids=NONE)
def test_answers_that_are_none_get_one_sentence(answers):
    with refusal(*map(repr, answers if isinstance(answers, dict) else ()), by=gw.GatewiseError):
        gw.check(answers, STEP)


@pytest.mark.parametrize("digits", [-400, "4", 1.5])
def test_digits_that_are_none_get_one_sentence(digits):
    with refusal("digits", by=gw.GatewiseError):
        gw.check({"f": [0.4934, 0.4975]}, STEP, digits=digits)


def test_whole_numbers_in_an_array_have_no_decimals():
    assert (
        gw.check({"f": [1, 1]}, STEP).verdicts[0].status == gw.check({"f": [1, 1]}, STEP, digits=0).verdicts[0].status
    )
