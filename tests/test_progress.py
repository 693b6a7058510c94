"""How long work is shown: once it has taken a while, at once where that is expected, and as one bar."""

from __future__ import annotations

import sys

from gatewise import progress


class Terminal:
    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return True


def on_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", found := Terminal())
    return found


def test_work_that_is_soon_done_is_not_shown(monkeypatch):
    terminal = on_terminal(monkeypatch)
    with progress.working("adding", 2) as done:
        done(1)
        done(1)
    with progress.working("tracing", None, expected=0.5):
        pass
    assert not terminal.text


def test_work_of_a_thread_that_is_one_of_many_is_not_shown(monkeypatch):
    terminal = on_terminal(monkeypatch)
    with progress.unshown(), progress.working("adding", 2, expected=60) as done:
        done(2)
    assert not terminal.text


def test_long_work_is_shown_with_what_is_within_it(monkeypatch):
    terminal = on_terminal(monkeypatch)
    with progress.working("tracing", None, expected=2.0):
        monkeypatch.setattr(progress, "PATIENCE", 0.0)
        with progress.working("adding", 4) as done:
            done(3)
        assert len(progress._shown) == 1
    assert "tracing" in terminal.text
    assert "adding" in terminal.text
    assert not progress._shown


def test_work_on_things_is_shown_from_the_beginning_where_there_are_many(monkeypatch):
    terminal = on_terminal(monkeypatch)
    with progress.working_through("marking", 30) as done:
        done(30)
    assert not terminal.text
    with progress.working_through("marking", 31) as done:
        assert "marking" in terminal.text
        done(31)


def test_nothing_is_shown_where_nobody_looks(capsys):
    with progress.working("tracing", None, expected=9.0) as done:
        done(1)
    assert capsys.readouterr() == ("", "")
