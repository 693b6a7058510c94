"""What README and the pages of docs show is what a person sees: their consoles are run, from top to bottom."""

from __future__ import annotations

import re
import shlex
from itertools import groupby
from pathlib import Path

import pytest
from program import exit_code

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """Return the commands of a page's consoles, each with the lines it is shown to print."""
    found: list[tuple[str, list[str]]] = []
    for body in re.findall(r"^```console\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in body.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def run(command: str, shown: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run a command of a page; `cat` of a file that is not there yet writes what it is shown to hold."""
    program, *tokens = shlex.split(command)
    if program == "cat":
        path = Path(tokens[0])
        if not path.exists():
            path.write_text("\n".join(shown) + "\n", encoding="utf-8")
        return path.read_text(encoding="utf-8").splitlines()
    assert program == "gatewise", command
    code = exit_code(tokens)
    assert code == 0 or (tokens[0] == "check" and code == 1), capsys.readouterr().err
    return capsys.readouterr().out.rstrip("\n").splitlines()


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_what_a_page_shows_a_command_to_print_is_what_it_prints(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command, shown in commands(page):
        printed = run(command, shown, capsys)
        place, dots = 0, False
        for is_dots, group in groupby(shown, lambda line: line == "..."):
            lines = list(group)
            if is_dots:
                dots = True
                continue
            starts = [n for n in range(place, len(printed)) if printed[n : n + len(lines)] == lines]
            assert starts, f"{command}: not printed in this order: {lines[0]}"
            assert dots or starts[0] == place, f"{command}: something is printed before {lines[0]}, and no dots say so"
            place, dots = starts[0] + len(lines), False
        assert dots or place == len(printed), f"{command}: something is printed after the last line shown"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_of_a_page_leads_somewhere(page):
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)]+)\)", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif "://" not in target:
            assert (page.parent / target.partition("#")[0]).exists(), target
