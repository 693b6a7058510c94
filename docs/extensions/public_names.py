"""The reference: a page for every public name, from its docstring, one for each package, and one for the command line.

Names that differ in capitals alone, as the question `horizon` and its answer `Horizon`, share a page: file systems may
not tell them apart, and readers want both.
"""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from importlib import import_module
from types import ModuleType
from typing import Any

from docutils import nodes
from repository_links import write_folder
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer

PACKAGES = {
    "gatewise": "``import gatewise as gw``: everything that most programs need.",
    "gatewise.insight": "Questions about a run. An answer is a record: a sentence, columns, a law and its residual.",
    "gatewise.plot": "Pictures of runs and answers: Axes of matplotlib in, Axes out.",
    "gatewise.plot.data": "The records that pictures draw, computed without drawing them.",
    "gatewise.interop": "Readers and writers of models' files, and what they find in one.",
    "gatewise.interop.torch": "PyTorch: live modules, states and gradients in its shapes, and its files.",
    "gatewise.interop.keras": "Keras: live models, states and gradients in its shapes, and its files.",
    "gatewise.interop.onnx": "ONNX: its files, and models that onnxruntime runs.",
    "gatewise.network": "What networks return beside arrays.",
    "gatewise.opening": "What opening a run and comparing one with its framework returns.",
    "gatewise.grading": "What is found on a sheet.",
    "gatewise.walkthrough": "What a walkthrough consists of.",
    "gatewise.symbolic": "The cell as data: programs of formulas.",
}
KINDS = ("Functions", "Classes", "Exceptions")


def public_names(package: ModuleType) -> list[str]:
    """Return the names of a package's public functions and classes."""
    names = getattr(package, "__all__", None) or dir(package)
    things = {name: getattr(package, name) for name in names}
    return [name for name, thing in things.items() if inspect.isclass(thing) or inspect.isroutine(thing)]


def kind_of(thing: object) -> str:
    """Return the heading under which a public name is listed."""
    if not inspect.isclass(thing):
        return "Functions"
    return "Exceptions" if issubclass(thing, Exception) else "Classes"


def first_sentence(thing: object) -> str:
    """Return the first sentence of a docstring."""
    paragraph = " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].rstrip(".:") + "."


def directive(package: str, name: str) -> str:
    """Return the directive that shows a public name with its docstring."""
    thing = getattr(import_module(package), name)
    if not inspect.isclass(thing):
        return f".. autofunction:: {package}.{name}\n"
    if issubclass(thing, Exception):
        return f".. autoexception:: {package}.{name}\n   :show-inheritance:\n"
    options = "   :members:\n   :inherited-members: object, tuple\n   :special-members: __call__, __getitem__\n"
    return f".. autoclass:: {package}.{name}\n{options}"


def titled(title: str, mark: str = "=") -> str:
    """Return a title of reStructuredText."""
    return f"{title}\n{mark * len(title)}\n\n"


def homes() -> dict[int, tuple[str, str]]:
    """Return of every public thing, by its identity, the first package that has it, and its name there."""
    places: dict[int, tuple[str, str]] = {}
    for package in PACKAGES:
        module = import_module(package)
        for name in public_names(module):
            places.setdefault(id(getattr(module, name)), (package, name))
    return places


def pages(package: str) -> dict[str, list[str]]:
    """Return the names that each page about a package documents, by the page's name."""
    joint = defaultdict(list)
    for home, name in homes().values():
        if home == package:
            joint[f"{package}.{name.lower()}"].append(name)
    return {page: sorted(names, key=str.swapcase) for page, names in sorted(joint.items())}


def overview(package: str) -> str:
    """Return the page that lists the public names of a package, each with its first sentence."""
    module, places = import_module(package), homes()
    text = titled(package) + PACKAGES[package] + "\n\n"
    for kind in KINDS:
        names = [name for name in public_names(module) if kind_of(getattr(module, name)) == kind]
        if names:
            text += titled(kind, "-") + ".. list-table::\n   :widths: 30 70\n\n"
        for name in sorted(names, key=str.lower):
            thing = getattr(module, name)
            text += f"   * - `{name} <{'.'.join(places[id(thing)])}>`\n     - {escaped(first_sentence(thing))}\n"
        text += "\n"
    entries = [f"   {', '.join(names)} <{page}>\n" for page, names in pages(package).items()]
    return text + "".join([".. toctree::\n   :hidden:\n\n", *entries])


def escaped(line: str) -> str:
    """Return a line in which bars, as in an absolute value, are no markup."""
    return line.replace("|", r"\|")


def escape_bars(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Let bars in the text of a docstring be bars; examples and code stay as they are."""
    for place, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[place] = "``".join(part if n % 2 else escaped(part) for n, part in enumerate(line.split("``")))


def find_name(app: Sphinx, env: BuildEnvironment, node: nodes.Element, text: nodes.Element) -> nodes.Element | None:
    """Return the link to a public name that a docstring calls by its name alone, as another package's does."""
    if node.get("refdomain") != "py":
        return None
    domain = env.domains["py"]
    for package in PACKAGES:
        name = f"{package}.{node['reftarget']}"
        if name in domain.objects:
            return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, text)
    return None


def find_source(app: Sphinx, module: str) -> tuple[str, dict[str, tuple[str, int, int]]]:
    """Return the source of a module and the lines of its names; those that are public under another name have both."""
    analyzer = ModuleAnalyzer.for_module(module)
    analyzer.analyze()
    lines = dict(analyzer.tags)
    for package, name in homes().values():
        thing = getattr(import_module(package), name)
        if thing.__module__ == module and name not in lines and thing.__name__ in lines:
            lines[name] = lines[thing.__name__]
    return analyzer.code, lines


def lead_back(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Let links from source code lead to their entries: viewcode takes the first package of a module for all of it."""
    if not pagename.startswith("_modules/"):
        return
    objects = app.env.domains["py"].objects

    def mended(link: re.Match[str]) -> str:
        package = link[2].rpartition(".")[0]
        parts = link[3].split(".")
        names = (f"{package}.{'.'.join(parts[place:])}" for place in range(len(parts)))
        return f"{link[1]}{link[2]}.html#{next((name for name in names if name in objects), link[3])}"

    context["body"] = re.sub(r'(viewcode-back" href="[./]*api/)([\w.]+)\.html#([\w.]+)', mended, context["body"])


def commands() -> str:
    """Return the page about the command line, from the program itself."""
    from gatewise.cli import COMMANDS, app

    for name in COMMANDS:  # imports them, so that they say what they do
        app[name]
    text = re.sub(r"## Table of Contents\n.*?(?=\*\*Commands)", "", app.generate_docs(), flags=re.DOTALL)
    return text.replace("# gatewise", "# The command line", 1)


def write_reference(app: Sphinx) -> None:
    """Write the pages of all names and packages."""
    texts: dict[str, str] = {}
    for package in PACKAGES:
        for page, names in pages(package).items():
            shown = "\n".join(directive(package, name) for name in names)
            texts[page] = titled(f"gw{package.removeprefix('gatewise')}.{' and '.join(names)}") + shown
    for package in PACKAGES:  # gatewise.network beside gatewise.Network
        texts[f"{package}-package" if package in texts else package] = overview(package)
    write_folder("api", {f"{name}.rst": text for name, text in texts.items()} | {"commands.md": commands()})


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("builder-inited", write_reference)
    app.connect("html-page-context", lead_back)
    app.connect("missing-reference", find_name)
    app.connect("viewcode-find-source", find_source)
    app.connect("autodoc-process-docstring", escape_bars)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
