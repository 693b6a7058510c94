"""The table of contents: each part lists its pages with their first sentences, and so does `llms.txt` (llmstxt.org)."""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx import addnodes
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
    listed = [entry for tree in app.env.get_doctree(page).findall(addnodes.toctree) for entry in tree["entries"]]
    return [(title or app.env.titles[name].astext(), name) for title, name in listed]


def first_sentence(document: nodes.document) -> str:
    """Return the first sentence of a page; those in tables and lists are none."""
    paragraphs = (node for node in document.findall(nodes.paragraph) if isinstance(node.parent, nodes.section))
    text = next((" ".join(node.astext().split()) for node in paragraphs), "")
    return text.partition(". ")[0].rstrip(".:") + "."


def describe_entries(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Let the list of a part of the site say of each of its pages what it is about."""
    if docname not in app.env.toctree_includes.get(app.config.root_doc, []):
        return
    for tree in doctree.findall(addnodes.toctree):
        tree["hidden"] = True  # in the text; the sidebar has it
        listed = nodes.definition_list()
        for title, page in entries(app, docname):
            link = nodes.reference("", title, refuri=app.builder.get_relative_uri(docname, page))
            about = nodes.paragraph(text=first_sentence(app.env.get_doctree(page)))
            listed += nodes.definition_list_item("", nodes.term("", "", link), nodes.definition("", about))
        tree.parent += listed


def write_contents(app: Sphinx, problem: Exception | None) -> None:
    """Write the file beside the pages."""
    if problem is None and app.builder.format == "html":
        Path(app.outdir, "llms.txt").write_text(contents(app), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("doctree-resolved", describe_entries)
    app.connect("build-finished", write_contents)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
