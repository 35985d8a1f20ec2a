"""Tables that fit a terminal: columns move together, words wrap, the least needed columns go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

__all__ = ["Columns"]

_WIDE: Final = 4
_NARROW: Final = 2
"""Blanks between columns."""
_SHORT: Final = 16
"""Least characters of a line of words, while there are columns that can go."""
_SHORTEST: Final = 6
"""Least characters of a line of words anyway."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows under heads, and what to do without where there is no room. No figure is cut.

    Args:
        heads: Of the columns.
        rows: A text for each head.
        words: Heads of columns that hold words, which may be wrapped; some may not be there.
        least: Heads of columns that may go, the least needed first, likewise. Those that hold
            nothing go before all others.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Sequence[str]
    least: Sequence[str]

    @property
    def width(self) -> int:
        """Characters that all columns take, moved together."""
        return self._taken({head: self._own(head) for head in self.heads}, _NARROW)

    def fit(self, width: int) -> tuple[Table, list[str]]:
        """Return a table no wider than that, and the heads of columns with something that went.

        It is wider only where the columns that must stay are.
        """
        rooms = {head: self._own(head) for head in self.heads}
        if self._taken(rooms, _WIDE) <= width:
            return self._table(rooms, _WIDE), []
        rooms |= {head: min(_SHORT, rooms[head]) for head in self.words if head in rooms}
        least = [head for head in self.least if head in rooms]
        for head in sorted(least, key=lambda head: not self._is_empty(head)):
            if self._taken(rooms, _NARROW) <= width:
                break
            del rooms[head]
        for head in (head for head in self.words if head in rooms):  # what is left is theirs
            room = rooms[head] + width - self._taken(rooms, _NARROW)
            rooms[head] = max(min(room, self._own(head)), min(_SHORTEST, rooms[head]))
        gone = [head for head in self.heads if head not in rooms and not self._is_empty(head)]
        return self._table(rooms, _NARROW), gone

    def _table(self, rooms: Mapping[str, int], gap: int) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, gap // 2))
        for head, room in rooms.items():
            is_word = head in self.words
            table.add_column(
                head,
                justify="left" if is_word else "right",
                no_wrap=not is_word,
                min_width=room,
                max_width=room,
                overflow="fold",
            )
        for row in self.rows:
            cells = zip(self.heads, row, strict=True)
            table.add_row(*(Text(text) for head, text in cells if head in rooms))
        return table

    def _taken(self, rooms: Mapping[str, int], gap: int) -> int:
        return sum(rooms.values()) + gap * (len(rooms) - 1)

    def _own(self, head: str) -> int:
        return max(map(cell_len, (head, *self._texts(head))))

    def _texts(self, head: str) -> list[str]:
        at = self.heads.index(head)
        return [row[at] for row in self.rows]

    def _is_empty(self, head: str) -> bool:
        return not any(self._texts(head))
