"""What docs/supported.md says of files is true: each is made, and read, or refused as the page says."""

from __future__ import annotations

import format_rows
import pytest

BY_A_FRAMEWORK = [pytest.mark.peers, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")]
EVERY = {**format_rows.ROWS, **format_rows.PEER_ROWS}


def test_every_file_is_read_or_refused_on_the_page():
    assert sorted([*format_rows.READ, *format_rows.refused()]) == sorted(EVERY)


@pytest.mark.parametrize(
    "name", [*format_rows.ROWS, *(pytest.param(name, marks=BY_A_FRAMEWORK) for name in format_rows.PEER_ROWS)]
)
def test_what_is_said_of_a_file_is_true(name, tmp_path):
    if name in format_rows.PEER_ROWS:
        pytest.importorskip("torch")
    format_rows.hold(name, EVERY[name], tmp_path)
