"""Links between the repository's pages: those of its web view lead to the pages of the site.

The pages of other folders, such as README.md, become pages of the site in `begin/` and `project/`.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

DOCS = Path(__file__).parent.parent
ROOT = DOCS.parent
MADE = {DOCS / "page.html": "try/page.html"}  # what the site has elsewhere, as it was made
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^()\s#]+)(?=#[^()\s]*\)|\))")


def project_pages() -> dict[Path, str]:
    """Return the pages outside of the documentation's folder, each with its name in the site."""
    pages = {path: f"project/{path.stem.lower()}" for path in sorted(ROOT.glob("*.md"))}
    return pages | {
        ROOT / "README.md": "begin/readme",
        ROOT / "bench" / "README.md": "project/speed",
        ROOT / "bench" / "TABLE.md": "project/speed-table",
        ROOT / "native" / "README.md": "project/kernels",
    }


def relocated(text: str, origin: Path, docname: str) -> str:
    """Return a page of the repository with its links as the page of the site needs them.

    Parameters
    ----------
    text : str
        The page in Markdown.
    origin : Path
        Its file in the repository.
    docname : str
        Its name in the site.
    """
    pages = project_pages()

    def target(link: re.Match[str]) -> str:
        path = Path(os.path.normpath(origin.parent / link[1]))
        if path in MADE:
            return "made:" + os.path.relpath(MADE[path], Path(docname).parent)
        if not path.is_file():
            return link[1]
        return os.path.relpath(DOCS / f"{pages[path]}.md" if path in pages else path, (DOCS / docname).parent)

    return "".join(part if is_code else LINK.sub(target, part) for part, is_code in parts(text))


def parts(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the lines of a page, each with whether it belongs to a block of code."""
    fence = ""
    for line in text.splitlines(keepends=True):
        mark = re.match(r"\s*(```+|~~~+)", line)
        yield line, bool(fence or mark)
        if mark and not fence:
            fence = mark[1]
        elif mark and line.strip() == fence:
            fence = ""


def write_project_pages(app: Sphinx) -> None:
    """Write the pages of other folders into the documentation's."""
    texts: dict[str, dict[str, str]] = defaultdict(dict)
    for path, docname in project_pages().items():
        folder, _, name = docname.partition("/")
        texts[folder][f"{name}.md"] = relocated(path.read_text("utf-8"), path, docname)
    for folder, pages in texts.items():
        write_folder(folder, pages)


def write_folder(name: str, texts: dict[str, str]) -> None:
    """Write the files of a folder that the site makes: no others, and anew only those whose text has changed."""
    folder = DOCS / name
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name not in texts:
            path.unlink()
    for file, text in texts.items():
        path = folder / file
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")


def relocate_page(app: Sphinx, docname: str, source: list[str]) -> None:
    """Let the links of a page of this folder lead to pages of the site."""
    path = DOCS / f"{docname}.md"
    if path.parent == DOCS and path.exists():
        source[0] = relocated(source[0], path, docname)


def fill_heads(app: Sphinx, doctree: nodes.document) -> None:
    """Remove the empty heads of tables, which Markdown has no tables without, and fill empty corners of others."""
    for head in list(doctree.findall(nodes.thead)):
        if not head.astext().strip():
            head.parent.remove(head)
            continue
        for entry in head.findall(nodes.entry):
            if not entry.astext().strip():
                entry += nodes.inline("", "row", classes=["visually-hidden"])  # for who hears the table


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("builder-inited", write_project_pages)
    app.connect("source-read", relocate_page)
    app.connect("doctree-read", fill_heads)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
