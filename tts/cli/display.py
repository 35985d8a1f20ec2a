"""What `tts run` shows a person: a live tally on a terminal, plain lines on a pipe."""

from __future__ import annotations

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tts.cli.plans import step_lines, steps_table
from tts.cli.words import plain
from tts.problem import Solution
from tts.session import Update
from tts.votes import Tally

__all__ = ["Display"]

_WIDTH = 32
_SHOWN = 5
"""Most answers that are told one by one."""


class Display:
    """Shows one solve. Used as a context manager around it."""

    def __init__(self, title: str) -> None:
        self.console = Console(highlight=False)
        self._title = title
        self._votes: Tally | None = None
        # Refreshed by hand: a refresh thread would outlive a cancelled run.
        self._live = Live(console=self.console, auto_refresh=False, transient=True)

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, update: Update) -> None:
        """Show the samples that are in, who leads, and the cost so far."""
        if update.steps:
            self._update_steps(update)
            return
        self._votes = update.votes
        if self.console.is_terminal:
            head = Text(f"{self._title}   {update.samples} of {update.planned} samples   ")
            head.append(f"{update.total_tokens} tokens", style="dim")
            body = _bars(update) if update.votes else Text("")
            self._live.update(Group(head, body), refresh=True)

    def _update_steps(self, update: Update) -> None:
        if self.console.is_terminal:
            done = sum(step.state == "succeeded" for step in update.steps)
            head = Text(f"{self._title}   {done} of {len(update.steps)} calls   {update.note}")
            head.append(f"   {update.total_tokens} tokens", style="dim")
            self._live.update(Group(head, steps_table(update.steps)), refresh=True)

    def finish(self, solution: Solution, *, interrupted: bool = False) -> None:
        """Print the result: the answer, why it stopped, both costs, and what went wrong."""
        usage = solution.usage
        if solution.graph is None:
            plural = "" if solution.samples == 1 else "s"
            self._print(f"{self._title}: {solution.samples} sample{plural}")
        else:
            planned = len(solution.graph.steps)
            plural = "" if planned == 1 else "s"
            self._print(f"{self._title}: {planned} call{plural} planned")
            for line in step_lines(solution.graph):
                self._print(line)
        votes = self._votes or Tally.of(solution.candidates)
        scores = _best_scores(solution)
        for standing in votes.standings[:_SHOWN]:
            bar = "#" * min(standing.count, _WIDTH)
            score = scores.get(standing.best.key)
            told = "" if score is None else f"   best score {score:.3g}"
            self._print(f"  {_short(standing.answer):<12} {bar} {standing.count}{told}")
        rest = votes.standings[_SHOWN:]
        if rest:
            plural = "" if len(rest) == 1 else "s"
            count = sum(each.count for each in rest)
            self._print(f"  {f'{len(rest)} more answer{plural}':<16} {count}")
        if solution.stopped_by:
            why = solution.stopped_by
            promise = why.guarantee or "no guarantee"
            self._print(f"stopped by {why.rule}: {why.reason} ({promise})")
        if solution.status == "budget_exhausted":
            what = "an interrupt" if interrupted else _limit(solution)
            found = "nothing was" if solution.answer is None else "this is the best answer"
            self._print(f"{what} ended the work: {found} found until then")
        elif solution.exhausted is not None:
            self._print(f"{_limit(solution)} was overspent: more was counted than reserved")
        if solution.notes:
            noted = ", ".join(f"{name} {value:.4g}" for name, value in solution.notes.items())
            self._print(f"noted: {noted}")
        self._print_failures(solution)
        if usage.cached_calls:
            self._print(f"from the cache: {usage.cached_calls} calls, for nothing")
        answer = "none" if solution.answer is None else plain(solution.answer)
        self.console.print(Text(f"answer {answer}", style="bold"), soft_wrap=True)
        cost = "cost unknown" if usage.cost_usd is None else f"${usage.cost_usd:.4g}"
        self._print(
            f"total {usage.total_tokens} tokens   critical path {usage.critical_tokens} tokens, "
            f"{usage.critical_seconds:.2f} s   {usage.wall_seconds:.2f} s in all   {cost}"
        )

    def _print_failures(self, solution: Solution) -> None:
        for number, what in (
            (solution.failed_calls, _failures(solution)),
            (solution.parse_failures, "answers or judgements that could not be read"),
        ):
            if number:
                self._print(f"left out: {number} {what}")
        for reason in solution.reasons:
            self._print(f"why: {plain(reason)}")
        if solution.failed_functions:
            self._print(f"failed calls of functions: {_functions(solution)}")

    def _print(self, line: str) -> None:
        self.console.print(Text(line), soft_wrap=True)


def _best_scores(solution: Solution) -> dict[str | None, float]:
    """Return the highest score a verifier gave to each answer: it, not the count, may choose."""
    found: dict[str | None, float] = {}
    for each in solution.candidates:
        if each.score is not None:
            found[each.key] = max(each.score, found.get(each.key, each.score))
    return found


def _limit(solution: Solution) -> str:
    """Name the limit that ended the work, and what was spent of it."""
    limit = solution.exhausted
    if limit is None or limit.kind == "interrupt":
        return "the budget"
    return f"the budget of {limit.limit:g} {limit.kind} ({limit.spent:.4g} spent)"


def _failures(solution: Solution) -> str:
    """Say which roles the failed calls were to play: a judge that fails is no sample less."""
    roles = ", ".join(f"{role} {count}" for role, count in solution.failed_by_role.items())
    plural = "failed call" + "s" * (solution.failed_calls > 1)
    return f"{plural} ({roles})" if roles else plural


def _functions(solution: Solution) -> str:
    """Count the calls of functions that failed, by function."""
    failed = solution.failed_functions
    each = ", ".join(f"{plain(name)} {count}" for name, count in failed.items())
    return f"{sum(failed.values())} ({each})"


def _bars(update: Update) -> Table:
    table = Table.grid(padding=(0, 2))
    votes = update.votes
    top = votes.standings[:5] if votes else []
    for standing in top:
        length = round(_WIDTH * standing.weight / max(top[0].weight, 1e-9))
        bar = Text("█" * length, style="green" if standing is top[0] else "dim")
        table.add_row(f"  {_short(standing.answer)}", bar, f"{standing.weight:.3g}")
    return table


def _short(answer: str) -> str:
    line = plain(answer)
    return line if len(line) <= 24 else line[:23] + "…"
