"""Laws of every command, on every option and output that the program lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from every_command import CALLS, arguments, put_files, takes_files, uncovered
from program import exit_code

from gatewise.cli import COMMANDS

HUGE = ("99999999999999999999", "9223372036854775807", "-9223372036854775809", "9" * 5000, "0:99999999999999999999")


@pytest.fixture
def files(here):
    put_files(here)
    return here


def test_every_command_is_called_with_a_file_for_each_option_that_takes_one(files):
    assert uncovered() == {}


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_every_call_of_a_command_is_answered(call, files, capsys):
    for output in call.outputs or (None,):
        line = call.line if output is None else [*call.line, "-o", output]
        assert exit_code(line) in (0, 1), capsys.readouterr().err
        assert output is None or (files / output).exists()


@pytest.mark.parametrize("values", [HUGE[:1], pytest.param(HUGE[1:], marks=pytest.mark.peers)], ids=len)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_number_that_no_machine_has_is_refused_in_one_sentence_by_every_option(command, values, files, capsys):
    for number, call in enumerate(CALLS):
        output = ("-o", f"{number}{Path(call.outputs[0]).suffix}") if call.outputs else ()
        for argument in arguments(command) if call.command == command else ():
            of_words = any(kind in str(argument.hint) for kind in ("Path", "bool", "Literal"))
            if of_words or takes_files(argument) or argument.index is not None or argument.name in call.line:
                continue
            for value in values:
                code = exit_code([*call.line, argument.name, value, *output])
                text = capsys.readouterr().err
                assert code in (0, 1, 2), text
                assert code < 2 or (text.startswith("gatewise: ") and text.count("\n") == 1 and len(text) < 550), text
