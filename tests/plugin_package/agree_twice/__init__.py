"""A strategy in a package of its own."""

from tts import Problem, Run, Solution, Strategy, Tally


class AgreeTwice(Strategy, name="agree_twice"):
    """Ask in turn until two answers agree. Cost: at most `most` completions, as many calls deep."""

    most: int = 5
    """Most completions."""

    def roles(self) -> tuple[str, ...]:
        """Return the one role."""
        return ("agree",)

    async def solve(self, problem: Problem, run: Run) -> Solution:
        """Ask, count, stop at the second vote for one answer."""
        votes = Tally()
        prompt = run.prompt("agree", problem=problem)
        while len(votes.candidates) < self.most and (not votes.leader or votes.leader.count < 2):
            votes.add(await run.candidate(prompt))
        return votes.solution()
