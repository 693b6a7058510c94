"""The table of formats in docs/formats.md is true: each row's file is made, and read or refused as the row says."""

from __future__ import annotations

import format_rows
import pytest


def test_every_row_has_a_file_and_every_file_a_row():
    assert list(format_rows.table()) == [*format_rows.ROWS, *format_rows.PEER_ROWS]


@pytest.mark.parametrize("name", format_rows.ROWS)
def test_what_a_row_says_is_true(name, tmp_path):
    format_rows.hold(name, format_rows.ROWS[name], tmp_path)
