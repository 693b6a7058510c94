"""The pages that gatewise itself makes: the build runs the commands, and the site has what they write, in `try/`."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from repository_links import DOCS, ROOT, write_folder
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


def prepare_nothing(folder: Path) -> None:
    """Write no files."""


def prepare_basin(folder: Path) -> None:
    """Write the run and the basin of hydrology.md."""
    sys.path.insert(0, str(ROOT / "tests"))
    try:
        from hydrology import make_example
    finally:
        sys.path.remove(str(ROOT / "tests"))
    make_example(folder)


def prepare_class(folder: Path) -> None:
    """Copy the roster of class.md, and what its students hand in."""
    shutil.copytree(DOCS / "lesson", folder, dirs_exist_ok=True)


@dataclass(frozen=True)
class MadePage:
    """A page that commands write.

    Attributes
    ----------
    title, about : str
        What it is, and what to do on it; `about` may have links.
    path : str
        Its place in the folder of these pages.
    commands : tuple of str
        They run one after another, in a folder of their own.
    prepare : callable
        Writes files that they need into that folder.
    """

    title: str
    about: str
    path: str
    commands: tuple[str, ...]
    prepare: Callable[[Path], None] = prepare_nothing


BASIN = "run 01013500.csv --attributes attributes.csv --at 2001-04-06"
PAGES = (
    MadePage("The page to learn from", "[What is on it](../page.md).", "page.html", ("gatewise page -o page.html",)),
    MadePage("The same page in German", "", "page_de.html", ("gatewise page --lang de -o page_de.html",)),
    MadePage(
        "A walkthrough",
        "Three steps of the lesson's cell, forward and backward. Click a product to expand it "
        "([walkthroughs](../walking.md)).",
        "walkthrough.html",
        ("gatewise walk --example lesson --backward --steps 3 -o walkthrough.html",),
    ),
    MadePage(
        "A report",
        "What a model of three reservoirs remembers of the rain; its weights are set by hand, so that the right "
        "answers are known ([hydrology](../hydrology.md)).",
        "report.html",
        (f"gatewise report {BASIN} -o report.html",),
        prepare_basin,
    ),
    MadePage(
        "The page of that model",
        "Every gate of a year, to play with.",
        "model.html",
        (f"gatewise page {BASIN} -o model.html",),
        prepare_basin,
    ),
    MadePage(
        "A class",
        "The teacher's page about five students; their names lead to the pages that they get back "
        "([a class](../class.md)).",
        "homework/class.html",
        (
            "gatewise exercise --students roster.csv -o homework --input-size 2 --seed 1",
            "cp -r answers homework",
            "gatewise check homework",
        ),
        prepare_class,
    ),
)
TEXT = """# Try it here

Nothing to install: the page to learn from runs in your browser, below, and sends nothing anywhere. It is also there
[in a window of its own](made:page.html).

```{{raw}} html
<iframe class="made" src="page.html" title="An LSTM you can see through" height="900"></iframe>
```

## Pages that gatewise makes

Each is one file, which the commands beside it have written while this site was built.

| page | what it is | commands |
|---|---|---|
{rows}
"""


def row(page: MadePage) -> str:
    """Return the row of a page in the table."""
    commands = "<br>".join(f"`{command}`" for command in page.commands)
    return f"| [{page.title}](made:{page.path}) | {page.about} | {commands} |"


def write_text(app: Sphinx) -> None:
    """Write the page of the site that embeds the first of the pages and lists all."""
    write_folder("try", {"index.md": TEXT.format(rows="\n".join(map(row, PAGES)))})


def run(command: str, folder: Path) -> None:
    """Run a command in a folder: one of gatewise, or a copy of a folder."""
    program, *arguments = shlex.split(command)
    if program == "cp":
        _, source, target = arguments
        shutil.copytree(folder / source, folder / target / source, dirs_exist_ok=True)
        return
    assert program == "gatewise", command
    done = subprocess.run([sys.executable, "-m", "gatewise", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode > (arguments[0] == "check"):  # whose exit code is 1 where something is wrong on a sheet
        raise ExtensionError(f"{command}: {done.stderr}")


def write_page(page: MadePage, target: Path) -> None:
    """Run the commands of a page, and copy what they wrote."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        page.prepare(folder)
        for command in page.commands:
            run(command, folder)
        top = page.path.partition("/")[0]
        if (folder / top).is_dir():
            shutil.copytree(folder / top, target / top, dirs_exist_ok=True)
        else:
            shutil.copy(folder / top, target)


def write_pages(app: Sphinx, problem: Exception | None) -> None:
    """Write all pages into the site."""
    if problem is None and app.builder.format == "html":
        target = Path(app.outdir, "try")
        target.mkdir(exist_ok=True)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda page: write_page(page, target), PAGES))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("builder-inited", write_text)
    app.connect("build-finished", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
