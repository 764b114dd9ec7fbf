"""The index writer: batches, crashes between its steps, damage, rebuilding, merging, removal, and what lies on the disk."""

from __future__ import annotations

import random
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from data.disk.seal import Keys
from data.errors import Corrupt
from data.index import outbox, segments
from data.index.segments import Interrupted, Lost
from data.index.storage import Chunks, SealedStorage
from data.index.writer import BATCH, Step
from data.store.keys import Flag
from tests.unit.data.conftest import message

if TYPE_CHECKING:
    from tests.unit.data.index.conftest import Library


def folder(library: Library) -> Path:
    return library.index.root / str(library.kit.ann.account)


def fill(library: Library, count: int, word: str = "common") -> None:
    for n in range(count):
        library.kit.add(message(f"number {n}", f"{word} text{n}\r\n"))


def waiting(library: Library) -> int:
    return library.index.writer.status(library.kit.ann.account).waiting


def test_batches_are_small(library: Library) -> None:
    fill(library, BATCH + 5)
    assert library.drain() == [Step.REBUILD, Step.BATCH, Step.BATCH]
    status = library.index.writer.status(library.kit.ann.account)
    assert (status.ready, status.indexed, status.waiting, status.segments) == (True, BATCH + 5, 0, 2)
    assert status.octets > 0
    assert len(library.uids("common")) == BATCH + 5
    assert library.uids("text7") == [8]


def test_a_batch_that_was_done_already_is_not_done_twice(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(library, 3)
    library.drain()
    fill(library, 2, "later")
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "done", lambda *_: (_ for _ in ()).throw(RuntimeError("the process ended here")))
        with pytest.raises(RuntimeError):
            library.drain()
    assert waiting(library) == 2
    assert library.uids("later") == [4, 5]
    library.drain()
    assert library.index.writer.status(library.kit.ann.account).indexed == 5
    assert library.uids("later") == [4, 5]


def delete_everything(path: Path) -> None:
    shutil.rmtree(path)


def empty_the_directory(path: Path) -> None:
    for one in path.iterdir():
        one.unlink()


def cut_everything(path: Path) -> None:
    for one in path.iterdir():
        one.write_bytes(one.read_bytes()[:20])


def flip_every_octet_somewhere(path: Path) -> None:
    for one in path.iterdir():
        data = bytearray(one.read_bytes())
        data[len(data) // 2] ^= 1
        one.write_bytes(data)


def flip_in_the_lists(path: Path) -> None:
    for one in path.glob("*.pst"):
        data = bytearray(one.read_bytes())
        data[-5] ^= 1
        one.write_bytes(data)


def delete_the_terms(path: Path) -> None:
    for one in path.glob("*.trm"):
        one.unlink()


def swap_two_files(path: Path) -> None:
    (terms,), (lists,) = path.glob("*.trm"), path.glob("*.pst")
    one, two = terms.read_bytes(), lists.read_bytes()
    terms.write_bytes(two)
    lists.write_bytes(one)


HARM = [
    delete_everything,
    empty_the_directory,
    cut_everything,
    flip_every_octet_somewhere,
    flip_in_the_lists,
    delete_the_terms,
    swap_two_files,
]


@pytest.mark.parametrize("harm", HARM, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_G7_a_damaged_index_is_complete_again_by_itself(library: Library, harm: object, warm: bool) -> None:
    fill(library, 6)
    library.drain()
    assert not warm or len(library.uids("common")) == 6
    if not warm:
        library.index.close()
    library.lost.clear()
    harm(folder(library))  # type: ignore[operator]
    fill(library, 2)
    for _ in range(2):
        assert library.uids("common") == [1, 2, 3, 4, 5, 6, 7, 8]
        assert library.uids("text3") == [4]
        library.drain()
    # what is still open may serve a while; the next opening finds the damage
    library.index.close()
    assert library.uids("common") == [1, 2, 3, 4, 5, 6, 7, 8]
    library.drain()
    assert library.uids("common") == [1, 2, 3, 4, 5, 6, 7, 8]
    status = library.index.writer.status(library.kit.ann.account)
    assert (status.ready, status.indexed, status.waiting) == (True, 8, 0)
    assert len(library.lost) == 1


def test_C16_an_index_older_than_its_record_is_made_again(library: Library, tmp_path: Path) -> None:
    fill(library, 3)
    library.drain()
    shutil.copytree(folder(library), tmp_path / "old")
    fill(library, 3, "later")
    library.drain()
    library.index.close()
    shutil.rmtree(folder(library))
    shutil.copytree(tmp_path / "old", folder(library))
    assert library.uids("later") == [4, 5, 6]
    library.drain()
    assert library.uids("later") == [4, 5, 6]
    assert library.index.writer.status(library.kit.ann.account).indexed == 6


def test_an_index_of_another_version_is_made_again(library: Library) -> None:
    fill(library, 3)
    library.drain()
    kit, account = library.kit, library.kit.ann.account
    with kit.db.read() as reader:
        found = outbox.record(reader, account)
    assert found is not None
    older = outbox.Record(found.name, found.generation, found.version - 1)
    kit.db.write(lambda tx: outbox.put_record_in(tx, account, older))
    assert library.uids("common") == [1, 2, 3]
    assert library.drain()[0] is Step.REBUILD
    assert library.uids("common") == [1, 2, 3]
    assert library.drain() == []


def test_a_rebuild_tells_how_far_it_is(library: Library) -> None:
    fill(library, BATCH + 20)
    library.drain()
    told: list[tuple[int, int]] = []
    account = library.kit.ann.account
    assert library.index.writer.rebuild(account, lambda *step: told.append(step)) == BATCH + 20
    assert told[-1] == (BATCH + 20, BATCH + 20)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(library.uids("common")) == BATCH + 20


def test_a_search_that_found_damage_which_is_mended_asks_for_nothing(library: Library) -> None:
    fill(library, 2)
    library.drain()
    library.lost.clear()
    library.index.writer.lost(library.kit.ann.account, None)
    assert library.drain() == []
    assert library.lost == []


def test_at_start_an_index_that_is_lost_is_made_again_before_anybody_asks(library: Library) -> None:
    fill(library, 3)
    library.drain()
    assert library.index.writer.check()
    assert library.drain() == []
    delete_everything(folder(library))
    library.index.close()
    assert library.index.writer.check()
    assert library.drain() == [Step.REBUILD, Step.BATCH]
    assert library.index.writer.status(library.kit.ann.account).indexed == 3


def test_segments_are_merged_in_quiet_hours(library: Library) -> None:
    for n in range(segments.WIDTH_QUIET):
        library.kit.add(message(f"number {n}", f"common text{n}\r\n"))
        while library.index.writer.step() is not Step.BATCH:
            pass
    account = library.kit.ann.account
    assert library.index.writer.status(account).segments == segments.WIDTH_QUIET
    assert Step.MERGE in library.drain()
    status = library.index.writer.status(account)
    assert (status.segments, status.indexed) == (1, segments.WIDTH_QUIET)
    assert library.uids("text3") == [4]
    assert library.uids('"common text5"') == [6]
    assert {path.suffix for path in folder(library).iterdir()} == {".toc", ".trm", ".pst", ".col"}
    assert len(list(folder(library).iterdir())) <= 6


def test_a_merge_that_is_given_up_leaves_everything_as_it_was(library: Library) -> None:
    for n in range(segments.WIDTH_QUIET):
        library.kit.add(message(f"number {n}", f"common text{n}\r\n"))
        while library.index.writer.step() is not Step.BATCH:
            pass
    assert library.index.writer.step(lambda: False) is Step.MERGE
    assert library.index.writer.status(library.kit.ann.account).segments == segments.WIDTH_QUIET
    assert len(library.uids("common")) == segments.WIDTH_QUIET
    library.drain()
    assert library.index.writer.status(library.kit.ann.account).segments == 1


def test_what_is_removed_leaves_the_disk_with_the_next_merge(library: Library) -> None:
    fill(library, 4)
    library.drain()
    kit = library.kit
    kit.store.flags.store(kit.ann, kit.box(), ((1, 3),), "+", Flag.DELETED, frozenset())
    kit.store.messages.expunge(kit.ann, kit.box(), None)
    kit.store.sweep.run()
    assert library.drain() == [Step.BATCH, Step.MERGE]
    status = library.index.writer.status(kit.ann.account)
    assert (status.indexed, status.segments) == (1, 1)
    assert library.uids("common") == [4]


def test_a_message_that_went_before_it_was_indexed_is_no_trouble(library: Library) -> None:
    fill(library, 2)
    kit = library.kit
    kit.store.flags.store(kit.ann, kit.box(), ((1, 1),), "+", Flag.DELETED, frozenset())
    kit.store.messages.expunge(kit.ann, kit.box(), None)
    kit.store.sweep.run()
    library.drain()
    assert library.uids("common") == [2]
    assert waiting(library) == 0


def test_searching_while_it_is_written_is_always_complete(library: Library) -> None:
    fill(library, 40)
    wrong: list[object] = []
    stop = threading.Event()

    def search() -> None:
        while not stop.is_set():
            found = len(library.find("common").hits)
            if found != 40:
                wrong.append(found)
                return

    readers = [threading.Thread(target=search) for _ in range(2)]
    for one in readers:
        one.start()
    writer, account = library.index.writer, library.kit.ann.account
    for _ in range(6):
        writer.rebuild(account, lambda done, total: None)
        library.drain()
    stop.set()
    for one in readers:
        one.join()
    assert wrong == []


def test_G20_nothing_of_a_message_lies_on_the_disk_in_plain(library: Library) -> None:
    for n in range(20):
        library.kit.add(message(f"canarysubject{n}", "canarybody canarybody\r\n", From="canarysender@example.org"))
        while library.index.writer.step() is not Step.BATCH:
            pass
    library.drain()
    library.kit.add(message("canarylast", "canarybody\r\n"))
    library.drain()
    assert len(library.uids("canarybody")) == 21
    files = [path for path in library.index.root.rglob("*") if path.is_file()]
    assert files
    for path in files:
        data = path.read_bytes()
        assert b"canary" not in data, path
        assert b"text" not in data, path
    # the same question of a file that is not sealed: the test can fail
    plain = library.index.root / "plain"
    plain.write_bytes(b"canarybody")
    assert b"canary" in plain.read_bytes()


# --- the storage ------------------------------------------------------------------------------------------------------


@pytest.fixture
def storage(tmp_path: Path, keys: Keys) -> SealedStorage:
    (tmp_path / "files").mkdir()
    return SealedStorage(tmp_path / "files", b"index/1", keys, Chunks(200_000))


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 300_000])
def test_a_sealed_file_reads_as_it_was_written(storage: SealedStorage, size: int) -> None:
    data = random.Random(size).randbytes(size)
    with storage.create_file("a") as file:
        for at in range(0, size, 1000):
            file.write(data[at : at + 1000])
        assert file.tell() == size
    assert storage.file_length("a") == size
    with storage.open_file("a") as file:
        assert file.read() == data
        for at in (0, 1, size // 2, 65530, size - 3):
            assert file.get(max(at, 0), 10) == data[max(at, 0) : max(at, 0) + 10]
        file.seek(size // 3)
        assert file.read(7) == data[size // 3 : size // 3 + 7]


def test_numbers_and_objects(storage: SealedStorage) -> None:
    big = {"words": ["x" * 50] * 5000}
    with storage.create_file("a") as file:
        file.write_int(-5)
        file.write_pickle((1, 2.5))
        file.write_pickle(big)
        file.write_long(1 << 40)
    with storage.open_file("a") as file:
        assert file.read_int() == -5
        assert file.read_pickle() == (1, 2.5)
        assert file.read_pickle() == big
        assert file.read_long() == 1 << 40


def test_a_file_opens_under_its_own_name_and_account_only(storage: SealedStorage, tmp_path: Path, keys: Keys) -> None:
    with storage.create_file("a") as file:
        file.write(b"data")
    (tmp_path / "files" / "b").write_bytes((tmp_path / "files" / "a").read_bytes())
    other = SealedStorage(tmp_path / "files", b"index/2", keys, Chunks())
    for where, name in ((storage, "b"), (other, "a")):
        with pytest.raises(Corrupt):
            where.open_file(name).read()


def test_the_cache_is_bounded(storage: SealedStorage, keys: Keys) -> None:
    with storage.create_file("a") as file:
        file.write(bytes(2_000_000))
    chunks = storage._chunks
    with storage.open_file("a") as file:
        assert file.read() == bytes(2_000_000)
        assert 0 < chunks.held <= 200_000
    assert chunks.held == 0


def test_what_goes_wrong_in_reading_is_lost_but_a_want_of_resources_is_not() -> None:
    with pytest.raises(Lost), segments.reading():
        raise KeyError("x")
    with pytest.raises(OSError, match="Too many"), segments.reading():
        raise OSError(24, "Too many open files")
    with pytest.raises(Interrupted), segments.reading():
        raise Interrupted
