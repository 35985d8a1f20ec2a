from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tts.backends.openai.scoring import read_scores
from tts.messages import Message, Request

TEXTS = st.text(st.sampled_from("ab 7é日語🙂\ufffd\n"), min_size=1, max_size=12)


def told(parts: list[bytes]) -> dict[str, Any]:
    """Return what a server tells that decodes each token by itself."""
    entries = [
        {str(at): {"logprob": -float(at), "decoded_token": part.decode(errors="replace")}}
        for at, part in enumerate(parts)
    ]
    return {"prompt_logprobs": [None, *entries], "usage": {"prompt_tokens": len(parts) + 1}}


@given(TEXTS, st.data())
def test_characters_that_tokens_share_are_spelled(text: str, data: st.DataObject) -> None:
    parts = list[bytes]()
    for character in text:
        coded = character.encode()
        cut = data.draw(st.integers(0, len(coded) - 1))
        parts += [part for part in (coded[:cut], coded[cut:]) if part]
    request = Request(messages=(Message(role="user", content="?"),), given=text)
    answer = read_scores(told([b"<user>", b"?", b"<assistant>", *parts]), request)
    assert answer.text == text
    places = [-int(entry.logprob) for entry in answer.logprobs or ()]
    assert places == list(range(3, 3 + len(parts)))


def test_whole_characters_before_split_ones_like_them_are_tokens_of_their_own() -> None:
    parts = ["é".encode(), *(bytes([byte]) for byte in "éé".encode())]
    request = Request(messages=(Message(role="user", content="?"),), given="ééé")
    answer = read_scores(told([b"<user>", b"?", b"<assistant>", *parts]), request)
    assert [-int(entry.logprob) for entry in answer.logprobs or ()] == [3, 4, 5, 6, 7]


def test_a_text_after_a_prompt_of_one_token_is_scored() -> None:
    request = Request(messages=(Message(role="user", content="?"),), given="ab")
    answer = read_scores(told([b"a", b"b"]), request)
    assert [entry.token for entry in answer.logprobs or ()] == ["a", "b"]
