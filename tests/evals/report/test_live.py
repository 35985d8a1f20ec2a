from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import aiohttp
import anyio
import pytest

from tests.evals.report.samples import cells, fill, row
from tts import ConfigError
from tts.evals.report.live import Live, serve
from tts.evals.store import RunStore


@asynccontextmanager
async def served(
    path: Path, share: float = 1.0
) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    async with anyio.create_task_group() as group, aiohttp.ClientSession() as session:
        address = await group.start(serve, Live([path], share=share), 0)
        yield address, session
        group.cancel_scope.cancel()


def test_the_page_tells_of_each_new_row(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    planned = cells(["g"])
    with RunStore(path) as store:
        store.tell({"equal": ["total"]})
        store.plan(planned)

        async def watch() -> None:
            async with served(tmp_path) as (address, session):
                async with session.get(address) as answer:
                    assert "script-src 'sha256-" in answer.headers["Content-Security-Policy"]
                    assert '"live":true' in await answer.text()
                async with session.get(f"{address}summary.json") as answer:
                    tag = answer.headers["ETag"]
                    assert (await answer.json())["results"] == []
                asked = {"If-None-Match": tag}
                async with session.get(f"{address}summary.json", headers=asked) as answer:
                    assert answer.status == 304
                store.add(row(planned[0], 3, 0.5))
                async with session.get(f"{address}summary.json", headers=asked) as answer:
                    assert answer.status == 200
                    (result,) = (await answer.json())["results"]
                where = {"run": "0", "cell": result["cell"], "example": "p3"}
                async with session.get(f"{address}detail.json", params=where) as answer:
                    assert len((await answer.json())["draws"]) == 16

        anyio.run(watch)


def test_a_view_leaves_the_processor_to_the_bench(tmp_path: Path) -> None:
    fill(tmp_path / "run.sqlite", problems=1)

    async def again() -> int:
        async with served(tmp_path, share=1e-9) as (address, session):
            async with session.get(f"{address}summary.json") as answer:
                asked = {"If-None-Match": answer.headers["ETag"]}
            with RunStore(tmp_path / "run.sqlite") as store:
                store.add(row(cells()[0], 7, 0.5))
            async with session.get(f"{address}summary.json", headers=asked) as answer:
                return answer.status

    assert anyio.run(again) == 304


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("run=x&cell=a&example=b", 400),
        ("run=7&cell=a&example=b", 404),
        ("run=0&cell=a&example=b", 404),
    ],
)
def test_details_that_are_not_there_are_refused(store: Path, query: str, status: int) -> None:
    async def ask() -> int:
        async with (
            served(store) as (address, session),
            session.get(f"{address}detail.json?{query}") as answer,
        ):
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            return answer.status

    assert anyio.run(ask) == status


def test_a_page_that_waits_does_not_hold_up_the_end(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = anyio.Event()

    async def never(self: Live) -> None:
        asked.set()
        await anyio.sleep_forever()

    monkeypatch.setattr(Live, "_contents", never)

    async def end() -> None:
        with anyio.fail_after(30):  # half of what aiohttp would wait
            async with aiohttp.ClientSession() as session, anyio.create_task_group() as group:
                address = await group.start(serve, Live([store]), 0)

                async def look() -> None:
                    with suppress(aiohttp.ClientError):
                        await session.get(address)

                group.start_soon(look)
                await asked.wait()
                group.cancel_scope.cancel()

    anyio.run(end)
    assert asked.is_set()


def test_a_foreign_name_of_this_server_reads_nothing(store: Path) -> None:
    async def ask(host: str) -> int:
        async with (
            served(store) as (address, session),
            session.get(address, headers={"Host": host}) as answer,
        ):
            assert answer.headers["X-Frame-Options"] == "DENY"
            return answer.status

    assert anyio.run(ask, "evil.example:80") == 403
    assert anyio.run(ask, "evil.example") == 403
    assert anyio.run(ask, "localhost:8321") == 200


@pytest.mark.parametrize(
    ("host", "status"), [("evil.example:80", 403), ("10.1.2.3:80", 200), ("[fe80::1]:80", 200)]
)
def test_all_addresses_of_a_machine_are_no_foreign_names(
    store: Path, host: str, status: int
) -> None:
    async def ask() -> int:
        async with aiohttp.ClientSession() as session, anyio.create_task_group() as group:
            address = await group.start(serve, Live([store], "0.0.0.0"), 0)
            address = address.replace("0.0.0.0", "127.0.0.1")
            async with session.get(address, headers={"Host": host}) as answer:
                group.cancel_scope.cancel()
                return answer.status
        raise AssertionError

    assert anyio.run(ask) == status


def test_another_run_in_the_same_place_is_shown_and_a_deleted_one_is_told(tmp_path: Path) -> None:
    place = tmp_path / "run.sqlite"
    fill(place, problems=2, tasks=["graphs-4"])
    fill(tmp_path / "other.sqlite", problems=2, tasks=["graphs-6"])  # as many rows

    async def watch() -> None:
        async with served(place) as (address, session):
            async with session.get(f"{address}summary.json") as answer:
                asked = {"If-None-Match": answer.headers["ETag"]}
            (tmp_path / "other.sqlite").replace(place)
            async with session.get(f"{address}summary.json", headers=asked) as answer:
                assert answer.status == 200
                assert (await answer.json())["entries"][0]["task"] == "graphs-6"
            place.unlink()
            async with session.get(f"{address}summary.json") as answer:
                assert answer.status == 503
                assert "no run store here" in await answer.text()

    anyio.run(watch)


def test_a_store_that_cannot_be_read_is_told_and_foreign_pages_still_read_nothing(
    tmp_path: Path,
) -> None:
    place = fill(tmp_path / "run.sqlite", problems=1)

    async def watch() -> None:
        async with served(place) as (address, session):
            with closing(sqlite3.connect(place)) as store:
                store.execute("DROP TABLE rows")
            for asked in ("", "summary.json", "detail.json?run=0&cell=x&example=y"):
                async with session.get(f"{address}{asked}") as answer:
                    assert answer.status == 503
                    assert "the run store cannot be read: no such table" in await answer.text()
                    assert answer.headers["X-Frame-Options"] == "DENY"
                    assert answer.headers["Cache-Control"] == "no-store"

    anyio.run(watch)


def test_an_address_that_cannot_be_had_is_told(store: Path) -> None:
    async def twice() -> None:
        async with served(store) as (address, _):
            port = int(address.rstrip("/").rpartition(":")[2])
            with pytest.raises(ConfigError, match=r"cannot serve on 127\.0\.0\.1"):
                await serve(Live([store]), port)

    anyio.run(twice)


def test_a_wrong_run_is_told_before_anything_is_served(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run store"):
        Live([tmp_path / "x.sqlite"])
    fill(tmp_path / "run.sqlite", problems=1)
    assert Live([tmp_path]).paths == [tmp_path / "run.sqlite"]
