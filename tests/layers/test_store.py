from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.backends import Cache
from tts.errors import ConfigError
from tts.layers import store as module
from tts.layers.store import Store, open_store, store_path

OPERATIONS = st.lists(st.tuples(st.binary(min_size=1, max_size=1), st.binary(max_size=40)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "calls.sqlite"


def test_what_was_kept_is_found_again(path: Path) -> None:
    with open_store(Cache(path=path)) as store:
        store.put(b"k", b"answer")
        assert store.get(b"k") == b"answer"
    with open_store(Cache(path=path)) as store:
        assert (store.get(b"k"), store.get(b"other")) == (b"answer", None)
    with open_store(Cache(path=path)) as store:
        stats = store.stats()
        assert (stats.entries, stats.bytes, stats.hits, stats.misses) == (1, 6, 2, 1)


@given(OPERATIONS)
def test_totals_are_those_of_a_dictionary(operations: list[tuple[bytes, bytes]]) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    module._lay_out(connection)
    connection.execute("PRAGMA recursive_triggers = ON")
    store = Store(connection, max_bytes=1e9, max_seconds=1e9)
    oracle: dict[bytes, bytes] = {}
    for key, answer in operations:
        store.put(key, answer)
        oracle[key] = answer
    assert store.stats().entries == len(oracle)
    assert store.stats().bytes == sum(map(len, oracle.values()))
    assert all(store.get(key) == answer for key, answer in oracle.items())
    store.close()


def test_the_oldest_go_when_there_is_too_much(path: Path) -> None:
    with open_store(Cache(path=path, max_megabytes=0.001)) as store:
        for index in range(100):
            store.put(b"%d" % index, b"x" * 100)
            assert store.stats().bytes <= 1000
        assert store.get(b"99") == b"x" * 100
        assert store.get(b"80") is None


def test_what_is_too_old_is_not_found_and_goes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    with open_store(Cache(path=path, max_days=1.0)) as store:
        store.put(b"k", b"answer")
        monkeypatch.setattr(time, "time", lambda: now + 90_000.0)
        assert store.get(b"k") is None
        store.put(b"new", b"answer")
        assert store.stats().entries == 1


def test_a_cleared_store_is_empty(path: Path) -> None:
    with open_store(Cache(path=path)) as store:
        store.put(b"k", b"x" * 100_000)
        assert store.clear() == 1
        assert store.stats() == (0, 0, 0, 0, None)
        assert store.get(b"k") is None


def test_only_its_owner_can_read_it(path: Path) -> None:
    with open_store(Cache(path=path)) as store:
        store.put(b"k", b"answer")
        modes = [stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()]
    assert modes == [0o600] * 3


def test_a_file_that_is_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    text, other = tmp_path / "notes.txt", tmp_path / "other.sqlite"
    text.write_text("my notes " * 1000)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    for path in (text, other, tmp_path):
        with pytest.raises(ConfigError, match=r"cache"), open_store(Cache(path=path)):
            raise AssertionError
    assert text.read_text() == "my notes " * 1000


def test_a_locked_file_holds_nobody_up_and_loses_nothing(path: Path) -> None:
    with open_store(Cache(path=path)) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        store.put(b"a", b"1")
        assert (store.get(b"a"), store.failure) == (b"1", None)
        assert other.execute("SELECT count(*) FROM answers").fetchone() == (0,)
        other.execute("COMMIT")
        store.put(b"b", b"2")
        assert other.execute("SELECT count(*) FROM answers").fetchone() == (2,)
        other.close()


def test_a_file_that_fails_costs_no_call(path: Path) -> None:
    with open_store(Cache(path=path)) as store:
        store.connection.execute("DROP TABLE totals")
        store.put(b"a", b"1")
        assert store.get(b"a") is None
        store.connection.execute("DROP TABLE answers")
        assert store.get(b"a") is None
        assert isinstance(store.failure, sqlite3.Error)


def test_the_users_own_file_is_in_the_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store_path(Cache()) == tmp_path / "tts" / "calls.sqlite"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store_path(Cache()) == tmp_path / ".cache" / "tts" / "calls.sqlite"
    assert store_path(Cache(path=Path("~/x"))) == tmp_path / "x"


@pytest.mark.long
def test_several_processes_share_a_file(path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from tts.backends import Cache
from tts.layers.store import open_store
with open_store(Cache(path=Path({str(path)!r}))) as store:
    for index in range(300):
        store.put(b"%s-%d" % (sys.argv[1].encode(), index), b"x" * 50)
        store.put(b"shared-%d" % index, b"y" * 50)
    assert store.failure is None, store.failure
"""
    workers = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    with open_store(Cache(path=path)) as store:
        assert store.stats()[:2] == (1200, 60_000)
        assert all(store.get(b"%d-%d" % (n, i)) for n in range(3) for i in range(300))
