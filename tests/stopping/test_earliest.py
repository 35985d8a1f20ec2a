"""What rules work out once for a tally that many of them look at."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.problem import Candidate
from tts.stopping import StoppingRule
from tts.stopping.base import CONTINUE, Verdict
from tts.stopping.beta import Beta
from tts.stopping.e_process import EProcess
from tts.stopping.esc import ESC
from tts.stopping.replay import replay, replay_all
from tts.stopping.votes import fewest, race, votes_to_lead
from tts.testing import candidate
from tts.votes import Tally

ANSWERS = st.lists(st.sampled_from(["a", "a", "a", "b", "c", None]), max_size=40)
RULES: list[StoppingRule] = [
    Beta(confidence=0.8), Beta(confidence=0.98), ESC(window=3), EProcess(delta=0.5),
    EProcess(delta=0.02), EProcess(delta=0.3, target="leader"), EProcess(delta=0.3, unanimous=0.0),
    EProcess(delta=0.3, target="first"),
]  # fmt: skip


def drawn(answers: list[str | None]) -> list[Candidate]:
    return [candidate(answer, ticket=ticket) for ticket, answer in enumerate(answers)]


def by_trial(rule: StoppingRule, answers: list[str | None], remaining: int) -> int:
    """The least number of votes in a row, for whichever answer, after which the rule stops."""
    seen = {answer for answer in answers if answer is not None}
    for k in range(1, remaining):
        for answer in (*seen, "new"):
            tally = Tally.of(drawn([*answers, *[answer] * k]))
            if rule.verdict(tally, remaining - k).stopped_by is not None:
                return k
    return remaining


@pytest.mark.parametrize("rule", RULES, ids=repr)
@settings(max_examples=25)
@given(answers=ANSWERS, remaining=st.integers(1, 24))
def test_votes_in_a_row_stop_a_rule_no_sooner_and_no_later(
    rule: StoppingRule, answers: list[str | None], remaining: int
) -> None:
    tally = Tally.of(drawn(answers))
    if rule.verdict(tally, remaining).stopped_by is None:
        assert rule.earliest(tally, remaining) == by_trial(rule, answers, remaining)


@given(ANSWERS)
def test_votes_to_lead_put_an_answer_first_and_fewer_do_not(answers: list[str | None]) -> None:
    needed = votes_to_lead(Tally.of(drawn(answers)))
    assert set(needed) == {answer for answer in answers if answer is not None} | {""}
    for group, least in needed.items():
        name = group or "new"
        for k in {least, least - 1} - {-1}:
            leader = Tally.of(drawn([*answers, *[name] * k])).leader
            assert (leader is not None and leader.group == name) == (k >= max(least, not group))


@given(ANSWERS)
def test_a_race_counts_from_the_draw_after_an_answers_first(answers: list[str | None]) -> None:
    tally = Tally.of(drawn(answers))
    seen = list(dict.fromkeys(answer for answer in answers if answer is not None))
    for place, group in enumerate(seen, 1):
        for after_first, counted in ((False, answers), (True, answers[answers.index(group) + 1 :])):
            counts = Counter(answer for answer in counted if answer is not None)
            own, rival = counts.pop(group, 0), max(counts.values(), default=0)
            assert race(tally, group, after_first=after_first) == (place, own, rival)
    assert race(tally, "", after_first=True) == (len(seen) + 1, -1, 0)


def test_a_tally_that_grows_is_counted_anew() -> None:
    tally = Tally.of(drawn(["a", "a", "b"]))
    assert (votes_to_lead(tally)["b"], race(tally, "b").own) == (2, 1)
    tally.add(candidate("b", ticket=3))
    assert (votes_to_lead(tally)["b"], race(tally, "b").own) == (1, 2)


@given(st.integers(1, 5000))
def test_the_fewest_votes_are_found(needed: int) -> None:
    assert fewest(lambda votes: votes >= needed) == needed


class Asked(StoppingRule, name="asked"):
    """Sends as many as it is told to, and notes when it was asked."""

    at_once: int = 1

    def verdict(self, tally: Tally, remaining: int) -> Verdict:
        ASKED.append(("verdict", remaining))
        return CONTINUE

    def earliest(self, tally: Tally, remaining: int) -> int:
        ASKED.append(("earliest", remaining))
        return min(self.at_once, remaining)


ASKED: list[tuple[str, int]] = []


@given(answers=ANSWERS.filter(bool), at_once=st.integers(1, 50))
def test_nobody_asks_for_more_calls_once_all_are_under_way(
    answers: list[str | None], at_once: int
) -> None:
    ASKED.clear()
    n = len(answers)
    found = replay(Asked(at_once=at_once), drawn(answers), n)
    asked = [remaining for what, remaining in ASKED if what == "earliest"]
    assert asked == [left for left in range(n, 0, -1) if left == n or n - left + at_once - 1 < n]
    assert found.launched == n
    assert [left for what, left in ASKED if what == "verdict"] == list(range(n - 1, 0, -1))


@given(answers=ANSWERS.filter(bool))
def test_rules_that_share_a_tally_do_what_each_does_alone(answers: list[str | None]) -> None:
    together = replay_all(RULES, drawn(answers), len(answers))
    assert together == [replay(rule, drawn(answers), len(answers)) for rule in RULES]
