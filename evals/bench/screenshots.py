"""Screenshots of a report for the documentation, in Debian's Chromium.

`python -m tts.evals.bench.screenshots report.html docs/images` writes the page on a desk and on a
phone, light and dark, and a problem in full.
"""

from __future__ import annotations

import argparse
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import sync_playwright

FLAGS: Final = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update",
                "--disable-sync")  # fmt: skip
DESK: Final = {"width": 1200, "height": 1000}
_LARGE: Final = 140_000
PHONE: Final = {"width": 390, "height": 844}


@contextmanager
def chromium(path: str | None = None) -> Iterator[Any]:
    """Open a headless Chromium: the one at the path, or the system's."""
    found = path or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise SystemExit("no Chromium here: apt-get install -y --no-install-recommends chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def take(browser: Any, report: Path, folder: Path, entry: str = "", nth: int = 0) -> list[Path]:
    """Write all pictures and return their paths.

    Args:
        browser: An open one.
        report: The page.
        folder: Where they go.
        entry: Whose problem is shown in full: how the entry's name begins.
        nth: Which of its problems, from 0.
    """
    made = []
    for name, size, scheme in (("desk-light", DESK, "light"), ("desk-dark", DESK, "dark"),
                               ("phone-light", PHONE, "light"),
                               ("phone-dark", PHONE, "dark")):  # fmt: skip
        context = browser.new_context(viewport=size, color_scheme=scheme, offline=True)
        page = context.new_page()
        page.goto(report.resolve().as_uri())
        page.wait_for_selector(".plot svg")
        page.locator(".filters").evaluate("(bar) => { bar.style.position = 'static'; }")
        made.append(_shot(page, folder / f"report-{name}.png"))
        if name == "desk-light":
            for part in ("table", "curves", "rules", "problems"):
                shown = page.locator(f'[data-section="{part}"]')
                if shown.is_visible():
                    made.append(_shot(shown, folder / f"report-{part}.png"))
        page.locator(f'.problems .markbox[aria-label^="{entry}"]').nth(nth).click()
        page.wait_for_selector("dialog .gantt svg")
        if name in {"desk-light", "phone-dark"}:
            bar = page.locator("dialog .gantt g[tabindex]").last
            bar.click()
            page.mouse.move(2, 2)
            page.locator("dialog .gantt").evaluate(
                "(node) => node.scrollIntoView({block: 'center'})"
            )
            made.append(_shot(page, folder / f"report-problem-{name}.png"))
        context.close()
    return made


def _shot(what: Any, path: Path) -> Path:
    """Write a picture; a large one in 256 colours where Pillow is installed."""
    data = what.screenshot(animations="disabled")
    path.write_bytes(data)
    if len(data) < _LARGE:
        return path
    try:
        from PIL import Image  # comes with the extra `plot`
    except ImportError:
        return path
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    few = picture.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    return path


def main() -> None:
    """Take the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--entry", default="", help="whose problem is shown in full")
    parser.add_argument("--nth", type=int, default=0, help="which of its problems, from 0")
    parser.add_argument("--chromium", help="path of the browser")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with chromium(asked.chromium) as browser:
        for path in take(browser, asked.report, asked.folder, asked.entry, asked.nth):
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
