"""Plots, tables and notes of the report in a real browser: `make browser-test`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.evals.report.browsing import Tab, browser, opened, report, tab
from tests.evals.report.samples import NASTY
from tts.evals.bench.screenshots import PHONE
from tts.evals.report import Contents, Entry, Run, contents, page

__all__ = ["browser", "report", "tab"]


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
    assert "All are hidden: press a name below" in figure.inner_text()
    figure.locator(".legend button").first.click()
    figure.locator(".plot svg").wait_for()


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
    assert "2 left out, 1 failed, 1 not judged" in plain
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
