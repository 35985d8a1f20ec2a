"""The report in a real browser, offline and with every request refused: `make browser-test`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.evals.report.samples import NASTY, cells, row
from tts.evals.bench.screenshots import DESK, PHONE, chromium
from tts.evals.report import Contents, Entry, Run, contents, page
from tts.evals.store import RunStore


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


def test_all_sections_are_drawn(tab: Tab) -> None:
    titles = tab.page.locator("section:visible h2").all_inner_texts()
    assert titles == [
        "Accuracy against cost", "All entries", "What fewer samples would have given",
        "What stopping early would have given", "Problems",
    ]  # fmt: skip
    assert tab.number('[data-section="fronts"] [role="button"]') == 8
    assert tab.number('[data-section="fronts"] .plot path.front') == 2
    assert tab.number('[data-section="table"] tbody tr') == 8
    assert tab.number('[data-section="curves"] figure') == 2
    assert tab.number('[data-section="rules"] figure') == 2
    assert tab.number(".problems > li") == 24
    assert "2 runs failed with an error" in tab.text(".notes")


def test_cost_and_scale_are_chosen_by_mouse(tab: Tab) -> None:
    front = tab.page.locator('[data-section="fronts"]')
    assert "total tokens a problem (log scale)" in front.inner_text()
    front.get_by_role("button", name="Critical tokens").click()
    assert "critical path a problem (log scale)" in front.inner_text()
    front.get_by_role("button", name="linear").click()
    assert "(log scale)" not in front.inner_text()
    front.get_by_role("button", name="Money").click()
    assert "US dollars for 1,000 problems" in front.inner_text()
    assert "cost=usd" in tab.page.url


def test_strategies_are_hidden_filtered_and_sorted(tab: Tab) -> None:
    tab.page.locator(".legend button", has_text="pdr").first.click()
    assert tab.number('[data-section="fronts"] [role="button"]') == 6
    tab.page.get_by_label("Task and model").select_option(label="graphs-6 · small")
    assert tab.number('[data-section="table"] tbody tr') == 4
    tab.page.get_by_role("button", name="total tokens", exact=True).click()
    names = tab.page.locator('[data-section="table"] tbody .bare').all_inner_texts()
    assert names[0] == "self-consistency × 16"
    tab.page.get_by_label("Search strategies").fill("self")
    assert tab.number('[data-section="table"] tbody tr') == 2
    assert tab.page.evaluate("document.activeElement.type") == "search"  # what one types in stays


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_plot_has_a_legend_on_a_small_phone(browser: Any, report: Path, scheme: str) -> None:
    size = {**PHONE, "width": 360}
    tab = opened(browser, report, viewport=size, color_scheme=scheme, has_touch=True)
    for part, words in (
        ("fronts", ["self-consistency × 16", "single", "pdr", "the front", "95% intervals"]),
        ("rules", ["never", "dominance", "beta", "95% interval of accuracy"]),
        ("curves", ["maj@k, with its 95% band", "pass@k"]),
    ):
        figures = tab.page.locator(f'[data-section="{part}"] figure')
        assert figures.count() == 2
        for at in range(2):
            told = figures.nth(at).locator(".legend")
            assert [word for word in words if word not in told.inner_text()] == []
            box = told.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 360
            sizes = told.locator("button").evaluate_all(
                "(all) => all.map((each) => each.getBoundingClientRect().height)"
            )
            assert min(sizes, default=24) >= 24  # WCAG 2.2, 2.5.8
    # The baseline is hollow in the legend as it is in the plot.
    hollow = tab.page.locator('[data-section="fronts"] .legend .hollow').first
    paper = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert hollow.evaluate("(mark) => getComputedStyle(mark).fill") == paper
    tab.page.context.close()


def test_a_legend_hides_and_shows_by_keyboard(tab: Tab) -> None:
    for part, name, line in (("fronts", "pdr", ""), ("rules", "beta", "path.line")):
        shown = tab.page.locator(f'[data-section="{part}"] figure').first
        marks = shown.locator(f".plot {line or '[role=button]'}")
        before = marks.count()
        button = shown.locator(".legend button", has_text=name).first
        button.focus()
        tab.page.keyboard.press("Enter")
        expect(marks).to_have_count(before - 1)
        held = "[document.activeElement.textContent, document.activeElement.ariaPressed]"
        assert tab.page.evaluate(held) == [name, "false"]
        tab.page.keyboard.press("Enter")
        expect(marks).to_have_count(before)


def test_a_plot_of_which_all_is_hidden_says_how_to_get_it_back(tab: Tab) -> None:
    figure = tab.page.locator('[data-section="fronts"] figure').first
    for at in range(figure.locator(".legend button").count()):
        figure.locator(".legend button").nth(at).click()
    assert "All are hidden: press a name above" in figure.inner_text()
    figure.locator(".legend button").first.click()
    figure.locator(".plot svg").wait_for()


def test_a_problem_is_found_and_opened(tab: Tab) -> None:
    tab.page.get_by_label("Search problems and answers").fill("p11 hats")
    assert tab.number(".problems > li") == 2
    tab.page.locator(".problems .markbox").first.click()
    dialog = tab.page.locator("dialog")
    assert dialog.is_visible()
    assert tab.text("dialog h2") == "p11"
    assert tab.number("dialog details.candidate") == 16
    assert tab.number("dialog .gantt [role=button]") == 16
    dialog.locator(".gantt [role=button]").nth(3).click()
    assert "solve #3 on small: stop" in tab.text("dialog .chosen")
    assert "Solve this." in tab.text("dialog .chosen pre")
    assert "kept, took" not in tab.text("dialog .chosen")
    dialog.locator(".gantt [role=button]").first.click()
    assert "kept, took 9.5 s when made" in tab.text("dialog .chosen")
    dialog.get_by_role("button", name="pdr").click()
    assert tab.number("dialog details.candidate") == 9
    dialog.get_by_role("button", name="Next problem").click()
    assert tab.text("dialog h2") == "p0"  # of the next task
    dialog.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()


def test_what_a_model_says_stays_text(tab: Tab) -> None:
    assert NASTY.split("\u2028")[0] in tab.text(".problems .said")
    tab.page.locator(".problems .markbox").first.click()
    tab.page.locator("dialog .gantt [role=button]").first.click()
    tab.page.locator("dialog details.candidate summary").first.click()
    said = tab.page.locator("dialog pre").all_inner_texts()
    assert sum("</script><script>window.hit = 1</script><img src=x" in each for each in said) >= 4
    assert tab.number("img") == 0
    assert tab.number("script") == 3


def test_everything_is_reached_by_keyboard(tab: Tab) -> None:
    keys = tab.page.keyboard
    keys.press("Tab")
    assert tab.page.evaluate("document.activeElement.className") == "skip"
    tab.page.locator('[data-section="fronts"] [role="button"]').first.focus()
    assert "accuracy" in tab.text(".tip")  # a tip for who has no mouse
    keys.press("Enter")
    assert "Settings" in tab.text('[data-section="table"] .chosen')
    heading = tab.page.locator('[data-section="table"] th button').nth(1)
    heading.focus()
    keys.press("Enter")
    assert tab.page.locator("th[aria-sort=ascending]").first.inner_text().startswith("accuracy")
    assert tab.page.evaluate("document.activeElement.textContent") == "accuracy"
    mark = tab.page.locator(".problems .markbox").first
    mark.focus()
    keys.press("Enter")
    assert tab.page.locator("dialog").is_visible()
    assert tab.page.evaluate("document.activeElement.closest('dialog') !== null")
    bar = tab.page.locator("dialog .gantt [role=button]").nth(2)
    bar.focus()
    keys.press("Space")
    assert "solve #2" in tab.text("dialog .chosen")
    keys.press("Escape")
    assert not tab.page.locator("dialog").is_visible()
    assert tab.page.evaluate("document.activeElement.className").startswith("markbox")


def test_a_section_is_reached_without_passing_all_before_it(tab: Tab) -> None:
    jumps = tab.page.get_by_role("navigation", name="Sections").get_by_role("button")
    titles = tab.page.locator("section:visible h2").all_inner_texts()
    assert jumps.all_inner_texts() == titles
    jumps.last.focus()
    tab.page.keyboard.press("Enter")
    assert tab.page.evaluate("document.activeElement.textContent") == "Problems"
    bar = tab.page.locator(".filters").bounding_box()
    assert tab.page.locator("h2", has_text="Problems").bounding_box()["y"] >= bar["height"]
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("document.activeElement.type") == "search"


def test_a_section_that_is_not_there_is_not_offered(
    browser: Any, loaded: tuple[list[Run], list[Entry]], tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_bytes(page(contents(*loaded, text_bytes=0, replay_rules=False)))
    tab = opened(browser, path)
    jumps = tab.page.get_by_role("navigation", name="Sections").get_by_role("button")
    assert jumps.count() == 4
    assert "What stopping early would have given" not in jumps.all_inner_texts()
    tab.page.context.close()


def test_every_control_has_a_name(tab: Tab) -> None:
    tab.page.locator(".problems .markbox").first.click()
    tab.page.wait_for_selector("dialog .gantt svg")
    nameless = """() => [...document.querySelectorAll('button, select, input, [tabindex="0"]')]
        .filter((each) => !(each.getAttribute('aria-label') || each.textContent.trim()
            || each.closest('label')?.textContent.trim())).map((each) => each.outerHTML)"""
    assert tab.page.evaluate(nameless) == []


def test_a_link_leads_back_to_a_problem(browser: Any, report: Path, tab: Tab) -> None:
    tab.page.locator(".problems .markbox").nth(5).click()
    title, url = tab.text("dialog h2"), tab.page.url
    tab.page.goto("about:blank")
    tab.page.goto(url)
    tab.page.wait_for_selector("dialog[open]")
    assert tab.text("dialog h2") == title


def test_a_link_holds_when_the_list_of_results_is_another(
    browser: Any, report: Path, found: Contents, tab: Tab
) -> None:
    tab.page.locator(".problems .markbox").nth(5).click()
    title, where = tab.text("dialog h2"), tab.page.url.partition("#")[2]
    results = list(reversed(found.summary["results"]))
    later = report.with_name("later.html")
    later.write_bytes(page(Contents({**found.summary, "results": results}, {})))
    again = browser.new_page()
    again.goto(f"{later.as_uri()}#{where}")
    again.wait_for_selector("dialog[open]")
    assert again.locator("dialog h2").first.inner_text() == title
    assert again.url.partition("#")[2] == where
    again.close()


def test_half_is_rounded_as_the_terminal_does(
    browser: Any, found: Contents, tmp_path: Path
) -> None:
    first = {**found.summary["entries"][0], "accuracy": [27 / 48, 0.15, 0.5475]}
    path = tmp_path / "report.html"
    empty: dict[str, Any] = {"results": [], "problems": [], "fronts": [], "rules": []}
    path.write_bytes(page(Contents({**found.summary, "entries": [first], **empty}, {})))
    tab = opened(browser, path)
    cell = tab.text('[data-section="table"] tbody td:nth-child(2)')
    assert cell.split() == [f"{27 / 48:.1%}", f"[{0.15:.1%},", f"{0.5475:.1%}]"]
    tab.page.context.close()


def test_accuracy_at_worst_and_earlier_tries_are_told(
    browser: Any, found: Contents, tmp_path: Path
) -> None:
    earlier = {"tries": 2, "calls": 3, "tokens": 1234, "usd": None}
    details = {number: {**each, "earlier": earlier} for number, each in found.details.items()}
    path = tmp_path / "report.html"
    path.write_bytes(page(Contents(found.summary, details)))
    tab = opened(browser, path)
    lines = tab.page.locator('[data-section="table"] tbody tr')
    for entry in found.summary["entries"]:
        at_worst = entry["counts"]["failed"] + entry["counts"]["unjudged"] > 0
        mine = lines.filter(has_text=f"at worst {entry['at_worst']:.1%}")
        assert not at_worst or mine.count() >= 1
    assert lines.filter(has_text="at worst").count() == 2  # pdr on two tasks
    tab.page.locator(".problems .markbox").first.click()
    tab.page.wait_for_selector("dialog .gantt svg")
    assert "2 times: 1,234 tokens of that were lost" in tab.text("dialog")
    assert tab.complaints == []
    tab.page.context.close()


def crafted(found: Contents, path: Path, **equal: Any) -> Path:
    """Write a page whose third entry has these figures in its comparison at equal total tokens."""
    entries = [dict(each) for each in found.summary["entries"]]
    told = entries[2]
    told["equal"] = {"total": {**told["equal"]["total"], **equal}}
    told["counts"] = {**told["counts"], "unjudged_draws": 3}
    path.write_bytes(page(Contents({**found.summary, "entries": entries}, {})))
    return path


def test_what_figures_leave_out_stands_beside_them(
    browser: Any, found: Contents, tmp_path: Path
) -> None:
    path = crafted(found, tmp_path / "report.html", left_out=2, unjudged=1)
    tab = opened(browser, path)
    line = tab.page.locator('[data-section="table"] tbody tr', has_text="pdr").first
    for said in ("2 runs left out", "1 pair not judged", "3 candidates not judged"):
        assert said in line.inner_text()
    assert "Left out of a comparison are runs" in tab.text('[data-section="table"]')
    assert "3 drawn candidates could not be judged" in tab.text(".notes")
    tab.page.context.close()
    shown = browser.new_context(java_script_enabled=False).new_page()
    shown.goto(path.as_uri())
    plain = shown.locator("noscript tr", has_text="pdr").first.inner_text()
    assert "2 left out, 1 not judged" in plain
    assert "1 failed, 1 not judged, 3 candidates not judged" in plain
    shown.context.close()


@pytest.mark.parametrize("apart", [True, False])
def test_a_gain_and_a_count_that_point_apart_are_marked(
    browser: Any, found: Contents, tmp_path: Path, apart: bool
) -> None:
    changed = {"better": 2, "worse": 5, "is_split": apart, "is_result": True}
    tab = opened(browser, crafted(found, tmp_path / "report.html", **changed))
    line = tab.page.locator('[data-section="table"] tbody tr', has_text="pdr").first
    assert ("signs differ" in line.inner_text()) == apart
    assert "2:5" in line.inner_text()
    assert (line.locator(".good, .bad").count() == 0) == apart  # no colour against p
    assert '"signs differ" that the strategy is better on average' in tab.text(
        '[data-section="table"]'
    )
    tab.page.context.close()


def test_tags_stay_in_their_column_on_a_small_phone(browser: Any, report: Path) -> None:
    tab = opened(browser, report, viewport={**PHONE, "width": 360}, has_touch=True)
    over = """(tags) => tags.map((tag) => tag.getBoundingClientRect().right
        - tag.closest('td').getBoundingClientRect().right)"""
    beyond = tab.page.locator("td:first-child .tag").evaluate_all(over)
    assert len(beyond) > 2
    assert max(beyond) <= 0
    tab.page.context.close()


def test_without_scripts_the_figures_are_a_table(
    browser: Any, found: Contents, tmp_path: Path
) -> None:
    entries = [{**found.summary["entries"][0], "label": NASTY}, *found.summary["entries"][1:]]
    path = tmp_path / "report.html"
    path.write_bytes(page(Contents({**found.summary, "entries": entries}, {})))
    shown = browser.new_context(java_script_enabled=False).new_page()
    shown.goto(path.as_uri())
    assert shown.locator("noscript table tr").count() == 9
    said = shown.locator("noscript table").inner_text()
    assert f"{entries[1]['accuracy'][0]:.1%}" in said
    assert "</script><script>window.hit = 1</script>" in said
    assert shown.locator("img").count() == 0
    shown.context.close()


@pytest.mark.parametrize("width", [320, 390, 700])
def test_nothing_sticks_out_of_a_narrow_page(browser: Any, report: Path, width: int) -> None:
    tab = opened(browser, report, viewport={**PHONE, "width": width}, has_touch=True)
    over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert tab.page.evaluate(over) <= 0
    tab.page.locator(".problems .markbox").first.tap()
    tab.page.wait_for_selector("dialog .gantt svg")
    assert tab.page.evaluate(over) <= 0
    inner = "(box) => box.scrollWidth - box.clientWidth"
    assert tab.page.locator("dialog").evaluate(inner) <= 0
    assert tab.complaints == []
    tab.page.context.close()


def test_colours_follow_the_system_and_the_switch(browser: Any, report: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    for scheme, colour in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(19, 20, 23)")):
        tab = opened(browser, report, color_scheme=scheme)
        assert tab.page.evaluate(paper) == colour
        tab.page.get_by_role("button", name="Dark").click()
        assert tab.page.evaluate(paper) == "rgb(19, 20, 23)"
        tab.page.get_by_role("button", name="Light").click()
        assert tab.page.evaluate(paper) == "rgb(255, 255, 255)"
        tab.page.get_by_role("button", name="Auto").click()
        assert tab.page.evaluate(paper) == colour
        assert tab.complaints == []
        tab.page.context.close()


def test_letters_stand_out_from_the_paper_in_both(browser: Any, report: Path) -> None:
    contrast = """() => {
        const light = (text) => text.match(/[0-9.]+/g).slice(0, 3).map((n) => n / 255)
            .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
        const paper = light(getComputedStyle(document.body).backgroundColor);
        return ['.muted', '.good', '.bad', 'body', '.facts', 'td .range'].map((selector) => {
            const node = document.querySelector(selector);
            if (!node) return 21;
            const ink = light(getComputedStyle(node).color);
            return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        });
    }"""
    for scheme in ("light", "dark"):
        tab = opened(browser, report, color_scheme=scheme)
        assert min(tab.page.evaluate(contrast)) >= 4.5  # WCAG 2.2, 1.4.3
        tab.page.context.close()


def test_what_was_left_out_is_said(
    browser: Any, loaded: tuple[list[Run], list[Entry]], tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_bytes(page(contents(*loaded, text_bytes=0, replay_rules=False)))
    tab = opened(browser, path)
    assert "Candidates and traces of 96 listed results were left out" in tab.text(".notes")
    tab.page.locator(".problems .markbox").first.click()
    assert "left out to keep this page small" in tab.text("dialog [role=status]")
    assert tab.number("section:visible") == 4  # no frontier without replays
    tab.page.context.close()


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


def test_a_view_shows_each_row_as_it_is_written(browser: Any, tmp_path: Path) -> None:
    planned = cells(["g"])
    with RunStore(tmp_path / "run.sqlite") as store:
        store.tell({"equal": ["total"]})
        store.plan(planned)
        store.add(row(planned[0], 1, 0.5))
        with viewing(tmp_path) as (address, server):
            shown = browser.new_page()
            complaints: list[str] = []
            shown.on("console", lambda message: complaints.append(message.text))
            shown.goto(address)
            shown.wait_for_selector(".plot svg")
            assert shown.locator(".problems .markbox").count() == 1
            store.add(row(planned[0], 2, 0.5))
            marks = shown.locator(".problems .markbox")
            expect(marks).to_have_count(2, timeout=30_000)
            assert "live" in shown.locator(".facts").inner_text()
            shown.locator(".problems .markbox").nth(1).click()
            shown.wait_for_selector("dialog .gantt svg")
            assert complaints == []
            server.send_signal(signal.SIGINT)
            assert server.wait(60) == 130
            shown.wait_for_selector(".live.lost", state="attached")
            shown.close()


def test_a_detail_that_cannot_be_had_says_why_and_can_be_asked_for_again(
    browser: Any, store: Path
) -> None:
    answers = [(503, "not a run store: database is locked"), (404, "not solved yet"), (0, "")]

    def answer(route: Any) -> None:
        if not answers:
            route.continue_()
            return
        status, text = answers.pop(0)
        if status:
            route.fulfill(status=status, body=f"{text}\n")
        else:
            route.abort()

    with viewing(store.parent) as (address, _):
        shown = browser.new_page()
        shown.route("**/detail.json*", answer)
        shown.goto(address)
        shown.locator(".problems .markbox").first.click()
        said = shown.locator("dialog [role=status]")
        expect(said).to_contain_text("could not read it: not a run store: database is locked")
        again = said.get_by_role("button", name="Try again")
        again.focus()
        shown.keyboard.press("Enter")
        expect(said).to_contain_text("has nothing of this problem now (not solved yet)")
        again.click()
        expect(said).to_contain_text("The server does not answer")
        assert "left out to keep this page small" not in said.inner_text()
        again.click()
        shown.wait_for_selector("dialog .gantt svg")
        assert shown.evaluate("document.activeElement.closest('dialog') !== null")
        shown.close()
