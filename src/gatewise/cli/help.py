"""Help of two lengths: --help has one line for each common option, --help-all explains every option in full."""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

FULL = ContextVar("FULL", default=False)
FLAGS = ("--help", "-h", "--help-all")
MORE = "More options, and all explained in full: --help-all"
NAMES = 20  # columns of the names of options, so that the groups of a command align
# The options that --help shows: what most people need in their first hour.
COMMON = {
    "all",
    "at",
    "axes",
    "backward",
    "brief",
    "command",
    "example",
    "format",
    "gates",
    "given",
    "head",
    "hidden-size",
    "input-size",
    "io",
    "json",
    "keep",
    "kind",
    "layer",
    "limit",
    "lstm",
    "model",
    "name",
    "notation",
    "open",
    "output",
    "prefix",
    "random",
    "rest",
    "save",
    "seed",
    "sequence",
    "sort",
    "steps",
    "stream",
    "students",
    "target",
    "template",
    "text",
    "to",
    "unit",
    "units",
    "x",
}


class HelpFormatter:
    """Formats help in either length; cyclopts calls it for the usage, the description and each group of options."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print a group of options: the common ones with a line for each, or all with their explanations."""
        if FULL.get():
            from cyclopts.help.formatters import DefaultFormatter

            DefaultFormatter()(console, options, panel)
            return
        entries = [entry for entry in panel.entries if panel.format == "command" or is_common(entry)]
        if not entries:
            return
        from rich.table import Table

        table = Table.grid(padding=(0, 1))
        table.add_column(min_width=NAMES)
        for entry in entries:
            label = " ".join(_labels(entry))
            table.add_row(f"  {label}", short_explanation(entry, console.width - NAMES - 1))
        console.print(f"{panel.title}:", highlight=False, markup=False)
        console.print(table)
        console.print()

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Print how a command is called."""
        text = str(usage).strip()
        console.print(text if text.startswith("Usage:") else f"Usage: {text}", highlight=False, markup=False)
        console.print()

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Print what a command does; its details, which follow the examples, only with --help-all."""
        with console.capture() as captured:
            console.print(description)
        lines = captured.get().rstrip().splitlines()
        if not FULL.get():
            lines = lines[: max((n + 1 for n, line in enumerate(lines) if line.startswith("    ")), default=None)]
        console.out("\n".join(lines), highlight=False)
        console.out()


def is_common(entry: HelpEntry) -> bool:
    """Whether --help shows an argument or option."""
    names = [name.removeprefix("--") for name in entry.names if name.startswith("--")]
    return not names or entry.required or not COMMON.isdisjoint(names)


def short_explanation(entry: HelpEntry, room: int) -> str:
    """Return the first sentence about an option, followed by its choices if they fit into the line."""
    description = entry.description
    text = " ".join(str(getattr(description, "primary_renderable", None) or description).split())
    first = re.split(r"(?<=\.) ", text)[0].removesuffix(".")
    choices = f" ({', '.join(entry.choices)})" if entry.choices else ""
    return first + choices if len(first + choices) <= room else first


def _labels(entry: HelpEntry) -> tuple[str, ...]:
    """Return the names of an option, with that of its value where cyclopts gives one."""
    return getattr(entry, "display_labels_with_metavar", None) or (*entry.names, *entry.shorts)
