"""The tables of formats in docs/formats.md are true: each row's file is made, and read or refused as the row says."""

from __future__ import annotations

import format_rows
import pytest

BY_A_FRAMEWORK = [pytest.mark.peers, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")]
EVERY = {**format_rows.ROWS, **format_rows.PEER_ROWS}


def test_every_row_has_a_file_and_every_file_a_row():
    assert sorted(format_rows.table()) == sorted(EVERY)


@pytest.mark.parametrize(
    "name", [*format_rows.ROWS, *(pytest.param(name, marks=BY_A_FRAMEWORK) for name in format_rows.PEER_ROWS)]
)
def test_what_a_row_says_is_true(name, tmp_path):
    if name in format_rows.PEER_ROWS:
        pytest.importorskip("torch")
    format_rows.hold(name, EVERY[name], tmp_path)
