"""Calls that were finished once: kept in the run's folder, and charged in full each time."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import anyio
from pydantic import ValidationError

from tts.backends.base import Backend, Meter
from tts.backends.policy import Cache
from tts.errors import BackendError, ConfigError
from tts.evals.bill import Bill, open_bill
from tts.evals.remedies import remedy
from tts.evals.tries import Spent
from tts.layers import Layer
from tts.layers.store import Store, open_store
from tts.messages import Completion, Request

__all__ = ["Calls", "Kept", "open_calls"]

_LOG: Final = logging.getLogger(__name__)

_NO_MATTER: Final = {
    "role", "span", "ticket", "timeout", "priority", "logprobs", "top_logprobs",
}  # fmt: skip
_COUNTS: Final = ("prompt_tokens", "completion_tokens", "cached_tokens", "attempts", "hedged")
_OF_ANOTHER_SHAPE: Final = sqlite3.SQLITE_ERROR
"""The code where a table lacks what a statement asks of it."""
_FOR_EVER: Final = Cache(max_megabytes=1e9, max_days=10_000)


@dataclass(slots=True)
class Calls:
    """The file of a bench's finished calls, and of what all its calls have cost."""

    path: Path
    """The file."""
    store: Store
    """Finished calls, each under the digest of all that its answer depends on."""
    bill: Bill
    """What all calls have cost, however they ended."""
    _is_told: bool = False

    @property
    def troubles(self) -> list[str]:
        """What could not be written, and why; empty if all was."""
        told = {
            "the kept calls are incomplete": self.store.failure,
            "what was paid in all may be more than is told": self.bill.failure,
        }
        return [f"{what}: {failure}" for what, failure in told.items() if failure is not None]

    def put(self, key: bytes, call: bytes) -> None:
        """Keep a finished call; a file that fails is told of at once, and costs no call."""
        self.store.put(key, call)
        failure = self.store.failure
        if failure is not None and not self._is_told:
            self._is_told = True
            _LOG.warning(
                "%s: finished calls cannot be kept (%s): %s; what is interrupted now has to pay "
                "again for the calls of problems without a result",
                self.path,
                failure,
                _remedy(failure),
            )


class Kept(Layer):
    """Keeps each finished call, and answers an equal one with it at its first price.

    What was finished before a crash is not asked again, and strategies that draw the same samples
    draw them once. Whoever is answered here pays what whoever asked has paid, failed attempts
    included, and waits as long on its chain of calls (`Meter.seconds`): so costs are those of a
    user who keeps nothing.

    A call that reads more of each token (log-probabilities, alternatives) than the kept one does
    is made again, and replaces it.

    Args:
        inner: What is asked otherwise.
        calls: Where calls are kept, and what they cost is written down.
        identity: What an answer depends on beside the request.

    Attributes:
        replayed: Calls that were answered from the store.
        replays: What these were charged with, by digest.
        made: Calls that were finished and kept.
        bills: What these cost, by digest.
    """

    def __init__(self, inner: Backend, calls: Calls, identity: Mapping[str, Any]) -> None:
        super().__init__(inner)
        self._calls = calls
        self._identity = json.dumps([self.name, identity], sort_keys=True)
        self.replayed = self.made = 0
        self.replays: dict[str, Spent] = {}
        self.bills: dict[str, Spent] = {}

    async def generate(self, request: Request, meter: Meter) -> Completion:
        """Answer from the store, or ask and keep."""
        key = self._key(request)
        detail = max(int(request.logprobs), 2 * request.top_logprobs)
        known = self._known(key, detail)
        if known is not None:
            counts, completion = known
            await anyio.lowlevel.checkpoint()
            meter.start()
            for name in _COUNTS:
                setattr(meter, name, counts[name])
            meter.seconds = counts["seconds"]
            meter.estimated = completion.usage.estimated
            meter.hear(completion.text)
            self.replayed += 1
            self._note(self.replays, key, meter, completion)
            return completion
        start = anyio.current_time()
        completion = await self._paid(request, meter)
        seconds = anyio.current_time() - start
        counts = {name: getattr(meter, name) for name in _COUNTS}
        if meter.cached:  # a cache of the model's own: the price is the first one all the same
            meter.settle(completion.usage)
            meter.started, meter.cached = True, False
            counts = {name: getattr(meter, name) for name in _COUNTS}
        head = json.dumps({"detail": detail, "seconds": seconds, **counts})
        text = completion.model_dump_json(exclude_defaults=True)
        self._calls.put(key, f"{head}\n{text}".encode())
        self.made += 1
        self._note(self.bills, key, meter, completion)
        return completion

    async def _paid(self, request: Request, meter: Meter) -> Completion:
        """Ask, and write down what that cost, however it ends."""
        draws = request.n
        try:
            completion = await self.inner.generate(request, meter)
            draws = completion.count
            return completion
        except BackendError:
            draws = 1
            raise
        finally:
            self._calls.bill.book(meter, self.price, draws)

    def _note(
        self, notes: dict[str, Spent], key: bytes, meter: Meter, completion: Completion
    ) -> None:
        """Add what a call is charged with to what is known of it: one may be asked twice."""
        price, tokens, name = self.price, (meter.prompt_tokens, meter.completion_tokens), _name(key)
        spent = Spent(
            calls=completion.count,
            prompt_tokens=tokens[0],
            completion_tokens=tokens[1],
            cost_usd=None if price is None else price.of(*tokens, meter.cached_tokens),
        )
        notes[name] = notes[name].plus(spent) if name in notes else spent

    def _known(self, key: bytes, detail: int) -> tuple[dict[str, Any], Completion] | None:
        kept = self._calls.store.get(key)
        if kept is None:
            return None
        head, _, text = kept.partition(b"\n")
        try:
            counts = json.loads(head)
            return (
                (counts, Completion.model_validate_json(text))
                if counts["detail"] >= detail and counts["seconds"] >= 0.0
                else None
            )
        except (ValueError, KeyError, ValidationError):  # written by another version
            return None

    def _key(self, request: Request) -> bytes:
        fields = request.model_dump_json(exclude=_NO_MATTER)
        return blake2b(f"{self._identity}\n{fields}".encode(), digest_size=16).digest()


def _name(key: bytes) -> str:
    """Return a key's beginning: enough to tell the calls of one problem apart."""
    return key[:8].hex()


@contextmanager
def open_calls(path: Path) -> Iterator[Calls]:
    """Open the file of kept calls, made if it is not there.

    Raises:
        ConfigError: If the file cannot be opened.
    """
    settings = _FOR_EVER.model_copy(update={"path": path})
    with ExitStack() as opened:
        try:
            store = opened.enter_context(open_store(settings, survives_power=True))
            bill = opened.enter_context(open_bill(store.connection))
        except ConfigError as error:
            cause = error.__cause__
            told = f"finished calls cannot be kept here: {cause}; {_remedy(cause)}"
            raise ConfigError(f"{told}, or give another folder", path=str(path)) from error
        yield Calls(path, store, bill)


def _remedy(error: BaseException | None) -> str:
    """Return what helps where the file cannot be opened or written, and loses the least."""
    match error:
        case sqlite3.OperationalError(sqlite_errorcode=code) if code != _OF_ANOTHER_SHAPE:
            return remedy(error)
        case sqlite3.Error():
            return "move the file away, and its calls are paid for again"
    return "make the folder writable"
