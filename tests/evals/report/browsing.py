"""A report in a real browser, with every request refused: what its checks share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tts.evals.bench.screenshots import DESK, chromium
from tts.evals.report import Contents, page


@dataclass
class Tab:
    """A page, and what it did that it must not do."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def number(self, selector: str) -> int:
        return int(self.page.locator(selector).count())

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).first.inner_text())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium(os.environ.get("CHROMIUM")) as opened:
        yield opened


@pytest.fixture(scope="module")
def report(found: Contents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(page(found))
    return path


def opened(browser: Any, report: Path, **settings: Any) -> Tab:
    """Open a report; whatever it asks for but itself is refused and noted."""
    context = browser.new_context(**{"viewport": DESK, "color_scheme": "light", **settings})
    tab = Tab(context.new_page())

    def refuse(route: Any) -> None:
        if route.request.url.partition("#")[0] == report.as_uri():
            route.continue_()
        else:
            tab.requests.append(route.request.url)
            route.abort()

    context.route("**/*", refuse)
    tab.page.on("console", lambda message: tab.complaints.append(message.text))
    tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.page.set_default_timeout(30_000)
    tab.page.goto(report.as_uri())
    tab.page.wait_for_selector(".plot svg")
    return tab


@pytest.fixture
def tab(browser: Any, report: Path) -> Iterator[Tab]:
    made = opened(browser, report)
    yield made
    assert made.complaints == []
    assert made.requests == []
    assert made.page.evaluate("window.hit") is None
    made.page.context.close()


@contextmanager
def viewing(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `tts view` on a free port, and say where; it is gone afterwards, whatever happens."""
    command = [sys.executable, "-m", "tts", "view", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().split()[0], server
        finally:
            server.kill()
