from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.evals.report.samples import NASTY
from tts.evals.report import Contents, page
from tts.evals.report.page import encoded, policy

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.sampled_from([NASTY, "</SCRIPT >", "<!--<script>", "]]>", "{{style}}"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


class Parsed(HTMLParser):
    """What a browser would see: elements, their attributes, and scripts' texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._open: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in {"script", "style", "title"}:
            self._open = str(dict(attrs).get("id") or tag)

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.texts[self._open] = self.texts.get(self._open, "") + data


@given(VALUES)
def test_values_come_back_and_cannot_leave_a_script(value: Any) -> None:
    text = encoded(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)
    assert Parsed(f'<script id="data">{text}</script>').texts.get("data", "") == text


def test_numbers_that_json_lacks_are_null() -> None:
    assert encoded([float("nan"), {"a": float("inf")}]) == '[null,{"a":null}]'


def test_half_a_surrogate_pair_stays_json(found: Contents) -> None:
    said = {**found.summary, "title": "half \ud800 pair"}
    texts = Parsed(page(Contents(said, {})).decode()).texts
    assert json.loads(texts["summary"])["title"] == "half \ud800 pair"


def test_a_page_holds_all_and_asks_for_nothing(found: Contents) -> None:
    text = page(found).decode()
    parsed = Parsed(text)
    tags = [tag for tag, _ in parsed.tags]
    assert (tags.count("script"), tags.count("style"), tags.count("img")) == (3, 1, 0)
    attributes = [pair for _, each in parsed.tags for pair in each.items()]
    assert {value for name, value in attributes if name == "href"} == {"data:,", "#main"}
    assert not [name for name, _ in attributes if name in {"src", "srcset", "onclick", "style"}]
    assert json.loads(parsed.texts["summary"])["entries"] == found.summary["entries"]
    assert len(json.loads(parsed.texts["details"])) == len(found.details)


def test_a_title_and_a_placeholder_in_the_data_are_text(found: Contents) -> None:
    said = {**found.summary, "title": "{{style}} </title><script>alert(1)</script>"}
    parsed = Parsed(page(Contents(said, {0: {"text": "{{script}}"}})).decode())
    assert parsed.texts["title"].startswith("{{style}} </title><script>")
    assert parsed.texts["details"] == '{"0":{"text":"{{script}}"}}'


def test_the_policy_allows_this_script_alone(found: Contents) -> None:
    parsed = Parsed(page(found).decode())
    told = next(each["content"] for tag, each in parsed.tags if "http-equiv" in each)
    assert told == policy()
    for part in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(parsed.texts[part].encode()).digest()).decode()
        assert f"{part}-src 'sha256-{digest}'" in policy()
    assert "connect-src 'none'" in policy()
    assert "connect-src 'self'" in policy(live=True)
    assert "unsafe" not in policy(live=True)


def test_the_script_makes_no_html_of_texts(found: Contents) -> None:
    script = Parsed(page(found).decode()).texts["script"]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", script)
