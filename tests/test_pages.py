"""What README and the pages of docs show is what a person sees: their consoles and their Python are run, from top to
bottom, and the code that they quote is in the files that they name.
"""

from __future__ import annotations

import doctest
import re
import shlex
from itertools import groupby
from pathlib import Path

import pytest
from program import exit_code

import gatewise as gw

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN = [page for page in PAGES if page.stem not in ("formats", "hydrology", "scale", "see")]  # see test_*_page.py


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


@pytest.mark.parametrize("page", [page for page in RUN if commands(page)], ids=lambda page: page.stem)
def test_what_a_page_shows_a_command_to_print_is_what_it_prints(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    hold_commands(page, capsys)


def hold_commands(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a page's commands, and hold what they print against what the page shows."""
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


class AnyMachine(doctest.OutputChecker):
    """What an engine says of its kernels and threads depends on the machine, as does whether there is a native one."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        if "Engine(name='native', available=False" in got:
            want, got = (re.sub(r"Engine\(name='native'.*", "", text) for text in (want, got))
        want, got = (re.sub(r"(kernels?|threads)=(\(.*?\)|[\w']+)", r"\1=", text) for text in (want, got))
        return super().check_output(want, got, optionflags)


def python(page: Path) -> doctest.DocTest:
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page.name, page.name, 0)


@pytest.mark.parametrize("page", [page for page in RUN if python(page).examples], ids=lambda page: page.stem)
def test_the_python_of_a_page_is_true(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWISE_KERNEL", raising=False)
    native = gw.engines()[0]
    if page.stem == "engines" and not native.available:
        pytest.skip(native.why_not)
    result = doctest.DocTestRunner(AnyMachine(), optionflags=doctest.NORMALIZE_WHITESPACE).run(python(page))
    gw.set_num_threads(native.threads)
    assert result.attempted > 5
    assert result.failed == 0


def quotes(page: Path) -> list[tuple[Path, str]]:
    """Return the code in the columns of a page's tables whose heads link to a source file, each with its file."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", page.read_text(encoding="utf-8"), re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines())
        for place, title in enumerate(head):
            if link := re.search(r"\]\(([^)]+\.(?:py|cpp|hpp))\)", title):
                found += [(page.parent / link[1], row[place].strip("`")) for row in rows]
    return found


def test_the_equations_that_a_page_quotes_are_in_the_files_that_it_names():
    found = [quote for page in PAGES for quote in quotes(page)]
    assert len(found) >= 12
    for path, code in found:
        assert code in path.read_text(encoding="utf-8"), f"{path.name} does not say: {code}"


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
