"""Zip archives that nobody vouches for: each member once, whole or a beginning, and never more than a budget allows."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

import gatewise as gw
from gatewise.files.budget import Budget
from gatewise.interop.containers.zips import ZipMembers

PACKED = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED}


def written(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def opened(path):
    return ZipMembers(path, Budget.of(path))


@pytest.mark.parametrize("method", PACKED.values(), ids=PACKED)
def test_members_are_read_whole_in_part_and_as_a_file(method, tmp_path):
    data = np.random.default_rng(0).bytes(3_000_000) + bytes(50_000)
    archive = opened(written(tmp_path / "file", [("a", b""), ("b", data)], method))
    assert archive.names == ("a", "b")
    assert "a" in archive
    assert archive.size("b") == len(data)
    assert (archive.member("a"), archive.member("b"), archive.member("b", 5)) == (b"", data, data[:5])
    with archive:
        assert archive.member("b", 5) == archive.member("b", 6)[:5]
        with archive.stream("b") as file:
            assert file.seek(0, 2) == len(data)
            file.seek(100)
            assert (file.read(7), file.read()) == (data[100:107], data[107:])


def test_a_member_that_is_missing_or_there_twice_is_refused(tmp_path):
    path = tmp_path / "file"
    with pytest.warns(UserWarning, match="Duplicate"):
        written(path, [("a", b"1"), ("b", b"2"), ("a", b"3")])
    archive = opened(path)
    assert archive.twice == {"a"}
    assert archive.member("b") == b"2"
    with pytest.raises(gw.FileError, match="several members 'a'"):
        archive.member("a")
    with pytest.raises(gw.FileError, match="'c' is missing; it has 'a', 'b'"):
        archive.member("c")


JOINED = {  # what joins two archives, and whether the bytes that no member has lie before the archive or behind it
    "two archives": (lambda one, other: one + other, "before"),
    "an archive and a few bytes": (lambda one, other: one + b"\n", "behind"),
    "an archive and half of another": (lambda one, other: one + other[: len(other) // 2], "behind"),
    "a few bytes and an archive": (lambda one, other: b"PK\x03\x04" + one, "before"),
    "an archive in the comment of another": (
        lambda one, other: one[:-2] + len(other).to_bytes(2, "little") + other,
        "before",
    ),
}


@pytest.mark.parametrize("how", JOINED)
def test_bytes_that_are_not_of_the_archive_are_refused(how, tmp_path):
    paths = [written(tmp_path / name, [("a", name.encode())]) for name in ("one", "other")]
    join, place = JOINED[how]
    paths[0].write_bytes(join(*(path.read_bytes() for path in paths)))
    with pytest.raises(gw.FileError, match=f"it has bytes {place} its zip archive"):
        opened(paths[0])


def test_an_archive_may_have_a_comment(tmp_path):
    path = written(tmp_path / "file", [("a", b"1")])
    path.write_bytes(path.read_bytes()[:-2] + b"\x05\x00hello")
    assert opened(path).member("a") == b"1"


@pytest.mark.parametrize("method", PACKED.values(), ids=PACKED)
def test_a_damaged_member_is_refused(method, tmp_path):
    path = written(tmp_path / "file", [("a", bytes(range(256)) * 9)], method)
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    with pytest.raises(gw.FileError, match="'a' is damaged"):
        opened(path).member("a")
    with pytest.raises(gw.FileError, match="'a' is damaged"), opened(path).stream("a") as file:
        file.read()


@pytest.mark.usefixtures("small_budgets")
def test_what_unpacks_to_more_than_the_budget_allows_is_refused_before_that(tmp_path):
    archive = opened(written(tmp_path / "file", [("a", bytes(2**23 + 1))], zipfile.ZIP_DEFLATED))
    with pytest.raises(gw.FileError, match=r"'a' would bring what it takes to 8 MiB of memory; 8 MiB are allowed"):
        archive.member("a")
    assert archive.member("a", 10) == bytes(10)


@pytest.mark.usefixtures("small_budgets")
def test_each_reading_of_a_member_counts(tmp_path):
    archive = opened(written(tmp_path / "file", [("a", bytes(2**21))], zipfile.ZIP_DEFLATED))
    for _ in range(4):
        archive.member("a")
    with pytest.raises(gw.FileError, match="10 MiB"):
        archive.member("a")
