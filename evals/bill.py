"""What all calls of a bench have cost, in a table beside the kept ones.

Rows of results change: a problem is tried again, a strategy leaves the suite, a row is made anew.
What was paid does not, so it is written down call by call, when the call ends, however it ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tts.backends.base import Meter, Price
from tts.errors import ConfigError
from tts.evals.tries import Spent

__all__ = ["Bill", "open_bill"]

_PATIENCE: Final = 5.0
"""Seconds that opening waits for other processes; nothing else waits."""
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


class Bill:
    """The running sum, to which several processes may add.

    What cannot be written because another process is writing is added with the next; a file that
    fails costs the sum, never a call, and `failure` says why.

    Args:
        connection: The open file.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._unwritten = Spent()
        self._unpriced, self._known = 0, Spent()
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
        usd = None if price is None else price.of(prompt, completion, meter.cached_tokens)
        self.add(
            Spent(calls=draws, prompt_tokens=prompt, completion_tokens=completion, cost_usd=usd)
        )

    def add(self, spent: Spent) -> None:
        """Add what was paid."""
        if spent == Spent():
            return
        self._unpriced += spent.cost_usd is None
        known = spent if spent.cost_usd is not None else spent.model_copy(update={"cost_usd": 0.0})
        self._unwritten = self._unwritten.plus(known)
        self._write()

    def raise_to(self, known: Spent) -> None:
        """Add what is missing to a sum that is known from elsewhere: the file may be a new one."""
        total = self.total()
        if known.calls > total.calls:
            self.add(known.less(total))

    def total(self) -> Spent:
        """Return what all processes have written, and what this one could not write yet."""
        try:
            asked = "SELECT calls, prompt_tokens, completion_tokens, cost_usd, unpriced FROM bill"
            *sums, usd, unpriced = self._connection.execute(asked).fetchone()
        except sqlite3.Error as error:
            self.failure = error
            return self._known  # never less than was told before
        priced = not unpriced and not self._unpriced
        written = Spent(
            calls=sums[0],
            prompt_tokens=sums[1],
            completion_tokens=sums[2],
            cost_usd=usd if priced else None,
        )
        self._known = written.plus(self._unwritten)
        return self._known

    def close(self) -> None:
        """Write what is still unwritten, and close the file."""
        try:
            self._connection.execute(f"PRAGMA busy_timeout = {_PATIENCE * 1000:.0f}")
            if self._unwritten != Spent() or self._unpriced:
                self._write()
        except sqlite3.Error as error:
            self.failure = error
        finally:
            self._connection.close()

    def _write(self) -> None:
        sums = self._unwritten
        more = (sums.calls, sums.prompt_tokens, sums.completion_tokens, sums.cost_usd)
        try:
            self._connection.execute(_ADD, (*more, self._unpriced))
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                self.failure = error
            return
        self._unwritten, self._unpriced = Spent(), 0


@contextmanager
def open_bill(path: Path) -> Iterator[Bill]:
    """Open the bill in a file of kept calls.

    Raises:
        ConfigError: If it cannot be opened.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=_PATIENCE)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_LAYOUT)
        connection.execute("PRAGMA busy_timeout = 0")
    except sqlite3.Error as error:
        raise ConfigError(f"cannot keep what calls cost: {error}", path=str(path)) from error
    bill = Bill(connection)
    try:
        yield bill
    finally:
        bill.close()
