"""`llms.txt` at the root of the site: its table of contents in Markdown, for programs that read (llmstxt.org)."""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.addnodes import toctree
from sphinx.application import Sphinx


def contents(app: Sphinx) -> str:
    """Return the table of contents, a section for each of its parts, with the first sentence of every page."""
    env = app.env
    lines = [f"# {app.config.project}", "", f"> {first_sentence(env.get_doctree(env.config.root_doc))}"]
    for _, part in entries(app, env.config.root_doc):
        lines += ["", f"## {env.titles[part].astext()}", ""]
        for title, page in entries(app, part):
            sentence = first_sentence(env.get_doctree(page))
            lines.append(f"- [{title}]({app.builder.get_target_uri(page)}): {sentence}")
    return "\n".join(lines) + "\n"


def entries(app: Sphinx, page: str) -> list[tuple[str, str]]:
    """Return the entries of a page's table of contents: the title and name of each."""
    listed = [entry for tree in app.env.get_doctree(page).findall(toctree) for entry in tree["entries"]]
    return [(title or app.env.titles[name].astext(), name) for title, name in listed]


def first_sentence(document: nodes.document) -> str:
    """Return the first sentence of a page; those in tables and lists are none."""
    paragraphs = (node for node in document.findall(nodes.paragraph) if isinstance(node.parent, nodes.section))
    text = next((" ".join(node.astext().split()) for node in paragraphs), "")
    return text.partition(". ")[0].rstrip(".:") + "."


def write_contents(app: Sphinx, problem: Exception | None) -> None:
    """Write the file beside the pages."""
    if problem is None and app.builder.format == "html":
        Path(app.outdir, "llms.txt").write_text(contents(app), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("build-finished", write_contents)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
