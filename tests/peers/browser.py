"""A small client of Chromium's DevTools protocol, over a pipe: nothing but the standard library is needed."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
WAIT = 30  # seconds for an answer
CODES = {  # of keys, as Windows numbers them
    "Backspace": 8,
    "Tab": 9,
    "Enter": 13,
    "Escape": 27,
    " ": 32,
    "PageUp": 33,
    "PageDown": 34,
    "End": 35,
    "Home": 36,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Delete": 46,
    "+": 187,
    ",": 188,
    "-": 189,
    ".": 190,
    "?": 191,
    '"': 222,
}
TEXTS = {"Enter": "\r"}
SHIFT = 8  # among the keys that are held


def found() -> str | None:
    """Return where a browser is, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One tab. What the browser reports of it is kept in `events`."""

    def __init__(self, to: int, from_: int) -> None:
        self._to, self._from, self._read, self._last = to, from_, b"", 0
        self.session: str | None = None
        self.events: list[dict[str, Any]] = []

    def _message(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._read:
            if not select.select([self._from], [], [], max(until - time.monotonic(), 0))[0]:
                raise TimeoutError("the browser does not answer")
            more = os.read(self._from, 1 << 20)
            if not more:
                raise ConnectionError("the browser went away")
            self._read += more
        message, _, self._read = self._read.partition(b"\0")
        return json.loads(message)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Have the browser do something, and return its answer."""
        self._last += 1
        request = {"id": self._last, "method": method, "params": params}
        if self.session is not None:
            request["sessionId"] = self.session
        data = memoryview(json.dumps(request).encode() + b"\0")
        while data:
            data = data[os.write(self._to, data) :]
        until = time.monotonic() + WAIT
        while (message := self._message(until)).get("id") != self._last:
            self.events.append(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    def wait_for(self, method: str) -> None:
        """Wait for an event that has not been seen yet."""
        until = time.monotonic() + WAIT
        while all(event.get("method") != method for event in self.events):
            self.events.append(self._message(until))

    def open(self, url: str) -> None:
        """Open an address, and forget what was reported of the one before."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired")

    def evaluate(self, script: str) -> Any:
        """Return what an expression of JavaScript is on the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def check_axe(self, least: int = 10) -> None:
        """Assert that axe-core finds nothing on the page, and that more than so many of its rules apply."""
        if not self.evaluate("typeof axe === 'object'"):
            self.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
        why = "[rule.id, rule.nodes[0].html.slice(0, 300), rule.nodes[0].failureSummary]"
        violations, passes = self.evaluate(f"axe.run().then(r => [r.violations.map(rule => {why}), r.passes.length])")
        assert violations == [], self.evaluate("location.href")
        assert passes > least

    def check_alone(self, url: str, width: int) -> None:
        """Open an address in a narrow window, and assert that the page fits, and asks for and reports nothing."""
        self.look(width=width)
        self.open(url)
        assert self.evaluate("document.documentElement.scrollWidth") <= width, url
        assert [one for one in self.asked() if not one.startswith("data:image/png")] == [url]
        assert not self.reported("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")

    def check_pictures(self, url: str, *widths: tuple[int, float], of: str = "svg text") -> None:
        """Assert that in windows of these widths the text of pictures is so many pixels high, and none of it is cut."""
        cut = "text.left < all.left - 1 || text.right > all.right + 1 || text.bottom > all.bottom + 1"
        for width, least in widths:
            self.look(width=width)
            self.open(url)
            seen = self.evaluate(f"""[...document.querySelectorAll('{of}')].map(one => {{
              const [text, all] = [one.getBoundingClientRect(), one.ownerSVGElement.getBoundingClientRect()];
              const {{a, b}} = one.getScreenCTM();
              return [parseFloat(getComputedStyle(one).fontSize) * Math.hypot(a, b), {cut}, one.textContent];
            }})""")
            assert min(size for size, *_ in seen) > least
            assert [text for _, cut, text in seen if cut] == []

    def sheets(self, **options: Any) -> list[tuple[float, ...]]:
        """Return the sizes, in points, of the sheets of paper that the page is printed on."""
        printed = base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True, **options)["data"])
        boxes = re.findall(rb"/MediaBox\s*\[([^\]]*)\]", printed)
        return [tuple(map(float, box.split()[2:])) for box in boxes]

    def printed_texts(self) -> list[bool]:
        """Return of each sheet of paper that the page is printed on whether text stands on it."""
        data = base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"])
        bodies = {int(n): body for n, body in re.findall(rb"\n(\d+) 0 obj\n(.*?)\nendobj", data, re.DOTALL)}
        pages = [body for body in bodies.values() if re.search(rb"/Type\s*/Page\b", body)]
        contents = [bodies[int(re.search(rb"/Contents (\d+) 0 R", page)[1])] for page in pages]
        streams = [body.partition(b"stream\n")[2].partition(b"\nendstream")[0] for body in contents]
        return [re.search(rb"\bTj\b", zlib.decompress(stream)) is not None for stream in streams]

    def wait_until(self, script: str) -> None:
        """Wait until an expression of JavaScript holds."""
        until = time.monotonic() + WAIT
        while not self.evaluate(script):
            if time.monotonic() > until:
                raise TimeoutError(f"it never came true: {script}")
            time.sleep(0.02)

    def look(
        self, *, width: int = 900, height: int = 900, scheme: str = "light", media: str = "", still: bool = False
    ) -> None:
        """Set the size of the window, whether the reader wants it light or dark and without motion, or as a print."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        wanted = {"prefers-color-scheme": scheme} | ({"prefers-reduced-motion": "reduce"} if still else {})
        features = [{"name": name, "value": value} for name, value in wanted.items()]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)

    def keys(self, *names: str, shift: bool = False) -> None:
        """Press keys one after another, by their names or what they write."""
        for name in names:
            text = TEXTS.get(name, name if len(name) == 1 else "")
            about = {"key": name, "code": name, "windowsVirtualKeyCode": CODES.get(name) or ord(name.upper())}
            held = {"modifiers": SHIFT} if shift else {}
            self.call("Input.dispatchKeyEvent", type="keyDown", **about, **held, **({"text": text} if text else {}))
            self.call("Input.dispatchKeyEvent", type="keyUp", **about, **held)

    def rest(self) -> None:
        """Wait until the page has drawn what it had begun to."""
        self.evaluate("(async () => { for (let n = 0; n < 3; n += 1) await new Promise(requestAnimationFrame); })()")

    def place(self, element: str) -> tuple[float, float]:
        """Return where the middle of an element is, once it is in view; it must be what lies there uppermost."""
        self.rest()
        x, y, there = self.evaluate(f"""(() => {{
            const one = {element};
            if (!one) return [0, 0, "nothing"];
            one.scrollIntoView({{block: "center", inline: "center", behavior: "instant"}});
            const box = one.getBoundingClientRect();
            const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
            const found = document.elementFromPoint(x, y);
            return [x, y, one.contains(found) || found?.contains(one) ? "" : found?.outerHTML ?? "nothing"];
        }})()""")
        if there:
            raise LookupError(f"{element} cannot be clicked: there is {there[:200]}")
        return x, y

    def mouse(self, kind: str, x: float, y: float) -> None:
        """Move, press or release the mouse somewhere."""
        down = {} if kind == "Moved" else {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, buttons=int(kind != "Released"), **down)

    def click(self, element: str) -> None:
        """Click on an element: an expression of JavaScript."""
        x, y = self.place(element)
        self.mouse("Pressed", x, y)
        self.mouse("Released", x, y)

    def drag(self, element: str, right: float, down: float) -> None:
        """Drag an element by its middle, in three moves."""
        x, y = self.place(element)
        self.mouse("Pressed", x, y)
        for part in (1 / 3, 2 / 3, 1):
            self.mouse("Moved", x + part * right, y + part * down)
        self.mouse("Released", x + right, y + down)
        self.rest()

    def save_to(self, folder: Path) -> None:
        """Let the page save its files in a folder."""
        session, self.session = self.session, None
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self.session = session

    @contextlib.contextmanager
    def another(self) -> Iterator[None]:
        """Be in a new tab for a while."""
        session, self.session = self.session, None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.attach(target)
        try:
            yield
        finally:
            self.session = None
            self.call("Target.closeTarget", targetId=target)
            self.session = session

    @contextlib.contextmanager
    def frame(self) -> Iterator[None]:
        """Be for a while in the page's one frame, which has a process of its own."""
        session, self.session = self.session, None
        targets = self.call("Target.getTargets", filter=[{"type": "iframe"}])["targetInfos"]
        self.attach(targets[0]["targetId"])
        try:
            yield
        finally:
            self.session = session

    def attach(self, target: str) -> None:
        """Be in a tab."""
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def quiet(self) -> None:
        """Assert that the page reported no error, broke no policy, and asked for nothing but itself and its files."""
        assert not self.reported("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        assert [url for url in self.asked() if not url.startswith(("file:", "blob:", "about:"))] == []

    def asked(self) -> list[str]:
        """Return the addresses that the page asked for."""
        return [event["params"]["request"]["url"] for event in self.reported("Network.requestWillBeSent")]

    def reported(self, *methods: str) -> list[dict[str, Any]]:
        """Return the events of some kinds."""
        return [event for event in self.events if event.get("method") in methods]


def fonts() -> list[Path]:
    """Return the files of all fonts that there are."""
    listed = subprocess.run(["fc-list", ":", "file"], capture_output=True, text=True, check=True).stdout
    return sorted(Path(line.strip().removesuffix(":")) for line in listed.splitlines())


def for_mathematics(font: Path) -> bool:
    """Tell whether a font has what mathematics is laid out by: a table called MATH."""
    return b"MATH" in font.read_bytes()[:4096]


def finds(chosen: Iterable[Path], folder: Path) -> dict[str, str]:
    """Return the environment of a browser that finds these fonts and no others."""
    (folder / "fonts").mkdir()
    for font in chosen:
        (folder / "fonts" / font.name).symlink_to(font)
    preferred = [
        one for one in sorted(Path("/etc/fonts/conf.d").glob("*.conf")) if "<dir" not in one.read_text("utf-8")
    ]
    settings = folder / "fonts.conf"
    settings.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
        f"<dir>{folder / 'fonts'}</dir><cachedir>{folder / 'cache'}</cachedir>"
        f"{''.join(f'<include>{one}</include>' for one in preferred)}</fontconfig>",
        encoding="utf-8",
    )
    return {"FONTCONFIG_FILE": str(settings)}


@contextlib.contextmanager
def page(env: Mapping[str, str] | None = None) -> Iterator[Page]:
    """Start a browser without a window, and end it with all that it started; `env` is added to its environment."""
    program = found()
    if program is None:
        raise FileNotFoundError(f"none of {', '.join(NAMES)} is here")
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = [
            "--headless=new",
            "--remote-debugging-pipe",
            f"--user-data-dir={Path(profile)}",
            "--no-first-run",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        ]
        # The browser reads its file descriptor 3 and writes to its 4.
        wiring = f'exec "$@" 3<&{to_read} 4>&{from_write}'
        browser = subprocess.Popen(
            ["bash", "-c", wiring, "bash", program, *flags, "about:blank"],
            pass_fds=(to_read, from_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": profile, **(env or {})},
            start_new_session=True,
        )
        os.close(to_read)
        os.close(from_write)
        try:
            tab = Page(to_write, from_read)
            tab.attach(tab.call("Target.createTarget", url="about:blank")["targetId"])
            yield tab
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(browser.pid, signal.SIGKILL)
            browser.wait(WAIT)
            os.close(to_write)
            os.close(from_read)
