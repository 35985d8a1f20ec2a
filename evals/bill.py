"""What all calls of a bench have cost, in a table beside the kept ones.

Rows of results change: a problem is tried again, a strategy leaves the suite, a row is made anew.
What was paid does not, so it is written down call by call, when the call ends, however it ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from tts.backends.base import Meter, Price
from tts.errors import ConfigError
from tts.evals.tries import Spent
from tts.layers.store import is_busy

__all__ = ["Bill", "open_bill"]

_PATIENCE_MS: Final = 5000
"""Milliseconds that opening and closing wait for other processes; nothing else waits."""
_Sums: TypeAlias = tuple[int, int, int, float, int]
"""Calls, tokens of prompts and of completions, dollars, and calls of unknown price."""
_NOTHING: Final[_Sums] = (0, 0, 0, 0.0, 0)
_LAYOUT: Final = """
CREATE TABLE IF NOT EXISTS bill (
    id INTEGER PRIMARY KEY CHECK (id = 1), calls INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, cost_usd REAL NOT NULL, unpriced INTEGER NOT NULL
);
INSERT OR IGNORE INTO bill VALUES (1, 0, 0, 0, 0.0, 0);
"""
_ADD: Final = """
UPDATE bill SET calls = calls + ?, prompt_tokens = prompt_tokens + ?,
    completion_tokens = completion_tokens + ?, cost_usd = cost_usd + ?, unpriced = unpriced + ?
"""
_TOTAL: Final = "SELECT calls, prompt_tokens, completion_tokens, cost_usd, unpriced FROM bill"


class Bill:
    """The running sum, to which several processes may add.

    What cannot be written because another process is writing is added with the next; a file that
    fails costs the sum, never a call, and `failure` says why.

    Args:
        connection: See `open_bill`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._unwritten = self._known = self._since = _NOTHING
        self.failure: sqlite3.Error | None = None

    def book(self, meter: Meter, price: Price | None, draws: int = 1) -> None:
        """Add a call that left for the model.

        Args:
            meter: What it used.
            price: The model's; None makes dollars unknown.
            draws: Completions that it brought, or was to bring: each counts as a call.
        """
        if not meter.started:
            return
        prompt, completion = meter.prompt_tokens, meter.completion_tokens
        usd = 0.0 if price is None else price.of(prompt, completion, meter.cached_tokens)
        self._add((draws, prompt, completion, usd, int(price is None)))

    def add(self, spent: Spent) -> None:
        """Add what was paid."""
        if spent != Spent():
            usd, unpriced = spent.cost_usd or 0.0, int(spent.cost_usd is None)
            self._add((spent.calls, spent.prompt_tokens, spent.completion_tokens, usd, unpriced))

    def raise_to(self, known: Spent) -> None:
        """Add what is missing to a sum that is known from elsewhere: the file may be a new one."""
        total = self._read()
        if total is not None and known.calls > total[0]:
            self.add(known.less(_spent(total)))

    def total(self) -> Spent:
        """Return what all processes have written, and what this one could not write yet.

        Where the file fails it is what was read last and what was added here since: less than
        others may have paid, at a cost in dollars that nobody knows.
        """
        found = self._read()
        if found is None:
            return _spent(_sum(self._known, self._since)).model_copy(update={"cost_usd": None})
        return _spent(found)

    def close(self) -> None:
        """Write what is still unwritten."""
        if self._unwritten == _NOTHING:
            return
        try:
            self._connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
            self._write()
        except sqlite3.Error as error:
            self.failure = error

    def _add(self, sums: _Sums) -> None:
        self._unwritten, self._since = _sum(self._unwritten, sums), _sum(self._since, sums)
        self._write()

    def _read(self) -> _Sums | None:
        try:
            written: _Sums = self._connection.execute(_TOTAL).fetchone()
        except sqlite3.Error as error:
            self.failure = error
            return None
        self._known, self._since = _sum(written, self._unwritten), _NOTHING
        return self._known

    def _write(self) -> None:
        try:
            self._connection.execute(_ADD, self._unwritten)
        except sqlite3.Error as error:
            if not is_busy(error):
                self.failure = error
            return
        self._unwritten = _NOTHING


def _sum(one: _Sums, other: _Sums) -> _Sums:
    a, b, c, d, e = one
    v, w, x, y, z = other
    return a + v, b + w, c + x, d + y, e + z


def _spent(sums: _Sums) -> Spent:
    calls, prompt, completion, usd, unpriced = sums
    return Spent(
        calls=calls,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cost_usd=None if unpriced else usd,
    )


@contextmanager
def open_bill(connection: sqlite3.Connection) -> Iterator[Bill]:
    """Open the bill in a file of kept calls, by the connection that writes these.

    Two connections of one process would each read anew what the other one has written.

    Args:
        connection: Commits each statement, waits for no other process, and is closed by its owner.

    Raises:
        ConfigError: If the file cannot hold a bill.
    """
    try:
        connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
        connection.executescript(_LAYOUT)
        connection.execute("PRAGMA busy_timeout = 0")
    except sqlite3.Error as error:
        raise ConfigError(f"cannot keep what calls cost: {error}") from error
    bill = Bill(connection)
    try:
        yield bill
    finally:
        bill.close()
