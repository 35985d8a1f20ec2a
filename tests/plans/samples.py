"""Plans as models write them, good and bad, and random ones."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from tts.plans import Item, PlanReader

DEFECTS = [
    "1. search(In Cold Blood)\n2. search(Schindler's List)\n3. join()\n",
    '1. math("$1 + $2")\n2. join()',
    '1. search("a"\n2. search("b")\n3. math($1, $2\n4. join()\n<END_OF_PLAN>\n',
    '1. search("a",\n   k=3,\n)\n2. join()\n',
    "```python\n- 1. f('x')  # first (of two)\n* 2) g($1) # more ) here\n3. join()\n```\n",
    "Thought: go\n1. f({'a': [$1, (2,)], \"b\": ${1.x}})\n2. f(1)\n3. f(${2.x[0]['k']})\n4. join()",
    "1. f('it''s (odd')\n2. g(\"a ) b\")\n3. h('never closed)\n4. join()\n",
    "1. f(1) 2. g($1); 3. h($2) 4. join()",
    "here is the plan\n1. compare the results\n2. f(1)\nf(2)\n\nend\n",
    '1. f($5 million)\n5. f("$1 and $5 million, $$1, $10, $1.50")\n6. f($9)\n7. f(${9})\n',
    "<think>1. f(1)\n</think>\n1. f(2)\n2. join()",
    "1. f(1)\n1. f(2)\n1. f(1)\n2. f(\n\nThought: hm\n3. f((((\n4. join",
    "7. f(1)\n9. g($7)\n10. join(7, 9)\nmore text",
    '1. f("caf\u00e9 \\u00e9 \\n \\x")\r\n2. g(true, false, null, -1.5e3)\r\n3. join()\r\n',
]
_WORDS = ["a", "New York", "it's", "x (y", "z)", "$1", "${1}", "$5 million", "", "é", "\\n", "#"]


def random_plan(rng: random.Random) -> str:
    """Return a plan of a few calls, some of them broken."""
    lines = ["Thought: begin"] if rng.random() < 0.3 else []
    for number in range(1, rng.randint(2, 9)):
        count = rng.randint(0, 3)
        arguments = ", ".join(_argument(rng, number) for _ in range(count))
        end = rng.choice([")"] * 8 + ["", ")  # note (a)", ") "])
        lead = rng.choice(["", "", "", "- ", "  "])
        dot = rng.choice([". ", ") ", ".  "])
        lines.append(
            f"{lead}{number}{dot}{rng.choice(['search', 'math', 'a.b-c'])}({arguments}{end}"
        )
        if rng.random() < 0.1:
            lines.append(rng.choice(["", "```", "so then", "8. now think", "<b>"]))
    lines.append(rng.choice([f"{len(lines) + 1}. join()", "join()", "<END_OF_PLAN>", ""]))
    return rng.choice(["\n", "\r\n"]).join(lines) + rng.choice(["", "\n"])


def _argument(rng: random.Random, number: int) -> str:
    word = rng.choice(_WORDS)
    forms = [
        f'"{word}"',
        f"'{word}'",
        word,
        str(rng.randint(-9, 999)),
        f"${rng.randint(1, number)}",
        f"k={rng.randint(0, 5)}",
        f'[1, "{word}", {{"k": ${number - 1}}}]',
        f'"{word}\n  {word}"',
    ]
    return rng.choice(forms)


plans = st.one_of(st.sampled_from(DEFECTS), st.randoms(use_true_random=False).map(random_plan))


def read(*pieces: str, is_cut: bool = False) -> list[Item]:
    """Return what a plan says that comes in these pieces."""
    reader = PlanReader()
    items = [item for piece in pieces for item in reader.feed(piece)]
    return [*items, *reader.close(is_cut=is_cut)]
