"""An engine in a process of its own, which may refuse, crash or hang."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.errors import OptionError, shown
from gatewise.judge.messages import AnyArray, CaseMessage, read_message, write_message

START_LIMIT = 180.0  # seconds that an engine may take to be imported
REFUSED, CRASHED, HUNG, NO_RESULT = "refused", "crashed", "timed out", "no result"


@dataclass(frozen=True, eq=False)
class Reply:
    """What became of one case in an engine: its outputs, or how and why there are none."""

    outputs: dict[str, AnyArray] = field(default_factory=dict)
    failure: str = ""
    message: str = ""


class EngineProcess:
    """The process of an engine's adapter. It is started when it is needed, and again after a crash."""

    def __init__(self, adapter: Path, limit: float, environment: dict[str, str] | None = None) -> None:
        self.adapter, self.limit = adapter, limit
        self.environment = os.environ | (environment or {})
        self.version = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start the process if it isn't running; return why it can't, or nothing."""
        if self._process is not None and self._process.poll() is None:
            return ""
        command = [sys.executable, "-m", "gatewise.judge.worker", str(self.adapter)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment
        )
        reply = self._receive(START_LIMIT)
        if isinstance(reply, Reply):
            return f"{reply.failure} while it started: {reply.message}"
        if "error" in reply.settings:
            self.stop()
            return ("not installed: " if reply.settings["missing"] else "") + str(reply.settings["error"])
        self.version = str(reply.settings["version"])
        return ""

    def run(self, message: CaseMessage) -> Reply:
        """Return the engine's reply to a case."""
        if problem := self.start():
            return Reply(failure=CRASHED, message=problem)
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(OSError):  # the process has ended, and how is found in reading
            write_message(self._process.stdin, message)
        reply = self._receive(self.limit)
        if isinstance(reply, Reply):
            return reply
        if "error" in reply.settings:
            return Reply(failure=REFUSED, message=str(reply.settings["error"]))
        return Reply(reply.arrays)

    def _receive(self, limit: float) -> CaseMessage | Reply:
        """Return the next message of the process, or the failure that ended it."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(limit, give_up)
        timer.start()
        try:
            message = read_message(process.stdout)
        except Exception as problem:  # zip, JSON and NumPy have many
            message = None
            process.kill()
            if not late.is_set():
                self.stop()
                return Reply(failure=NO_RESULT, message=f"its process sent no result: {shown(str(problem))}")
        finally:
            timer.cancel()
        if message is not None:
            return message
        code = process.wait()
        self.stop()
        if late.is_set():
            return Reply(failure=HUNG, message=f"no result after {limit:g} s")
        return Reply(failure=CRASHED, message=ending(code))

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):  # about what was not written yet
                        pipe.close()


def ending(code: int) -> str:
    """Return the end of a process in words."""
    if code < 0:
        try:
            return f"it was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"it was ended by signal {-code}"
    return f"it ended with exit code {code}"


class CommandEngine:
    """A command that reads a model and an input and writes an output, run anew for every case.

    Some of its words are replaced by paths: ``model.onnx``, ``in.npy`` or ``in.npz``, and ``out.npy`` or ``out.npz``.
    """

    def __init__(self, command: str, limit: float) -> None:
        self.limit, self.version = limit, ""
        try:
            self.words = shlex.split(command)
        except ValueError as problem:
            raise OptionError(f"--command cannot be split into words: {problem}") from None
        needed = ({"model.onnx"}, {"in.npy", "in.npz"}, {"out.npy", "out.npz"})
        if not all(group & {*self.words} for group in needed):
            raise OptionError(
                "--command needs the words model.onnx, in.npy (or in.npz) and out.npy (or out.npz), such as"
                " './run model.onnx in.npy out.npy'"
            )
        self.outputs = None if "out.npz" in self.words else ("Y",)

    def start(self) -> str:
        """Return why the command cannot be run: it has nothing to start."""
        return ""

    def stop(self) -> None:
        """Do nothing: every run has ended."""

    def run(self, message: CaseMessage) -> Reply:
        """Return the command's reply to a case."""
        with tempfile.TemporaryDirectory(prefix="gatewise-judge-") as name:
            folder = Path(name)
            arrays = dict(message.arrays)
            (folder / "model.onnx").write_bytes(arrays.pop("model").tobytes())
            np.save(folder / "in.npy", arrays["X"])
            np.savez(folder / "in.npz", **arrays)  # type: ignore[arg-type]
            files = {"model.onnx", "in.npy", "in.npz", "out.npy", "out.npz"}
            words = [str(folder / word) if word in files else word for word in self.words]
            with tempfile.TemporaryFile() as errors:
                settings: dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {}
                try:
                    process = subprocess.Popen(
                        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, **settings
                    )
                except OSError as problem:
                    return Reply(failure=CRASHED, message=f"the command cannot be run: {problem.strerror}")
                try:
                    code = process.wait(self.limit)
                except subprocess.TimeoutExpired:
                    if os.name == "posix":
                        os.killpg(process.pid, signal.SIGKILL)  # and what it has started
                    process.kill()
                    process.wait()
                    return Reply(failure=HUNG, message=f"no result after {self.limit:g} s")
                if code:
                    errors.seek(max(0, errors.seek(0, os.SEEK_END) - 4000))
                    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
                    said = f": {shown(lines[-1], 200)}" if lines else ""
                    return Reply(failure=CRASHED if code < 0 else REFUSED, message=f"{ending(code)}{said}")
            return read_outputs(folder, self.outputs)


def read_outputs(folder: Path, names: tuple[str, ...] | None) -> Reply:
    """Return the outputs that a command wrote: the array of out.npy, or those of out.npz."""
    path = folder / ("out.npz" if names is None else "out.npy")
    if not path.is_file():
        return Reply(failure=NO_RESULT, message=f"it did not write {path.name}")
    try:
        loaded = np.load(path, allow_pickle=False)
        if names is not None:
            return Reply({names[0]: loaded})
        with loaded:
            return Reply({name: loaded[name] for name in loaded.files})
    except Exception as problem:  # zip and NumPy have many
        return Reply(failure=NO_RESULT, message=f"{path.name} cannot be read: {shown(str(problem))}")
