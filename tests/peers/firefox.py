"""A small client of Firefox's Marionette: nothing but the standard library is needed."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("firefox-esr", "firefox")
WAIT = 30  # seconds for an answer, and for the browser to start
SETTINGS = {
    "marionette.port": 0,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}


def found() -> str | None:
    """Return where Firefox is, if it is here."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Window:
    """One window; messages have their length before them."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire, self._read, self._last = wire, b"", 0
        self._message()  # in which Firefox introduces itself

    def _message(self) -> Any:
        while b":" not in self._read or len(self._read.partition(b":")[2]) < int(self._read.partition(b":")[0]):
            more = self._wire.recv(1 << 20)
            if not more:
                raise ConnectionError("Firefox went away")
            self._read += more
        size, _, rest = self._read.partition(b":")
        self._read = rest[int(size) :]
        return json.loads(rest[: int(size)])

    def call(self, command: str, **params: Any) -> Any:
        """Have Firefox do something, and return its answer."""
        self._last += 1
        data = json.dumps([0, self._last, command, params]).encode()
        self._wire.sendall(b"%d:%s" % (len(data), data))
        _, _, error, result = self._message()
        if error is not None:
            raise RuntimeError(f"{command}: {error['error']}: {error['message']}")
        return result["value"] if isinstance(result, dict) and "value" in result else result

    def evaluate(self, script: str) -> Any:
        """Return what an expression of JavaScript is on the page."""
        return self.call("WebDriver:ExecuteScript", script=f"return ({script})", args=[])

    def reported(self) -> list[str]:
        """Return, once, the errors and warnings in Firefox's console about pages of files."""
        script = """
            const errors = Services.console.getMessageArray().filter(one => one instanceof Ci.nsIScriptError);
            Services.console.reset();
            return errors.filter(({sourceName}) => sourceName.startsWith("file:")).map(one => one.errorMessage);"""
        time.sleep(0.3)  # until the process of the page has told the one that keeps the console
        self.call("Marionette:SetContext", value="chrome")
        try:
            return self.call("WebDriver:ExecuteScript", script=script, args=[])
        finally:
            self.call("Marionette:SetContext", value="content")

    def wait_until(self, script: str) -> None:
        """Wait until an expression of JavaScript holds."""
        until = time.monotonic() + WAIT
        while not self.evaluate(script):
            if time.monotonic() > until:
                raise TimeoutError(script)
            time.sleep(0.05)

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self.call("WebDriver:PerformActions", actions=[{"type": "key", "id": "keyboard", "actions": keys}])

    def picture(self) -> bytes:
        """Return what is seen, as PNG."""
        return base64.b64decode(self.call("WebDriver:TakeScreenshot", full=False))


@contextlib.contextmanager
def window() -> Iterator[Window]:
    """Start Firefox without a window that is seen, and end it with all that it started."""
    program = found()
    if program is None:
        raise FileNotFoundError(f"none of {', '.join(NAMES)} is here")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in SETTINGS.items()]
        Path(profile, "user.js").write_text("".join(lines), encoding="utf-8")
        firefox = subprocess.Popen(
            [
                program,
                "--headless",
                "--marionette",
                "--remote-allow-system-access",
                "--no-remote",
                "--profile",
                profile,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
            start_new_session=True,
        )
        try:
            with socket.create_connection(("127.0.0.1", _port(Path(profile))), timeout=WAIT) as wire:
                one = Window(wire)
                one.call("WebDriver:NewSession", capabilities={})
                yield one
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(firefox.pid, signal.SIGKILL)
            firefox.wait(WAIT)


def _port(profile: Path) -> int:
    """Return the port that Firefox has chosen, once it has written it down."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int((profile / "MarionetteActivePort").read_text())
        time.sleep(0.05)
    raise TimeoutError("Firefox does not start")
