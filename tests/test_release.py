"""What a release needs: one version everywhere, and workflows that run the steps of .ci/run with few rights."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
STEPS = {path.name for path in (ROOT / ".ci").iterdir() if path.is_file()} - {"run", "common"}
WRITES = {  # the rights to write that a job may have, beside reading the contents
    ("release", "publish"): {"id-token", "attestations"},
    ("release", "tag"): {"contents"},
    ("docs", "publish"): {"pages", "id-token"},
}


def jobs_of(path: Path) -> dict[str, dict]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]


def called_steps(path: Path) -> list[str]:
    return re.findall(r"\bbash \.ci/([\w-]+)", path.read_text(encoding="utf-8"))


def test_one_version_and_one_licence_are_in_every_file_that_states_them():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])


def test_ci_runs_every_step_and_the_workflow_of_the_tests_runs_them_in_the_same_order():
    steps = called_steps(ROOT / ".ci" / "run")
    steps.remove("run")
    assert {*steps, *called_steps(ROOT / ".ci" / "packages"), *called_steps(ROOT / ".ci" / "peers")} == STEPS
    everything = [step.get("run", "") for step in jobs_of(ROOT / ".github/workflows/tests.yml")["everything"]["steps"]]
    in_workflow = [match[1] for run in everything if (match := re.search(r"bash \.ci/([\w-]+)", run))]
    assert in_workflow == [step for step in steps if step != "peers-packages"]  # which comes with the peers there


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_pins_what_it_uses_calls_what_is_there_and_has_no_right_that_it_does_not_need(path):
    text = path.read_text(encoding="utf-8")
    uses = re.findall(r"uses: (\S+)(.*)", text)
    for action, comment in uses:
        if action.startswith("./"):
            assert (ROOT / action).is_file()
        else:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" +# v\d+\.\d+\.\d+", comment), action
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")
    assert {*called_steps(path)} <= STEPS
    assert yaml.safe_load(text)["permissions"] == {}
    for name, job in jobs_of(path).items():
        rights = dict(job["permissions"])
        written = {right for right, access in rights.items() if access == "write"}
        assert written == WRITES.get((path.stem, name), set()), name
        assert rights.items() - {(right, "write") for right in written} <= {("contents", "read")}


def test_an_action_has_one_commit_in_all_workflows():
    pins = {pin for path in WORKFLOWS for pin in re.findall(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40})", path.read_text())}
    assert len(pins) == len({action for action, _ in pins}) > 5
