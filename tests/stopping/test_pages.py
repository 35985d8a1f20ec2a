"""Every rule has a page that says the same things, and the overview leads to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tts import StoppingRule

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
OURS = sorted(
    name for name in StoppingRule.names() if StoppingRule.named(name).__module__.startswith("tts.")
)


@pytest.mark.parametrize("name", OURS)
def test_a_rule_has_a_page(name: str) -> None:
    link = f"stopping-rules/{name.replace('_', '-')}.md"
    assert f"[`{name}`]({link})" in (REFERENCE / "stopping-rules.md").read_text()
    page = (REFERENCE / link).read_text()
    assert page.startswith(f"# `{name}`\n")
    for said in ("**Controls**", "**Formula.**", "**Cost.**", "**When it is wrong.**"):
        assert said in page, said
    assert "**Source.**" in page
    for setting in StoppingRule.named(name).model_fields:
        assert f"| `{setting}` |" in page, setting
