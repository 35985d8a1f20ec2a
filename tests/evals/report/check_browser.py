"""The report in a real browser, offline and with every request refused: `make browser-test`."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.evals.report.browsing import Tab, browser, opened, report, tab, viewing
from tests.evals.report.samples import NASTY, cells, row
from tts.evals.bench.screenshots import PHONE
from tts.evals.report import Contents, Entry, Run, contents, page
from tts.evals.store import RunStore

__all__ = ["browser", "report", "tab"]


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


def test_a_page_without_texts_says_so_and_its_problems_open(
    browser: Any, loaded: tuple[list[Run], list[Entry]], tmp_path: Path
) -> None:
    path = tmp_path / "textless.html"
    told = contents(*loaded, text_bytes=0, questions=False, replay_rules=False)
    path.write_bytes(page(told))
    tab = opened(browser, path)
    assert "no text of problems or models" in tab.text(".notes")
    assert tab.text(".problems .what") == "p0graphs-4"
    tab.page.locator(".problems .markbox").first.click()
    assert "left out (" in tab.text("dialog")
    assert "right answer" not in tab.text("dialog")
    assert "hats" not in tab.text("body")
    assert (tab.complaints, tab.requests) == ([], [])
    tab.page.context.close()


def test_each_budget_has_a_ring_of_its_own(
    browser: Any, loaded: tuple[list[Run], list[Entry]], tmp_path: Path
) -> None:
    runs, entries = loaded
    for at, budget in ((1, "4k"), (2, "9k")):
        under = replace(entries[at].summary, budget=budget)
        entries = [*entries[:at], replace(entries[at], summary=under), *entries[at + 1 :]]
    path = tmp_path / "budgets.html"
    path.write_bytes(page(contents(runs, entries, text_bytes=0, replay_rules=False)))
    tab = opened(browser, path)
    drawn = tab.page.locator('[data-section="fronts"] .plot').first.locator("circle.ring")
    assert [each.get_attribute("stroke-dasharray") for each in drawn.all()] == [None, "3 1.6"]
    legend = tab.page.locator('[data-section="fronts"] .legend').first.inner_text()
    assert "under the budget 4k" in legend
    assert "under the budget 9k" in legend
    assert tab.number('[data-section="table"] tbody circle.ring') == 2
    assert (tab.complaints, tab.requests) == ([], [])
    tab.page.context.close()


def test_who_is_not_compared_is_named_with_the_reason(
    browser: Any, loaded: tuple[list[Run], list[Entry]], tmp_path: Path
) -> None:
    runs, entries = loaded
    for at in (1, 2):
        without = replace(entries[at].summary, equal=(), unequal={"total": "it fails\nalways"})
        entries = [*entries[:at], replace(entries[at], summary=without), *entries[at + 1 :]]
    path = tmp_path / "unequal.html"
    path.write_bytes(page(contents(runs, entries, text_bytes=0, replay_rules=False)))
    tab = opened(browser, path)
    told = "No comparison at equal total for single, pdr: it fails\nalways."
    assert told.replace("\n", " ") in tab.text('[data-section="table"]').replace("\n", " ")
    tab.page.context.close()


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


def test_a_link_pasted_into_an_open_page_is_followed(tab: Tab) -> None:
    tab.page.locator(".problems .markbox").nth(5).click()
    title, there = tab.text("dialog h2"), tab.page.evaluate("location.hash")
    tab.page.keyboard.press("Escape")
    tab.page.evaluate(
        "(to) => { location.hash = to; }", there.replace("total", "critical") + "&s=pdr"
    )
    tab.page.wait_for_selector("dialog[open]")
    assert tab.text("dialog h2") == title
    assert tab.page.get_by_label("Search strategies").input_value() == "pdr"
    assert "critical path" in tab.text('[data-section="fronts"]')
    tab.page.evaluate("location.hash = 'outcome=odd'")
    tab.page.wait_for_selector("dialog:not([open])", state="attached")
    assert tab.page.get_by_label("Search strategies").input_value() == ""
    assert tab.page.get_by_label("Outcome").input_value() == "odd"


def test_skipping_to_the_results_keeps_what_is_chosen(tab: Tab) -> None:
    tab.page.get_by_label("Search strategies").fill("pdr")
    tab.page.locator(".skip").focus()
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url(lambda url: "s=pdr" in url)
    assert tab.page.get_by_label("Search strategies").input_value() == "pdr"


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
