"""What README and the pages of docs show is what a person sees: their consoles and their Python are run, from top to
bottom, and the code that they quote is in the files that they name.
"""

from __future__ import annotations

import doctest
import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import hydrology
import numpy as np
import pytest
from program import exit_code

import gatewise as gw
from gatewise.examples import latch
from gatewise.interop import torch

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Setting:
    """The needs of a page, and the pictures that its Python draws.

    Attributes
    ----------
    packages : tuple of str
    models : tuple of str
        Files of packages that ship trained models, each with its package; they are copied beside the page's own files.
    prepare : callable or None
        Writes files of ours into a folder.
    pictures : str
        A pattern of the pictures in `docs/` that the page shows.
    peers : bool
        Whether it takes the heavy packages of the peers' tests.
    """

    packages: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    prepare: Callable[[Path], None] | None = None
    pictures: str = ""
    peers: bool = False


def copy_lesson(folder: Path) -> None:
    """Write the lesson of one's own that is an example, the answers to check, and a roster."""
    for name in ("accumulator.json", "answers.csv", "roster.csv"):
        shutil.copy(ROOT / "docs" / "lesson" / name, folder)


def write_holder(folder: Path) -> None:
    """Write a model that holds a bit until it is released, and an input with a bit every eight steps."""
    torch.write(gw.LSTM.from_cells(latch().cell), folder / "model.pt")
    bits = np.zeros((40, 3))
    bits[:, 0] = np.random.default_rng(0).choice([-1.0, 1.0], 40)
    bits[::8, 1] = bits[6::8, 2] = 1
    np.savetxt(folder / "x.csv", bits, delimiter=",", header="bit,write,release", comments="", fmt="%g")


def write_amplifier(folder: Path) -> None:
    """Write a model of an amplifier with a knob, as Automated-GuitarAmpModelling does."""
    rng = np.random.default_rng(0)
    shapes = {"rec.weight_ih_l0": (32, 2), "rec.weight_hh_l0": (32, 8), "rec.bias_ih_l0": 32, "rec.bias_hh_l0": 32}
    shapes |= {"lin.weight": (1, 8), "lin.bias": 1}
    document = {
        "model_data": {"model": "SimpleRNN", "unit_type": "LSTM", "input_size": 2, "hidden_size": 8, "skip": 1},
        "state_dict": {name: rng.normal(0, 0.4, shape).astype(np.float32).tolist() for name, shape in shapes.items()},
    }
    (folder / "amp.json").write_text(json.dumps(document), encoding="utf-8")


SETTINGS = {
    "audio": Setting(prepare=write_amplifier),
    "comparison": Setting(packages=("torch", "captum"), peers=True),
    "README": Setting(prepare=write_holder),
    "formats": Setting(
        packages=("matplotlib", "onnxruntime"),
        models=("silero_vad/data/silero_vad_16k_sequence.onnx", "silero_vad/data/silero_vad.jit"),
        pictures="forget_gates.png",
        peers=True,
    ),
    "hydrology": Setting(packages=("matplotlib", "yaml"), prepare=hydrology.make_example, pictures="hydrology.png"),
    "scale": Setting(packages=("distributed", "zarr"), peers=True),
    "teaching": Setting(prepare=copy_lesson),
    "see": Setting(
        packages=("matplotlib", "onnxruntime"),
        models=(
            "textgenrnn/textgenrnn_weights.hdf5",
            "textgenrnn/textgenrnn_vocab.json",
            "silero_vad/data/silero_vad_16k_sequence.onnx",
        ),
        pictures="see/*.png",
        peers=True,
    ),
}


BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the blocks of Python and of commands on a page, from top to bottom, each with its language."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def pages_with_blocks() -> list[object]:
    """Return the pages to run as parameters; those that take heavy packages are marked as peers' tests."""
    peers = {page: [pytest.mark.peers] if SETTINGS.get(page.stem, Setting()).peers else [] for page in PAGES}
    return [pytest.param(page, marks=marks, id=page.stem) for page, marks in peers.items() if blocks(page)]


@pytest.fixture
def folder(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder in which a page's blocks run, with the files that they need."""
    setting = SETTINGS.get(page.stem, Setting())
    for package in setting.packages:
        pytest.importorskip(package)
    for model in setting.models:
        package, _, file = model.partition("/")
        spec = find_spec(package)
        if spec is None:
            pytest.skip(f"could not import '{package}'")
        shutil.copy(Path(spec.submodule_search_locations[0]) / file, tmp_path)
    native = gw.engines()[0]
    if page.stem == "engines" and not native.available:
        pytest.skip(native.why_not)
    if setting.prepare is not None:
        setting.prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWISE_KERNEL", raising=False)
    if "matplotlib" in setting.packages:
        import matplotlib

        matplotlib.use("agg")
    yield tmp_path
    gw.set_num_threads(native.threads)
    if "matplotlib" in setting.packages:
        import matplotlib.pyplot

        matplotlib.pyplot.close("all")


def commands(console: str) -> list[tuple[str, list[str]]]:
    """Return the commands of a block, each with the lines it is shown to print."""
    entries: list[tuple[str, list[str]]] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            entries.append((line[2:], []))
        else:
            entries[-1][1].append(line)
    return entries


def run(command: str, shown: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run a command of a page; `cat` of a file that is not there yet writes what it is shown to hold."""
    program, *tokens = shlex.split(command)
    if program == "cat":
        path = Path(tokens[0])
        if not path.exists():
            path.write_text("\n".join(shown) + "\n", encoding="utf-8")
        return path.read_text(encoding="utf-8").splitlines()
    assert program == "gatewise", command
    capsys.readouterr()
    code = exit_code(tokens)
    assert code == 0 or (tokens[0] == "check" and code == 1), capsys.readouterr().err
    return capsys.readouterr().out.rstrip("\n").splitlines()


def hold_lines(command: str, shown: list[str], printed: list[str]) -> None:
    """Hold the printed lines against those that a page shows, where a line of dots stands for any lines."""
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


def cats() -> list[object]:
    """Return the files that a page shows, each as a parameter: its name and content, from top to bottom of the page."""
    shown = [
        (page, shlex.split(command)[1], lines)
        for page in PAGES
        for language, text in blocks(page)
        if language == "console"
        for command, lines in commands(text)
        if command.startswith("cat ")
    ]
    return [pytest.param(name, lines, id=f"{page.stem}-{name}") for page, name, lines in shown]


@pytest.mark.parametrize(("name", "lines"), cats())
def test_every_file_that_a_page_shows_lies_in_the_lesson_s_folder(name, lines):
    """What students hand in lies in its `answers`, as the folder of an exercise must be new."""
    path = ROOT / "docs" / "lesson" / name.replace("homework/", "")
    assert path.read_bytes() == "".join(f"{line}\n" for line in lines).encode()


class AnyMachine(doctest.OutputChecker):
    """What an engine says of its kernels and threads depends on the machine, as does whether there is a native one."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        if "Engine(name='native', available=False" in got:
            want, got = (re.sub(r"Engine\(name='native'.*", "", text) for text in (want, got))
        want, got = (re.sub(r"(kernels?|threads)=(\(.*?\)|[\w']+)", r"\1=", text) for text in (want, got))
        return super().check_output(want, got, optionflags)


@pytest.mark.parametrize("page", pages_with_blocks())
def test_what_a_page_shows_is_what_a_person_sees(page, folder, capsys):
    """Its Python and its commands run in the order of the page, in one folder; what one writes, the next may read."""
    names: dict[str, object] = {}
    runner = doctest.DocTestRunner(AnyMachine(), optionflags=doctest.NORMALIZE_WHITESPACE)
    failures: list[str] = []
    for language, text in blocks(page):
        if language == "python":
            examples = doctest.DocTestParser().get_doctest(text, names, page.name, page.name, 0)
            runner.run(examples, out=failures.append, clear_globs=False)
            assert not failures, "".join(failures)
            names = examples.globs
        else:
            for command, shown in commands(text):
                hold_lines(command, shown, run(command, shown, capsys))
    hold_pictures(page, folder)


def hold_pictures(page: Path, folder: Path) -> None:
    """Hold the pictures that a page's Python drew against those that the page shows."""
    pattern = SETTINGS.get(page.stem, Setting()).pictures
    if not pattern:
        return
    shown = re.findall(rf"\]\(({pattern.replace('*', '[^)]*')})\)", page.read_text(encoding="utf-8"))
    assert sorted(Path(picture).name for picture in shown) == sorted(path.name for path in folder.glob("*.png"))
    for picture in shown:
        difference = np.abs(shades(folder / Path(picture).name) - shades(page.parent / picture))
        assert difference.mean() < 0.03, picture


def shades(path: Path) -> np.ndarray:
    """Return a picture in shades of grey, as means over 16 × 16 boxes: how it looks from afar."""
    from matplotlib.image import imread

    grey = imread(path)[..., :3].mean(-1)
    rows, columns = (np.linspace(0, size, 17)[:-1].astype(int) for size in grey.shape)
    sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=0), columns, axis=1)
    return sums / (grey.size / 256)


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


def test_the_minutes_of_the_lesson_are_enough_for_what_is_computed_in_them():
    """A student computes a product a minute, with two minutes to spare in each part; nobody hurries."""
    lesson = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+)–(\d+) \| \[.*?\]\((#.*?)\) \| (.*?) \|", lesson, re.MULTILINE)
    assert [int(start) for start, *_ in rows] == [0, *(int(end) for _, end, *_ in rows[:-1])]
    assert int(rows[-1][1]) == 45
    for start, end, anchor, work in rows:
        assert f"\n## {start}-{end}: " in lesson
        assert anchor.startswith(f"#{start}-{end}-")
        assert int(end) - int(start) >= sum(map(int, re.findall(r"\d+", work))) + 2 * bool(re.search(r"\d", work))
    assert "gatewise page" in lesson.partition(f"## {rows[0][1]}-")[0]
