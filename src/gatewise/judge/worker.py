"""The process of an engine: it loads one adapter, runs what arrives on its standard input, and sends back the results.

Whatever an engine prints goes nowhere, so that nothing it prints can be taken for a result.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np

from gatewise.errors import shown
from gatewise.judge.messages import CaseMessage, read_message, write_message

MAX_REASON = 300  # characters of an engine's own message


def load_adapter(path: Path) -> ModuleType:
    """Return the module of an adapter: a Python file with a function `run(settings, arrays)`."""
    spec = importlib.util.spec_from_file_location("gatewise_judged_engine", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reason_of(problem: BaseException) -> str:
    """Return the message of an engine's error in one short line."""
    text = shown(" ".join(str(problem).split()), 10_000)
    if len(text) > MAX_REASON:  # where it failed comes first, and why comes last
        text = f"{text[:60]} … {text[60 - MAX_REASON :]}"
    return text or type(problem).__name__


def serve(path: Path) -> None:
    """Answer messages until the pipe is closed."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    warnings.simplefilter("ignore")
    try:
        adapter = load_adapter(path)
        started = CaseMessage({"version": adapter.version()})
    except Exception as problem:  # an engine may fail in any way
        started = CaseMessage({"error": reason_of(problem), "missing": isinstance(problem, ImportError)})
    write_message(answers, started)
    if "error" in started.settings:
        return
    while (message := read_message(sys.stdin.buffer)) is not None:
        try:
            outputs = {name: np.asarray(array) for name, array in adapter.run(message.settings, message.arrays).items()}
            if bad := [name for name, array in outputs.items() if array.dtype.kind not in "fiub"]:
                raise TypeError(f"{bad[0]} is not numeric")
            reply = CaseMessage({}, outputs)
        except Exception as problem:
            reply = CaseMessage({"error": reason_of(problem)})
        write_message(answers, reply)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
