"""README and CONTRIBUTING are true: commands run, the tree is the package's. (Consoles and Python: see test_pages.)"""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
from program import exit_code

from gatewise.cli import app
from gatewise.interop import onnx, torch

ROOT = Path(__file__).parent.parent
README, CONTRIBUTING = ROOT / "README.md", ROOT / "CONTRIBUTING.md"
PAGES = [README, *(ROOT / "docs").glob("*.md")]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def shell(*pages: Path) -> list[str]:
    return [line for page in pages for body in blocks(page, "sh") for line in body.splitlines() if line]


def test_every_command_of_readme_and_guide_runs(tmp_path, monkeypatch, capsys):
    import gatewise as gw

    monkeypatch.chdir(tmp_path)
    table = np.random.default_rng(0).normal(size=(50, 3))
    np.savetxt("rain.csv", table, delimiter=",", header="rain,snow,wind", comments="")
    gw.save(gw.LSTM(3, 4, num_layers=2, bidirectional=True, rng=0), "my.safetensors")
    Path("roster.csv").write_text("student\nAda\nGrace\n", encoding="utf-8")
    lstm = gw.LSTM(3, 4, rng=0)
    onnx.write(lstm, "model.onnx")
    torch.write(lstm, "model.pt")
    np.save("input.npy", table)
    np.savetxt("x.csv", table, delimiter=",")
    np.savez("answers.npz", x=table, y=lstm(table)[0])
    lines = [line for line in shell(README, ROOT / "docs" / "walking.md") if line.startswith("gatewise ")]
    assert len(lines) > 10
    for line in lines:
        tokens = shlex.split(line, comments=True)[1:]
        assert exit_code(tokens) == 0, line
        shown = capsys.readouterr().out
        assert shown or {"--output", "-o"} & set(tokens), line


def test_the_commands_of_the_first_page_of_the_site_are_understood():
    table = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| [^|]+ \| `(gatewise .*?)` \|", table, re.MULTILINE)
    assert len(lines) > 10
    for line in lines:
        app.parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)


def test_the_extras_of_readme_are_those_of_the_project_and_all_brings_them():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    ours = [name for name in extras if name not in ("tests", "docs", "lint", "peers")]
    (listing,) = re.findall(r"^\| extra.*?\n\n", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    named = re.findall(r"^\| `(\w+)` \|", listing, re.MULTILINE)
    assert sorted(named) == sorted(ours)
    brought = re.search(r"gatewise\[(.*?)\]", extras["all"][0])
    assert {*brought[1].split(","), "all"} == {*ours}


def test_the_tree_of_the_layout_has_one_line_for_each_package_and_module():
    tree = next(body for body in blocks(CONTRIBUTING, "") if "├──" in body)
    named = re.findall(r"[├└]── ([\w.]+/?)\s+\S", tree)
    there = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in (ROOT / "src" / "gatewise").iterdir()
        if not path.name.startswith("_") and path.name != "py.typed" and path.suffix != ".so"
    }
    assert len(named) == len(set(named))
    assert set(named) == there


def test_the_tree_stands_in_the_order_of_the_contract():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    order = [name for line in contracts[0]["layers"] for name in line.split(" | ")]
    tree = next(body for body in blocks(CONTRIBUTING, "") if "├──" in body)
    assert [name.removesuffix(".py").rstrip("/") for name in re.findall(r"[├└]── ([\w.]+/?)", tree)] == order


def test_the_readme_and_the_documentation_are_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 110
    words = {page.name: len(page.read_text(encoding="utf-8").split()) for page in PAGES}
    assert sum(words.values()) <= 19_400, words


def test_no_page_and_no_message_tells_to_install_gatewise_from_an_index():
    pages = (README, CONTRIBUTING, *(ROOT / "docs").glob("*.md"), *(ROOT / "bench").glob("*.md"))
    for page in (*pages, *(ROOT / "src").rglob("*.py")):
        assert not re.search(r"pip install (-\w+ )*['\"]?gatewise", page.read_text(encoding="utf-8")), page
        assert "gatewise[" not in page.read_text(encoding="utf-8"), page


def test_the_two_commands_of_the_readme_are_the_ones_that_ci_runs():
    commands = blocks(README, "sh")[0].splitlines()
    assert len(commands) == 2
    assert commands[0].endswith("gatewise walk")
    assert f"'{commands[1]}'" in (ROOT / ".ci" / "tests").read_text(encoding="utf-8")


def test_the_changelog_is_a_short_list_of_releases_the_newest_of_which_is_this_one():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert re.findall(r"^## ([\w.]+)", text, re.MULTILINE)[0] == project["version"]
    assert len(text.splitlines()) < 100
    longest = max(map(len, text.splitlines()))
    assert longest <= 120  # longer ones are of before 0.1.0, and came back by a merge: delete them
