"""Batches of lessons without end, each a function of a seed and its index alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tts.backends.reference.tokenizer import Tokenizer
from tts.backends.reference.training import drills
from tts.backends.reference.training.cases import Case
from tts.backends.reference.training.countdown import draw_countdown
from tts.backends.reference.training.packing import Batch, Encoded, Row, batch_of
from tts.backends.reference.training.refining import think
from tts.backends.reference.training.responses import Branch
from tts.backends.reference.training.roles import JUDGING, MIXES, ROLES
from tts.backends.reference.training.wording import FORMS
from tts.backends.reference.training.world import Split, draw_problem

__all__ = ["Corpus", "Shape"]

_MISSES = 3
_BRANCHES = 10
_LEAST_ROOM = 40
_SUMS_SHARE = 0.06
_OWN_SHARE = 0.45
_WIDE_ROOM = 900
_OF_DRAFTS = ("merge", "distil", "select")
_HELPERS = ((drills.facts, 0.3), (drills.unlock, 0.35), (drills.trace, 0.35))
_LEVEL_WEIGHTS = {1: 5, 2: 8, 3: 15, 4: 20, 5: 22, 6: 22, 7: 20, 8: 16, 9: 9, 10: 6}

_Draw = Callable[[], Encoded]


class Shape(NamedTuple):
    """Size of a batch and the levels that fit into it."""

    rows: int
    width: int
    levels: tuple[int, ...]


class Corpus:
    """Batches without end.

    Args:
        tokenizer: Whose ids the rows hold.
        split: Whether to train or to test.
        seed: Of all that is drawn.
        cases: Problems with the model's own samples, once there are some; may be replaced.
        prompt_weight: Of the loss on the problems' own texts.
        mix: Which roles, and how much of each; a name of `roles.MIXES`.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        split: Split,
        seed: int,
        cases: Sequence[Case] = (),
        prompt_weight: float = 0.0,
        mix: str = "all",
    ) -> None:
        self.tokenizer = tokenizer
        self.split: Split = split
        self.seed = seed
        self.cases = cases
        self._prompt_weight = prompt_weight
        self._mix = MIXES[mix]
        self._user, self._assistant, self._end = (
            tokenizer.special(name) for name in ("<|user|>", "<|assistant|>", "<|end|>")
        )

    def batch(self, index: int, shape: Shape) -> Batch:
        """Return the batch of this index."""
        rng = random.Random(f"{self.split}:{self.seed}:{index}")
        return batch_of([self.row(rng, shape) for _ in range(shape.rows)])

    def row(self, rng: random.Random, shape: Shape) -> Row:
        """Fill one row."""
        row = Row(shape.width)
        while row.room > _LEAST_ROOM and row.count < 40:
            kind = rng.random()
            if kind < _SUMS_SHARE or row.room < 110:
                self._sums(row, rng)
            elif kind < _SUMS_SHARE + self._mix.puzzles:
                self._puzzle(row, rng)
            else:
                self._problem(row, rng, shape.levels)
        return row

    def encode(self, branch: Branch, problem: str) -> Encoded:
        """Return a branch's tokens after its problem.

        Raises:
            ValueError: If its prompt does not begin with the problem.
        """
        prompt = self._prompt(branch, problem)
        response = self._response(branch)
        size = len(prompt)
        return Encoded(
            prompt + response.ids,
            [0.0] * size + response.weights,
            [*[()] * size, *response.choices],
        )

    def _told(self, problem: str) -> Encoded:
        """Return the beginning of a document: what its branches share."""
        ids = [self._user, *self.tokenizer.encode(problem)]
        return Encoded(ids, [0.0, *[self._prompt_weight] * (len(ids) - 1)], [()] * len(ids))

    def _prompt(self, branch: Branch, problem: str) -> list[int]:
        if not branch.prompt.startswith(problem):
            raise ValueError("a prompt must begin with its problem")
        tail = branch.prompt[len(problem) :]
        # Inside a text no space is put before a line end; at its start there is one.
        ids = self.tokenizer.encode(tail)[1 if tail and problem else 0 :]
        return [*ids, self._end, self._assistant]

    def _response(self, branch: Branch) -> Encoded:
        made = Encoded([], [], [])
        for piece in branch.pieces:
            special = [self.tokenizer.special(piece.text)] if piece.control else None
            more = special or self.tokenizer.encode(piece.text)
            made.ids.extend(more)
            made.weights.extend([piece.weight] * len(more))
            others = {self.tokenizer.encode(choice)[0] for choice in piece.choices} - {more[0]}
            made.choices.extend([tuple(sorted(others)), *[()] * (len(more) - 1)])
        return Encoded([*made.ids, self._end], [*made.weights, 1.0], [*made.choices, ()])

    def _sums(self, row: Row, rng: random.Random) -> None:
        prefix = row.add(_unlearned([self._user]))
        limit = row.room - rng.choice((60, 110))
        self._fill(row, prefix, limit, lambda: self.encode(drills.sums(rng), ""))

    def _puzzle(self, row: Row, rng: random.Random) -> None:
        made = draw_countdown(rng, self.split)
        prefix = row.add(self._told(made.text))
        limit = row.room - rng.choice((90, 140))

        def draw() -> Encoded:
            return self.encode(drills.puzzle(made, rng, self.split), made.text)

        self._fill(row, prefix, limit, draw)

    def _problem(self, row: Row, rng: random.Random, levels: Sequence[int]) -> None:
        case, mix = self._case(row.room, rng, levels)
        text = case.problem.text
        encoded = self._told(text)
        if not row.fits(encoded):
            return
        prefix = row.add(encoded)
        if not case.own and rng.random() < self._mix.paths:
            self._think(row, prefix, case, rng)
        lead: list[Callable[[], Branch]] = []
        if case.own and row.room > _WIDE_ROOM:  # what holds several drafts fits nowhere else
            lead.append(lambda: ROLES[rng.choice(_OF_DRAFTS)](case, rng))
        if not case.own:
            for name, share in self._mix.lead.items():
                if rng.random() < share:
                    lead.append(lambda role=ROLES[name]: role(case, rng))  # type: ignore[misc]  # as below
            for helper, share in _HELPERS:
                if rng.random() < share * self._mix.drills:
                    lead.append(lambda helper=helper: helper(case.problem, rng))  # type: ignore[misc]  # mypy cannot infer a default's type

        def draw() -> Encoded:
            if lead:
                return self.encode(lead.pop(0)(), text)
            name = rng.choices(list(mix), list(mix.values()))[0]
            return self.encode(ROLES[name](case, rng), text)

        self._fill(row, prefix, 0, draw)

    def _think(self, row: Row, prefix: int, case: Case, rng: random.Random) -> None:
        """Add parallel paths and their summary, if they fit."""
        prompt, paths, summary = think(case, rng)
        shared = _unlearned(self._prompt(prompt, case.problem.text))
        encoded = [self._response(path) for path in paths]
        last = self._response(summary)
        if not row.fits(shared, *encoded, last):
            return
        above = (prefix, row.add(shared, [prefix]))
        numbers = [
            row.add(each, above, int(path.pieces[0].text[6:-1]))
            for path, each in zip(paths, encoded, strict=True)
        ]
        row.add(last, [*above, *numbers])

    def _case(
        self, room: int, rng: random.Random, levels: Sequence[int]
    ) -> tuple[Case, Mapping[str, float]]:
        """Draw a problem that leaves room for its solution, and the mix of roles to go with it."""
        wide = room > _WIDE_ROOM
        if self.cases and room >= 400 and rng.random() < (1.0 if wide else _OWN_SHARE):
            return rng.choice(self.cases), JUDGING
        fitting = [level for level in levels if room >= 60 + 34 * level] or [1]
        level = rng.choices(fitting, [_LEVEL_WEIGHTS[level] for level in fitting])[0]
        problem = draw_problem(rng, level, rng.choice(FORMS), self.split)
        return Case(problem), self._mix.roles

    def _fill(self, row: Row, prefix: int, limit: int, draw: _Draw) -> None:
        """Add branches until `limit` tokens of room are left, or the next ones do not fit."""
        misses = made = 0
        while misses < _MISSES and made < _BRANCHES:
            encoded = draw()
            if row.fits(encoded) and row.room - len(encoded.ids) >= limit:
                row.add(encoded, [prefix])
                made += 1
            else:
                misses += 1


def _unlearned(ids: list[int]) -> Encoded:
    return Encoded(ids, [0.0] * len(ids), [()] * len(ids))
