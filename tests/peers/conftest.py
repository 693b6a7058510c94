"""Tests with heavy peers are not even collected unless they are asked for, so that no missing peer counts as a skip.

A module here ends its import where its peer is missing. Tests are deselected by their marks only after their modules
have been imported: without this, each missing peer would be reported as a skip by a session that never wanted it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pairwise import asks_for_peers
from peers import browser
from peers.reader import Reader, hyphenated


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the modules here alone unless the marks that are asked for can be theirs."""
    return (collection_path.suffix == ".py" and not asks_for_peers(config.getoption("markexpr"))) or None


@pytest.fixture(scope="session")
def one_browser() -> Iterator[browser.Page]:
    """A browser, for all tests of the page that is played with."""
    if browser.found() is None:
        pytest.skip(f"none of {', '.join(browser.NAMES)} is here")
    with browser.page() as page:
        yield page


@pytest.fixture
def tab(one_browser: browser.Page) -> browser.Page:
    """That browser, for other pages."""
    one_browser.look()
    return one_browser


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Return a function that writes a page that is played with, each once, and returns its address."""
    from peers.page_files import addresses

    return addresses(tmp_path_factory.mktemp("pages"))


@pytest.fixture
def reader(one_browser: browser.Page) -> Iterator[Reader]:
    """Someone at a page, who in the end has seen no error, and nothing that was asked of a network."""
    one = Reader(one_browser)
    yield one
    one_browser.quiet()
    assert one.ask("document.getElementById('status').textContent") == hyphenated(one.expects)
