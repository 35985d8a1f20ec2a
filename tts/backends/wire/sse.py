"""Server-sent events, read as they arrive."""

from __future__ import annotations

__all__ = ["Events"]

_BOM = b"\xef\xbb\xbf"


class Events:
    r"""Cuts a byte stream into the data of its events, wherever its chunks end.

    Lines may end with LF, CRLF or CR; comments and other fields are skipped; several data lines of
    one event are joined by a line feed.

    >>> Events().feed(b': hello\r\ndata: {"a":\r\ndata: 1}\r\n\r\ndata: [DO')
    [b'{"a":\n1}']

    Source: WHATWG HTML standard, section 9.2.6.
    """

    def __init__(self) -> None:
        self._partial: list[bytes] = []
        self._data: list[bytes] = []
        self._skip_feed = False
        self._is_new = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that this chunk completes."""
        if self._skip_feed and chunk:  # the chunk before ended between CR and LF
            chunk, self._skip_feed = chunk.removeprefix(b"\n"), False
        if b"\n" not in chunk and b"\r" not in chunk:
            self._partial.append(chunk)
            return []
        lines = b"".join((*self._partial, chunk)).splitlines(keepends=True)
        self._partial = [] if lines[-1].endswith((b"\n", b"\r")) else [lines.pop()]
        self._skip_feed = chunk.endswith(b"\r")
        found = []
        for line in lines:
            event = self._take(line.rstrip(b"\r\n"))
            if event is not None:
                found.append(event)
        return found

    def end(self) -> list[bytes]:
        """Return what stands at the end without the blank line that should close it."""
        last = self._take(b"".join(self._partial))
        self._partial = []
        rest = self._take(b"") if last is None else None
        return [event for event in (last, rest) if event is not None]

    def _take(self, line: bytes) -> bytes | None:
        if self._is_new:
            line, self._is_new = line.removeprefix(_BOM), False
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif not line and self._data:
            data, self._data = self._data, []
            return b"\n".join(data)
        return None
