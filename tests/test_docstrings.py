from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.docstrings import described, summary

GOOGLE = """Find pages
    of a kind.

    Args:
        query: What to look for, and
            where: in titles.

            Also in texts.
        k (Optional[int], default 3): How many.
        *rest: More.
        bare:

    Returns:
        pages: Those.
    """

NUMPY = """Find pages of a kind.

    Parameters
    ----------
    query : str, optional
        What to look for, and
        where.
    k, n : int
        How many.

    Returns
    -------
    pages : list
        Those.
    """

SPHINX = """Find pages of a kind.
    :param str query: What to look for,
        and where.
    :param k: How many.
    :type k: int
    :returns: Those.
    """


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            GOOGLE,
            {
                "query": "What to look for, and where: in titles. Also in texts.",
                "k": "How many.",
                "rest": "More.",
            },
        ),
        (
            NUMPY,
            {"query": "What to look for, and where.", "k": "How many.", "n": "How many."},
        ),
        (SPHINX, {"query": "What to look for, and where.", "k": "How many."}),
        ("Find.\n\nArgs:\nquery: not a section", {}),
        ("Args: none", {}),
        ("Find.\nParameters\nquery: not underlined", {}),
        ("", {}),
    ],
)
def test_parameters_are_described_in_any_of_the_usual_styles(
    text: str, found: dict[str, str]
) -> None:
    assert described(inspect.cleandoc(text)) == found


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX, "Find pages of a kind.\nArgs:\n  x: y"])
def test_the_first_paragraph_is_the_summary(text: str) -> None:
    assert summary(inspect.cleandoc(text)) == "Find pages of a kind."


@given(st.text(alphabet="Args:- \nx(),param*\t"))
def test_any_text_is_read(text: str) -> None:
    assert all(name and said for name, said in described(text).items())
    assert "\n" not in summary(text)
