"""Sealed octets: ranges, truncation, swapping, wrong keys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.disk.blobs import INLINE, Blobs
from data.disk.seal import CHUNK, HEADER, TAG, Keys, Opener, Sealer, load_master_key, stored_size
from data.errors import Corrupt, DiskFull, Unavailable, WrongKey

KEYS = Keys(bytes(range(32)))


def seal(data: bytes, name: bytes = b"n", step: int = 10_000) -> tuple[bytes, bytes]:
    sealer = Sealer(KEYS, name)
    out = sealer.header
    for at in range(0, len(data), step):
        out += sealer.feed(data[at : at + step])
    return out + sealer.finish(), sealer.wrapped


def opener(stored: bytes, wrapped: bytes, size: int, name: bytes = b"n", keys: Keys = KEYS) -> Opener:
    return Opener(keys, name, wrapped, size, lambda at, n: stored[at : at + n])


@given(
    st.sampled_from([0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7]),
    st.integers(0, 4 * CHUNK),
    st.integers(0, 4 * CHUNK),
    st.integers(1, CHUNK * 2),
)
def test_any_range_reads_as_plain(size: int, start: int, stop: int, step: int) -> None:
    data = bytes(i * 7 % 251 for i in range(size))
    stored, wrapped = seal(data, step=step)
    assert len(stored) == stored_size(size)
    assert opener(stored, wrapped, size).read(start, stop) == data[start:stop]


@pytest.mark.parametrize("size", [0, 5, CHUNK, 2 * CHUNK + 5])
def test_a_flipped_bit_a_cut_and_a_wrong_name_are_found(size: int) -> None:
    data = os.urandom(size)
    stored, wrapped = seal(data)
    for at in {8, HEADER, len(stored) - 1}:
        bad = bytearray(stored)
        bad[at] ^= 1
        with pytest.raises(Corrupt):
            opener(bytes(bad), wrapped, max(size, 1)).read(0, max(size, 1))
    with pytest.raises(Corrupt):
        opener(stored[:-1], wrapped, max(size, 1)).read(0, max(size, 1))
    with pytest.raises(Corrupt):
        opener(stored, wrapped, size, name=b"m")


def test_chunks_cannot_be_swapped_or_dropped_at_the_end() -> None:
    data = os.urandom(3 * CHUNK)
    stored, wrapped = seal(data)
    one = CHUNK + TAG
    chunks = [stored[HEADER + n * one : HEADER + (n + 1) * one] for n in range(3)]
    swapped = stored[:HEADER] + chunks[1] + chunks[0] + chunks[2]
    with pytest.raises(Corrupt):
        opener(swapped, wrapped, 3 * CHUNK).read(0, 10)
    shorter = stored[:HEADER] + chunks[0] + chunks[1]
    with pytest.raises(Corrupt):
        opener(shorter, wrapped, 2 * CHUNK).read(0, 2 * CHUNK)


def test_another_master_key_opens_nothing() -> None:
    stored, wrapped = seal(b"secret")
    with pytest.raises(Corrupt):
        opener(stored, wrapped, 6, keys=Keys(b"x" * 32))


def test_nothing_of_the_plain_text_is_stored(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs", KEYS)
    blobs.prepare_directories()
    canary = b"canary-in-the-mine"
    small = blobs.stage(canary * 10)
    assert small.data is not None
    assert canary not in small.data
    big = blobs.stage(canary * 20_000)
    assert big.data is None
    assert all(canary not in p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())


def test_small_rests_in_the_row_and_large_in_a_file(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs", KEYS)
    blobs.prepare_directories()
    for size in (0, 1, INLINE, INLINE + 1, 3 * INLINE + 5):
        data = os.urandom(size)
        staged = blobs.stage(data)
        assert (staged.data is not None) == (size <= INLINE)
        assert staged.stored_size == stored_size(size)
        assert staged.digest == KEYS.digest(data)
        content = blobs.open(staged.name, staged.wrapped, size, int(staged.data is not None), staged.data)
        assert content.read(0, size) == data
        assert b"".join(content.pieces(3, size, 1000)) == data[3:]
        if staged.data is None:
            assert blobs.path(staged.name).stat().st_mode & 0o777 == 0o600
            blobs.discard(staged)
            assert not blobs.path(staged.name).exists()
    assert list((tmp_path / "blobs" / "tmp").iterdir()) == []


def test_a_writer_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs", KEYS)
    blobs.prepare_directories()
    writer = blobs.writer()
    writer.feed(os.urandom(INLINE + 10))
    assert len(list((tmp_path / "blobs" / "tmp").iterdir())) == 1
    writer.discard()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_temporary_file_of_a_crash_is_swept(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs", KEYS)
    blobs.prepare_directories()
    (tmp_path / "blobs" / "tmp" / "left").write_bytes(b"x")
    assert blobs.sweep_temporary() == 1
    assert blobs.sweep_temporary() == 0


@pytest.mark.parametrize("text", [b"", b"short", b"zz" * 32, b"0" * 63])
def test_a_key_file_that_is_none_is_named(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(text)
    with pytest.raises(WrongKey) as caught:
        load_master_key(path)
    assert str(path) in caught.value.public


def test_a_missing_key_is_named_and_hex_and_raw_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    with pytest.raises(WrongKey) as caught:
        load_master_key(path)
    assert "cannot be read" in caught.value.public
    raw = bytes(range(1, 33))
    path.write_bytes(raw)
    one = load_master_key(path)
    path.write_text(raw.hex() + "\n")
    assert load_master_key(path).unwrap(one.wrap(b"s", b"c"), b"c") == b"s"
    with pytest.raises(Corrupt):
        one.unwrap(one.wrap(b"s", b"c"), b"d")


def test_an_fsync_that_fails_is_fatal_and_a_full_disk_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = Blobs(tmp_path / "blobs", KEYS)
    blobs.prepare_directories()
    told: list[str] = []
    blobs.on_fatal = told.append
    for number, kind in ((28, DiskFull), (5, Unavailable)):

        def broken(fd: int, number: int = number) -> None:
            raise OSError(number, "no")

        monkeypatch.setattr(os, "fsync", broken)
        with pytest.raises(kind):
            blobs.stage(b"x" * (INLINE + 1))
        monkeypatch.undo()
        assert bool(told) == (number == 5)


def test_a_file_its_name_and_its_row_become_durable_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RELIABILITY §1.2 step 4: octets, then the name, then the directory; all of it before `finish` returns."""
    blobs = Blobs(tmp_path / "blobs", KEYS)
    blobs.prepare_directories()
    done: list[tuple[str, int]] = []
    fsync, rename = os.fsync, os.rename

    def watched_fsync(fd: int) -> None:
        fsync(fd)
        done.append(("fsync", os.fstat(fd).st_ino))
        sizes.append(os.fstat(fd).st_size)

    def watched_rename(old: Path, new: Path) -> None:
        rename(old, new)
        done.append(("rename", os.stat(new).st_ino))

    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "rename", watched_rename)
    path = blobs.path(blobs.stage(b"x" * (INLINE + 1)).name)
    file, shard = path.stat(), path.parent.stat()
    assert done == [("fsync", file.st_ino), ("rename", file.st_ino), ("fsync", shard.st_ino)]
    assert sizes[0] == file.st_size == stored_size(INLINE + 1)
