"""The report of a run while it runs: a small server for one's own browser.

It answers when asked and does nothing in between: the page asks for the summary every two seconds
while it is looked at, and gets "not modified" unless a problem has been finished since.
"""

from __future__ import annotations

import ipaddress
import math
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import anyio
from aiohttp import web
from anyio import to_thread
from anyio.abc import TaskStatus

from tts.errors import ConfigError
from tts.evals.report.contents import Contents, contents
from tts.evals.report.details import detail
from tts.evals.report.page import encoded, page, policy
from tts.evals.report.runs import load, store_path, stored_row
from tts.evals.store import RunStore, StoreFailed

__all__ = ["Live", "serve"]

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_LAST_WORDS: Final = 1.0
"""Seconds that requests under way have when the server ends."""
_INDEX_HEADER: Final = 48
_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")


class Live:
    """The pages of some runs.

    Args:
        paths: Run stores, or the folders they lie in.
        host: The address it is served on: requests must name it, or a name of this machine's
            loopback, so that a foreign page cannot read the runs through a name of its own. Where
            it is all addresses (0.0.0.0), requests may name any address, or this machine.
        share: Most of the time that it spends on reading, in (0, 1]: a store that takes long to
            read is read more rarely, so that a bench beside it keeps its processor.

    Raises:
        ConfigError: If a path is no run store.
        StoreFailed: If one cannot be read.
    """

    def __init__(
        self, paths: Sequence[Path], host: str = "127.0.0.1", *, share: float = 0.1
    ) -> None:
        self.paths = [store_path(path) for path in paths]
        self.host, self.share = host, share
        self._rests_until = -math.inf
        self._lock = anyio.Lock()
        self._made: tuple[str, Contents] | None = None
        load(self.paths)  # a mistake is told before anything is served

    def application(self) -> web.Application:
        """Return the server's routes."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._page)
        app.router.add_get("/summary.json", self._summary)
        app.router.add_get("/detail.json", self._detail)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        name = request.host.rpartition(":")[0] if request.host[-1:] != "]" else request.host
        own = {*_NAMES, self.host, f"[{self.host}]"}
        if (name or request.host) not in own and not (
            _is_open(self.host) and _is_own(name or request.host)
        ):
            told = "this server answers to its own address only\n"
            raise web.HTTPForbidden(text=told, headers=_HEADERS)
        answer: web.StreamResponse
        try:
            answer = await handler(request)
        except (ConfigError, StoreFailed) as error:  # it has gone, is another one's, or is damaged
            answer = web.Response(status=503, text=f"{error}\n")
        except web.HTTPException as refused:
            refused.headers.update(_HEADERS)
            raise
        answer.headers.update(_HEADERS)
        return answer

    async def _page(self, request: web.Request) -> web.Response:
        _, found = await self._contents()
        body = page(found, live=True)
        headers = {"Content-Security-Policy": f"{policy(live=True)}; frame-ancestors 'none'"}
        return web.Response(body=body, content_type="text/html", charset="utf-8", headers=headers)

    async def _summary(self, request: web.Request) -> web.Response:
        state, found = await self._contents()
        headers = {"ETag": f'"{state}"'}
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        body = encoded({**found.summary, "live": True})
        return web.Response(text=body, content_type="application/json", headers=headers)

    async def _detail(self, request: web.Request) -> web.Response:
        asked = request.query
        try:
            number, cell, example = int(asked["run"]), asked["cell"], asked["example"]
        except (KeyError, ValueError):
            raise web.HTTPBadRequest(text="wanted: run, cell, example\n") from None
        if not 0 <= number < len(self.paths):
            raise web.HTTPNotFound(text="no such run\n")
        row = await to_thread.run_sync(stored_row, self.paths[number], cell, example)
        if row is None:
            raise web.HTTPNotFound(text="not solved yet\n")
        return web.Response(text=encoded(detail(row)), content_type="application/json")

    async def _contents(self) -> tuple[str, Contents]:
        async with self._lock:  # several tabs share one reading
            began = anyio.current_time()
            if self._made is not None and began < self._rests_until:
                return self._made
            state = await to_thread.run_sync(self._state)
            if self._made is None or self._made[0] != state:
                self._made = (state, await to_thread.run_sync(self._read))
                ended = anyio.current_time()
                self._rests_until = ended + (ended - began) * (1 / self.share - 1)
            return self._made

    def _state(self) -> str:
        """Return what changes with each write, and when another store takes the path."""
        told = []
        for path in self.paths:
            with RunStore(path, read_only=True) as store:
                told.append(f"{len(store.cells())}.{store.count()}.{store.count_open()}")
            for each in (path, path.with_name(f"{path.name}-wal")):
                with suppress(FileNotFoundError):
                    at = each.stat()
                    told.append(f"{at.st_ino}.{at.st_size}.{at.st_mtime_ns}")
            told.append(_written(path))
        return "-".join(told)

    def _read(self) -> Contents:
        return contents(*load(self.paths), text_bytes=0, replay_rules=False)


def _written(path: Path) -> str:
    """Return the header of SQLite's index of the log, which counts what was written; "" if none.

    The log keeps its size when it is begun anew, and the clock of a file system may be coarse.
    """
    with suppress(OSError), path.with_name(f"{path.name}-shm").open("rb") as file:
        return file.read(_INDEX_HEADER).hex()
    return ""


def _is_open(host: str) -> bool:
    """Return whether the server was told to answer to every address of the machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _is_own(host: str) -> bool:
    """Return whether a host is an address or this machine's name: no page of another has those."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host.lower() == socket.gethostname().lower()
    return True


async def serve(
    live: Live, port: int, *, task_status: TaskStatus[str] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Serve until cancelled; started with the address of the page.

    Args:
        live: What is served.
        port: Port; 0 takes a free one.
        task_status: Told the address once it can be opened.

    Raises:
        ConfigError: If the port is taken or the address is not this machine's.
    """
    runner = web.AppRunner(live.application(), access_log=None, shutdown_timeout=_LAST_WORDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, live.host, port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(f"cannot serve on {live.host}:{port}: {error.strerror}") from error
        taken = runner.addresses[0][1]
        name = f"[{live.host}]" if ":" in live.host else live.host
        task_status.started(f"http://{name}:{taken}/")
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()
