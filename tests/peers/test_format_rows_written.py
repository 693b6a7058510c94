"""The rows of docs/formats.md whose files a framework writes."""

from __future__ import annotations

import format_rows
import pytest

pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")]


@pytest.mark.parametrize("name", format_rows.PEER_ROWS)
def test_what_a_row_says_is_true(name, tmp_path):
    format_rows.hold(name, format_rows.PEER_ROWS[name], tmp_path)
