"""One problem of one cell: solved, judged, and made into the row that is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final, Literal

from tts.backends.base import Price
from tts.errors import AuthenticationError, TTSError
from tts.evals.checkers.base import Checker, CheckFailed
from tts.evals.entry import Entry
from tts.evals.keeping import Calls, Kept
from tts.evals.records import Draw, Row
from tts.evals.tasks.base import Example
from tts.evals.tries import Spent, Tried
from tts.layers import Record, Stack, Trace
from tts.ledger import RunUsage
from tts.problem import Candidate, Solution
from tts.solver import Solver
from tts.tool_calls import Turns
from tts.votes import Tally

__all__ = ["Keep", "judge_again", "problem_seed", "solve_example"]

Keep = Literal["texts", "trace", "answers"]
_BROUGHT: Final = frozenset({"stop", "length"})
"""How calls end that bring a completion, as a trace tells it."""


def problem_seed(seed: int, task: str, example: str) -> int:
    """Return the seed of a problem, in [0, 2**31): the same for all strategies and models."""
    digest = blake2b(f"{seed}|{task}|{example}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


async def solve_example(
    entry: Entry,
    example: Example,
    stacks: Mapping[str, Stack],
    calls: Calls,
    *,
    turns: Turns | None = None,
    keep: Keep = "texts",
    share: bool = True,
    tried: Tried | None = None,
) -> Row:
    """Solve and judge one problem. Spends what the strategy spends, less the calls that are kept.

    A run that fails is a row with status `failed`; so is a bug in a strategy.

    Args:
        entry: The cell.
        example: The problem.
        stacks: The open models, by their names in the pipeline, which passed `check_pipeline`.
        calls: Where finished calls are kept.
        turns: Shared with other problems, so that each tool's limit holds for all together.
        keep: What the row holds beside its result.
        share: Use the calls that other cells have made.
        tried: What earlier tries have paid, if the problem is tried again.

    Raises:
        AuthenticationError: If a key is missing or wrong: no other problem would fare better.
    """
    kept = _keeping(entry, stacks, calls, share=share)
    tops = {name: replace(stack, top=kept[name]) for name, stack in stacks.items()}
    solver = Solver(entry.pipeline, tops, turns=turns, is_checked=True)
    records: list[Record] = []
    seed = problem_seed(entry.cell.seed, entry.cell.task, example.id)
    trace = Trace(records.append, texts=keep == "texts")
    solution, error = await _solved(solver, example, seed, trace)
    row = await _row(entry, example, solution, keep, records)
    update = {**_replayed(kept.values()), "price": _price(entry, stacks)}
    if error is not None:
        update |= {"status": "failed", "error": error, "right": None, "usage": _spent(records)}
    if keep != "answers":
        update["trace"] = tuple(records)
    return _accounted(row.model_copy(update=update), kept.values(), tried)


def _keeping(
    entry: Entry, stacks: Mapping[str, Stack], calls: Calls, *, share: bool
) -> dict[str, Kept]:
    """Return the models with what keeps their calls, for this cell or for all that ask the same."""
    apart = {} if share else {"cell": entry.key}
    return {
        name: Kept(stack.top, calls, {**entry.pipeline.models[name].identity(), **apart})
        for name, stack in stacks.items()
    }


async def judge_again(entry: Entry, example: Example, row: Row) -> Row | None:
    """Judge a solved problem anew whose checker had failed. Makes no call.

    Returns:
        The row with the new verdicts; None if the checker reads texts, and the row has none: then
        the problem has to be solved again.
    """
    checker = entry.task.checker
    texts = [row.text, *(draw.text for draw in row.draws)]
    if row.status == "failed" or (checker.reads_text and not any(texts)):
        return None
    judge = _Judge(checker, example)
    right, failure = await judge.judge(row.answer, row.text)
    draws = [
        draw.model_copy(update={"right": (await judge.judge(draw.answer, draw.text))[0]})
        for draw in row.draws
    ]
    told = {"right": right, "check_failure": failure, "draws": tuple(draws)}
    judged = row.model_copy(update=told)
    return judged if judged.is_open else judged.model_copy(update={"tried": None})


def _accounted(row: Row, kept: Collection[Kept], tried: Tried | None) -> Row:
    """Return a row with what earlier tries have lost; an open one, with what the next must know."""
    if tried is None and not row.is_open:
        return row
    tried = tried or Tried()
    replays = {key: spent for each in kept for key, spent in each.replays.items()}
    update: dict[str, Any] = {"earlier": tried.settled(replays)}
    if row.is_open:
        made = {key: spent for each in kept for key, spent in each.bills.items()}
        paid = Spent.of(row.usage).less(Spent.sum(replays.values()))
        update["tried"] = tried.and_one(paid, made)
    return row.model_copy(update=update)


def _price(entry: Entry, stacks: Mapping[str, Stack]) -> Price | None:
    """Return the price of the model that draws plain samples."""
    return stacks[entry.pipeline.roles.get("solve", next(iter(stacks)))].top.price


def _replayed(kept: Collection[Kept]) -> dict[str, Any]:
    """Return the fields of a row that tell what its kept calls have saved."""
    saved = Spent.sum(spent for each in kept for spent in each.replays.values())
    return {
        "replayed_calls": sum(each.replayed for each in kept),
        "replayed_tokens": saved.total_tokens,
        "replayed_usd": saved.cost_usd,
    }


async def _solved(
    solver: Solver, example: Example, seed: int, trace: Trace
) -> tuple[Solution, str | None]:
    """Return the solution, and the error that came instead of one."""
    try:
        return await solver.solve(example.problem, seed=seed, trace=trace), None
    except AuthenticationError:
        raise
    except Exception as error:  # whatever one problem does, the others go on
        known = isinstance(error, TTSError)
        return Solution(answer=None), str(error) if known else f"internal error: {error!r}"


async def _row(
    entry: Entry, example: Example, solution: Solution, keep: Keep, records: Iterable[Record]
) -> Row:
    judge, drawn = _Judge(entry.task.checker, example), solution.candidates
    right, failure = await judge.judge(solution.answer, solution.text)
    draws = [await judge.draw(each, keep) for each in drawn]
    delays = _delays(records, drawn) if entry.cell.is_pool else {}
    for at, ballot in enumerate(Tally.of(drawn).ballots):
        told = {"key": ballot and ballot[0], "delay_tokens": delays.get(drawn[at].ticket, 0)}
        draws[at] = draws[at].model_copy(update=told)
    return Row(
        cell=entry.key,
        example=example.id,
        digest=example.digest,
        problem=str(example.problem),
        right_answer=example.answer,
        extra=example.extra,
        status=solution.status,
        answer=solution.answer,
        text=solution.text if keep == "texts" else "",
        right=right,
        check_failure=failure,
        usage=solution.usage,
        stopped_by=solution.stopped_by,
        parse_failures=solution.parse_failures,
        failed_calls=solution.failed_calls,
        draws=tuple(draws),
        finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def _delays(records: Iterable[Record], drawn: Iterable[Candidate]) -> dict[int, int]:
    """Return by ticket what calls for samples were charged with beside the samples themselves."""
    own: Counter[int] = Counter()
    for each in drawn:
        own[each.ticket] += each.completion.usage.total_tokens
    found: Counter[int] = Counter()
    for record in records:
        if record["event"] == "call" and record["role"] == "solve":
            tickets = range(record["ticket"], record["ticket"] + record.get("n", 1))
            beside = record["prompt_tokens"] + record["completion_tokens"]
            if record["outcome"] in _BROUGHT:
                beside -= sum(own[ticket] for ticket in tickets)
            found.update(dict.fromkeys(tickets, max(0, beside)))
    return found


class _Judge:
    """Asks a task's checker about a problem's answers, about equal ones once."""

    def __init__(self, checker: Checker, example: Example) -> None:
        self._checker, self._example = checker, example
        self._known: dict[tuple[str | None, str], tuple[bool | None, str | None]] = {}

    async def judge(self, answer: str | None, text: str) -> tuple[bool | None, str | None]:
        """Return the verdict, None if the checker failed, and why it failed."""
        if answer is None and not (text and self._checker.reads_text):
            return False, None
        asked = (answer, text if self._checker.reads_text else "")
        if asked not in self._known:
            self._known[asked] = await self._ask(answer, text)
        return self._known[asked]

    async def _ask(self, answer: str | None, text: str) -> tuple[bool | None, str | None]:
        try:
            return await self._checker.check(answer, text, self._example), None
        except CheckFailed as error:
            return None, str(error)
        except Exception as error:  # a bug of the checker's, which must not lose what was paid for
            return None, f"internal error: {error!r}"

    async def draw(self, candidate: Candidate, keep: Keep) -> Draw:
        right, _ = await self.judge(candidate.answer, candidate.text)
        usage = candidate.completion.usage
        return Draw(
            answer=candidate.answer,
            key=candidate.key,
            right=right,
            score=candidate.score,
            mean_logprob=candidate.completion.mean_logprob,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=usage.cached_tokens,
            text=candidate.text if keep == "texts" else "",
        )


def _spent(records: Iterable[Record]) -> RunUsage:
    """Return what a failed run has spent, as its trace tells."""
    end = next((record for record in records if record["event"] == "end"), {})
    return RunUsage.model_validate(end.get("usage", {}))
