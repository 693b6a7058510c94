"""The documentation site, built once: what is on it, that its links lead somewhere, and how it looks in a browser."""

from __future__ import annotations

import fcntl
import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pairwise import pairs
from peers import browser

from gatewise.cli import COMMANDS, app

for package in (
    "sphinx",
    "myst_parser",
    "numpydoc",
    "pydata_sphinx_theme",
    "matplotlib",
    "yaml",
    "axe_playwright_python",
):
    pytest.importorskip(package)
pytestmark = pytest.mark.peers

ROOT = Path(__file__).parent.parent.parent
MAIN = ("", ".insight", ".plot", ".plot.data", ".interop", ".interop.torch", ".interop.keras", ".interop.onnx")
PACKAGES = [f"gatewise{name}" for name in (*MAIN, ".network", ".opening", ".grading", ".walkthrough", ".symbolic")]
PARTS = ("learn", "do", "reference", "understand")
KINDS = {
    "the front": "index.html",
    "a part": "do.html",
    "the page, embedded": "try/index.html",
    "a task": "see.html",
    "formulas": "engines.html",
    "wide tables": "supported.html",
    "a package": "api/gatewise.html",
    "a class": "api/gatewise.lstm.html",
    "a question": "api/gatewise.insight.horizon.html",
    "the command line": "api/commands.html",
    "source": "_modules/gatewise/layers/lstm.html",
    "search": "search.html?q=forget",
    "the index": "genindex.html",
    "README": "begin/readme.html",
    "measurements": "project/speed-table.html",
}
MADE = (
    "page.html",
    "page_de.html",
    "walkthrough.html",
    "report.html",
    "model.html",
    "homework/class.html",
    "homework/feedback/Hopper_Grace.html",
)


class Links(HTMLParser):
    """What a page links to or loads, and the places that can be linked to.

    Attributes
    ----------
    links, loaded, ids : list of str
    """

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links, self.loaded, self.ids = list[str](), list[str](), list[str]()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value is not None}
        self.ids += [values[name] for name in ("id", "name") if name in values]
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") not in ("canonical", "author"):
            self.loaded.append(values["href"])
        elif "src" in values:
            self.loaded.append(values["src"])


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site: that of GATEWISE_SITE, or one that is built here, by one process for all."""
    if (built := os.environ.get("GATEWISE_SITE")) is not None:
        return Path(built).resolve()
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "site"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-b", "html", "docs", folder]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def trees(site: Path) -> dict[Path, Links]:
    """Return every page of the site, taken apart."""
    paths = sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)  # the theme's templates
    return {path: Links(path) for path in paths}


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Return the address of the site on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def names(package: str) -> list[str]:
    module = import_module(package)
    listed = getattr(module, "__all__", None) or dir(module)
    return [name for name in listed if callable(getattr(module, name))]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_listed_and_leads_to_its_entry_with_its_source(package, site, trees):
    overviews = [site / "api" / f"{package}{end}.html" for end in ("-package", "")]  # beside gatewise.Network
    listed = trees[next(path for path in overviews if path.exists())].links
    places: dict[int, str] = {}
    for home in PACKAGES:
        for name in names(home):
            places.setdefault(id(getattr(import_module(home), name)), f"{home}.{name}")
    for name in names(package):
        place = places[id(getattr(import_module(package), name))]
        home = next(home for home in PACKAGES[::-1] if place.startswith(f"{home}."))
        page = site / "api" / f"{home}.{place.removeprefix(f'{home}.').lower()}.html"
        assert f"{page.name}#{place}" in listed
        assert place in trees[page].ids
        assert any("_modules/" in link for link in trees[page].links), place


def test_a_page_of_the_reference_has_the_shapes_the_errors_and_the_example_of_its_docstring(site):
    for name in ("LSTM", "Edit", "write_c"):
        text = re.sub(r"<[^>]*>", "", (site / "api" / f"gatewise.{name.lower()}.html").read_text(encoding="utf-8"))
        for heading in ("Parameters:", "Raises:", "Examples"):
            assert heading in text, name
        assert "&gt;&gt;&gt;" in text, name


def test_every_command_and_option_of_the_program_is_on_the_site(site):
    text = re.sub(r"<[^>]*>", "", (site / "api" / "commands.html").read_text(encoding="utf-8"))
    words = set(re.findall(r"[\w-]+", text))
    for name in COMMANDS:
        assert f"gatewise {name}" in text
        options = {option for argument in app[name].assemble_argument_collection() for option in argument.names}
        assert {option for option in options if not re.match(r"\*|--(no|empty)-", option)} <= words, name


def test_no_link_of_the_site_is_broken(site, trees):
    broken = []
    for page, tree in trees.items():
        for link in [*tree.links, *tree.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = Path(os.path.normpath(page.parent / unquote(parts.path))) if parts.path else page
            anchor = unquote(parts.fragment)
            known = target.exists() and target.is_relative_to(site)
            if known and anchor and not anchor.startswith("v1") and target in trees:
                known = anchor in trees[target].ids
            if not known:
                broken.append(f"{page.relative_to(site)}: {link}")
    assert not broken
    assert sum(len(tree.links) for tree in trees.values()) > 5000


def test_nothing_is_loaded_from_elsewhere(site, trees):
    for page, tree in trees.items():
        assert not [link for link in tree.loaded if urlsplit(link).netloc], page
    for style in site.rglob("*.css"):
        assert not re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", style.read_text(encoding="utf-8")), style


def test_the_contents_for_models_list_every_page_of_the_four_parts(site, trees):
    text = (site / "llms.txt").read_text(encoding="utf-8")
    assert text.startswith("# gatewise\n\n> An LSTM you can see through.")
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == [part.title() for part in PARTS]
    listed = re.findall(r"^- \[.+\]\((\S+)\): \S.+\.$", text, re.MULTILINE)
    assert len(listed) == text.count("\n- ")
    assert all((site / page).is_file() for page in listed)
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index", *PARTS}
    assert pages <= {Path(page).stem for page in listed}


def test_links_between_pages_lead_somewhere_in_the_repository_too():
    """As its web view shows them, where the site's own pages are not."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "bench" / "README.md"]
    broken = [
        f"{page.name}: {link}"
        for page in pages
        for link in re.findall(r"\]\((?!\w+:|#)([^()\s#]+)", re.sub(r"(?ms)^```.*?^```$", "", page.read_text("utf-8")))
        if not (page.parent / link).exists()
    ]
    assert not broken


def look_at(tab: browser.Page, url: str, width: int, scheme: str = "light") -> None:
    """Open a page as somebody does who wants no motion, and wait until it has drawn itself."""
    tab.look(width=width, scheme=scheme, still=True)
    tab.open(url)
    tab.rest()


def check_quiet(tab: browser.Page, address: str) -> None:
    """Assert that the page asked nothing of others, and reported no error."""
    assert not [url for url in tab.asked() if not url.startswith((address, "data:", "blob:", "about:"))]
    assert not [event["params"] for event in tab.reported("Log.entryAdded", "Runtime.exceptionThrown")]
    calls = tab.reported("Runtime.consoleAPICalled")
    assert not [call for call in calls if call["params"]["type"] not in ("log", "debug", "info")]


CUT = """[...document.querySelectorAll("article *, .search *")].flatMap(one => [...one.childNodes]).filter(node => {
    if (node.nodeType !== Node.TEXT_NODE || !node.data.trim()) return false;
    const range = document.createRange();
    range.selectNodeContents(node);
    if (range.getBoundingClientRect().right <= innerWidth) return false;
    for (let box = node.parentElement; box && box.tagName !== "ARTICLE"; box = box.parentElement)
        if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)) return false;
    return true;
}).map(node => node.data)"""  # texts that go beyond the window, and are in no table or code that scrolls


@pairs(kind=KINDS, width=(360, 1280), scheme=("light", "dark"))
def test_axe_finds_nothing_and_no_page_scrolls_sideways(tab, address, kind, width, scheme):
    look_at(tab, address + KINDS[kind], width, scheme)
    if kind == "search":
        tab.wait_until("document.querySelector('.search li a') !== null")
    assert tab.evaluate("document.documentElement.dataset.theme") == scheme
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate(CUT) == []
    check_quiet(tab, address)
    tab.check_axe()


SCROLLS = """[...document.querySelectorAll("article :is(pre, table)")].filter(one => {
    for (let box = one; box.tagName !== "ARTICLE"; box = box.parentElement)
        if (box.scrollWidth > box.clientWidth + 1 && box.clientWidth > 0) return true;
    return one.getBoundingClientRect().right > innerWidth;
}).map(one => one.innerText.slice(0, 60))"""  # code and tables of which a part shows only after scrolling


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
def test_no_code_and_no_table_is_cut_off(tab, address, width):
    pages = [path.with_suffix(".html").name for path in sorted((ROOT / "docs").glob("*.md"))]
    cut = {}
    for page in [*pages, *(KINDS[kind] for kind in ("README", "a class", "the command line", "measurements"))]:
        look_at(tab, address + page, width)
        if found := tab.evaluate(SCROLLS):
            cut[page] = found
    assert cut == {}


@pytest.mark.parametrize("words", [("timescales", "gatewise.insight.timescales"), ("quotation", "see.html")])
def test_the_search_finds_a_name_and_a_word(tab, address, words):
    word, page = words
    look_at(tab, f"{address}search.html?q={word}", 1280)
    tab.wait_until("document.querySelector('.search-summary')?.textContent.includes('found')")
    links = tab.evaluate("[...document.querySelectorAll('.search li a')].map(link => link.href)")
    assert any(page in link for link in links), links


def test_a_button_makes_the_site_dark_and_it_stays_so(tab, address):
    look_at(tab, address, 1280)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = tab.evaluate(ground)
    tab.click("[...document.querySelectorAll('.theme-switch-button')].find(one => one.offsetParent)")
    tab.click("[...document.querySelectorAll('body [data-mode=dark]')].find(one => one.offsetParent)")
    tab.wait_until("document.documentElement.dataset.theme === 'dark'")
    tab.open(f"{address}see.html")
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    assert tab.evaluate(ground) != light
    tab.evaluate("localStorage.clear()")


@pytest.mark.parametrize("name", MADE)
def test_a_page_that_gatewise_made_works_on_the_site(tab, address, name):
    for width in (360, 1280):
        look_at(tab, f"{address}try/{name}", width)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.evaluate("document.body.innerText.length") > 500
        check_quiet(tab, address)


@pytest.mark.parametrize("width", [360, 1280])
def test_the_embedded_page_is_as_high_as_it_needs_and_can_be_played_with(tab, address, width):
    look_at(tab, f"{address}try/index.html", width)
    inside = "document.querySelector('iframe.made').contentDocument"
    tab.wait_until(f"{inside}?.querySelector('#strip:not([hidden])') != null")
    tab.wait_until(f"(({{scrollHeight, clientHeight}}) => scrollHeight - clientHeight)({inside}.documentElement) <= 1")
    before = tab.evaluate(f"{inside}.body.innerText")
    tab.evaluate(f"[...{inside}.querySelectorAll('button')].find(one => one.textContent === 'backward').click()")
    tab.rest()
    assert tab.evaluate(f"{inside}.body.innerText") != before
    check_quiet(tab, address)
