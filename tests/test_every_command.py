"""Laws of every command, on every option and output that the program lists."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from every_command import CALLS, arguments, put_files, takes_files, uncovered
from program import exit_code

from gatewise.cli import COMMANDS
from gatewise.files import protecting

HUGE = ("99999999999999999999", "9223372036854775807", "-9223372036854775809", "9" * 5000, "0:99999999999999999999")


@pytest.fixture
def files(here):
    put_files(here)
    return here


def test_every_command_is_called_with_a_file_for_each_option_that_takes_one(files):
    assert uncovered() == {}


@pytest.mark.subjects(1)
@pytest.mark.parametrize("call", [call for call in CALLS if len(call.outputs) > 1], ids=str)
def test_every_output_of_a_command_is_written(call, files, capsys):
    for output in call.outputs:
        assert exit_code([*call.line, "-o", output]) in (0, 1), capsys.readouterr().err
        assert (files / output).exists()


@pytest.mark.parametrize("values", [HUGE[:1], pytest.param(HUGE, marks=pytest.mark.peers)], ids=len)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_number_that_no_machine_has_is_refused_in_one_sentence_by_every_option(command, values, files, capsys):
    """The peers give every option to every call of its command; README's tests give it to one, in turn."""
    for place, argument in enumerate(arguments(command)):
        of_words = any(kind in str(argument.hint) for kind in ("Path", "bool", "Literal"))
        if of_words or takes_files(argument) or argument.index is not None:
            continue
        calls = [call for call in CALLS if call.command == command and argument.name not in call.line]
        if values != HUGE and calls:
            calls = [calls[place % len(calls)]]
        for number, call in enumerate(calls):
            output = ("-o", f"{number}{Path(call.outputs[0]).suffix}") if call.outputs else ()
            for value in values:
                code = exit_code([*call.line, argument.name, value, *output])
                text = capsys.readouterr().err
                assert code in (0, 1, 2), text
                assert code < 2 or (text.startswith("gatewise: ") and text.count("\n") == 1 and len(text) < 550), text


# Nothing that is read is replaced.


def assert_refused(line: list[str], output: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Assert that a command does not write an output, and changes nothing."""
    before = contents(Path())
    assert exit_code([*line, "-o", output]) == 2, output
    assert "read; give the output another name" in capsys.readouterr().err
    assert contents(Path()) == before, output


def thoroughly_for_peers() -> Iterator[Any]:
    """Yield each call that replaces files: once for some links, and once for all of them among the peers."""
    for call in CALLS:
        if call.outputs and call.command != "exercise":
            yield pytest.param(call, False, id=str(call))
            yield pytest.param(call, True, id=f"{call}, every link", marks=pytest.mark.peers)


@pytest.mark.parametrize(("call", "thorough"), [*thoroughly_for_peers()])
def test_no_command_replaces_a_file_that_it_reads(call, thorough, files, capsys):
    suffixes = [*dict.fromkeys(Path(output).suffix for output in call.outputs)]
    sources = [Path(name) for name in dict.fromkeys(call.inputs())]
    if call.command == "report" and not thorough:  # takes a second, and remembers all that it reads alike
        sources = sources[-1:]
    for number, source in enumerate(sources):
        if source.suffix in suffixes:
            assert_refused(call.line, source.name, capsys)
        suffix = suffixes[number % len(suffixes)]
        links = {"soft": os.symlink, "hard": os.link}
        for name in links if thorough else [*links][number % 2 :: 2]:
            links[name](source.resolve(), f"{name}-{source.name}{suffix}")
            assert_refused(call.line, f"{name}-{source.name}{suffix}", capsys)


def test_a_file_is_the_same_by_whatever_name(files, capsys):
    line = ["walk", "--given", "g.json"]
    os.mkdir("there")
    os.symlink("../g.json", "there/soft.json")
    os.symlink("there/soft.json", "two.json")
    for output in ("./there/../g.json", str(files / "g.json"), "there/soft.json", "two.json"):
        assert_refused(line, output, capsys)
    for given in ("./g.json", "there/soft.json", "two.json"):
        assert_refused(["walk", "--given", given], "g.json", capsys)


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_link_that_leads_back_to_itself_is_called_one(call, files, capsys):
    line = [*call.line, *(["-o", call.outputs[-1]] if call.outputs else [])]
    for name in dict.fromkeys([*call.inputs(), *call.outputs[-1:]]):
        loop = f"loop-{name}"
        os.symlink(loop, loop)
        assert exit_code([loop if word == name else word for word in line]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"{loop}: it is a symbolic link that leads back to itself" in error


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no such folder there")
def test_the_file_of_a_descriptor_is_the_file(files, capsys):
    with open("g.json", "rb") as file:
        assert_refused(["walk", "--given", "g.json", "--format", "json"], f"/proc/self/fd/{file.fileno()}", capsys)


def test_marks_do_not_replace_the_points_that_they_were_made_with(files, capsys):
    os.rename("points.csv", "week/marks.csv")
    before = Path("week/marks.csv").read_bytes()
    assert exit_code(["check", "week", "--weights", "week/marks.csv"]) == 2
    assert "marks.csv: this file is read; give the output another name" in capsys.readouterr().err
    assert Path("week/marks.csv").read_bytes() == before


def test_a_file_that_an_earlier_command_wrote_is_replaced_by_the_next_one(files, capsys):
    for _ in range(2):
        assert exit_code(["convert", "net.safetensors", "k.onnx"]) == 0
        assert exit_code(["inspect", "k.onnx"]) == 0
    assert exit_code(["convert", "k.onnx", "k.onnx"]) == 2


class Opened:
    """The names of files that are opened for reading, as Python tells them; its hooks stay for ever."""

    names: set[str] | None = None

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and self.names is not None and isinstance(arguments[0], (str, os.PathLike)):
            writes = int(arguments[2]) & (os.O_WRONLY | os.O_RDWR)  # type: ignore[call-overload]
            self.names |= set() if writes else {os.path.realpath(arguments[0])}


opened = Opened()
sys.addaudithook(opened)


@pytest.mark.subjects(1)
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_every_file_of_a_person_s_that_a_command_opens_counts_as_read(call, files, monkeypatch):
    there, read, remember = {str(path) for path in contents(files)}, set[str](), protecting._remember

    def remember_too(path, status, *, ours):
        read.update([] if ours else [os.path.realpath(path)])
        remember(path, status, ours=ours)

    monkeypatch.setattr(protecting, "_remember", remember_too)
    monkeypatch.setattr(opened, "names", set())
    assert exit_code([*call.line, *(["-o", call.outputs[-1]] if call.outputs else [])]) in (0, 1)
    assert opened.names & there <= read
    assert {os.path.realpath(name) for name in call.inputs()} <= read


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
