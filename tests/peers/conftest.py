"""Tests with heavy peers are not even collected unless they are asked for, so that no missing peer counts as a skip.

A module here ends its import where its peer is missing. Tests are deselected by their marks only after their modules
have been imported: without this, each missing peer would be reported as a skip by a session that never wanted it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the modules here alone unless the marks that are asked for can be theirs."""
    asked = config.getoption("markexpr")
    if asked and re.search(r"(?<!\bnot )\bpeers\b", asked) is None and collection_path.suffix == ".py":
        return True
    return None
