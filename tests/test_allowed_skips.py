"""A strict session fails on a skip that is not on the list, and says which."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

pytest_plugins = ["pytester"]

HERE = Path(__file__).parent
SKIPS = {
    "in the test": "def test_it():\n    pytest.skip('not today')",
    "by a mark": "@pytest.mark.skip(reason='not today')\ndef test_it():\n    pass",
    "by a condition": "@pytest.mark.skipif(True, reason='not today')\ndef test_it():\n    pass",
    "in a fixture": "@pytest.fixture\ndef one():\n    pytest.skip('not today')\n\ndef test_it(one):\n    pass",
    "a whole module": "pytest.skip('not today', allow_module_level=True)",
}


@pytest.fixture
def session(pytester, monkeypatch):
    """Return a function that runs a module of tests under this project's conftest, with a list of allowed skips."""

    def run(module, allowed="", *, strict=True, arguments=()):
        monkeypatch.setenv("GATEWISE_STRICT", "1" if strict else "0")
        pytester.makeconftest((HERE / "conftest.py").read_text(encoding="utf-8"))
        (pytester.path / "allowed_skips.txt").write_text(allowed, encoding="utf-8")
        pytester.makepyfile(test_one=f"import pytest\n\n{module}\n", test_other="def test_other():\n    pass\n")
        return pytester.runpytest(*arguments)

    return run


@pytest.mark.parametrize("skip", SKIPS.values(), ids=SKIPS)
def test_a_skip_passes_if_it_is_on_the_list_and_else_fails_a_strict_session_and_is_named(session, skip):
    result = session(skip, allowed="test_one.py*: another reason | it is the wrong one\n")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*skipped without permission*", "test_one.py*: not today"])
    result = session(skip, allowed="# a comment\n\ntest_one.py*: not * | a good reason\n")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*without permission*")
    assert session(skip, strict=False).ret == pytest.ExitCode.OK


def test_a_session_that_skipped_all_it_had_fails(session):
    result = session(SKIPS["a whole module"], arguments=["test_one.py"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_an_expected_failure_is_no_skip(session):
    assert session("@pytest.mark.xfail\ndef test_it():\n    raise ValueError").ret == pytest.ExitCode.OK


@pytest.mark.parametrize("line", ["test_one.py*", "test_one.py* |", "| because"])
def test_a_line_without_a_pattern_or_a_reason_is_refused(session, line):
    result = session("", allowed=line)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*write 'pattern | reason', not '{line}'*"])


def test_examples_are_the_same_every_time_and_have_no_deadline():
    settings = hypothesis.settings()
    assert (settings.derandomize, settings.deadline, settings.database) == (True, None, None)


@pytest.mark.parametrize(("asked", "skips"), {"not peers and not referees": 0, "referees": 0, "peers": 1}.items())
def test_a_peer_that_is_missing_is_a_skip_only_where_peers_are_asked_for(session, pytester, asked, skips):
    (pytester.mkdir("peers") / "test_peer.py").write_text("import pytest\n\npytest.importorskip('no_such_peer')\n")
    hooks = (HERE / "peers" / "conftest.py").read_text(encoding="utf-8")
    (pytester.path / "peers" / "conftest.py").write_text(hooks, encoding="utf-8")
    module = "@pytest.mark.peers\n@pytest.mark.referees\ndef test_it():\n    pass"
    session(module, strict=False, arguments=["-m", asked]).assert_outcomes(skipped=skips, passed=1, deselected=1)
