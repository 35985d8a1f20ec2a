"""Reads a plan while it streams: one character after the other, so pieces may end anywhere.

plan    := { blank | thought | call | note } [ join ] [ "<END_OF_PLAN>" ]
call    := NUMBER ("." | ")" | ":") name "(" arguments ")" [ "#" comment ]
join    := [ NUMBER "." ] "join" [ "(" ... ")" ]
thought := "Thought:" text to the end of the line

A call is complete with its closing parenthesis, which may stand lines later. If a line begins like
a call while one is open, the open one is closed before it and marked as repaired. Nothing is
dropped in silence: what is no part of a plan comes out as a `Problem`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tts.plans.arguments import Arguments, Brackets, read_arguments
from tts.plans.values import UnknownReference

__all__ = ["Call", "Item", "Join", "PlanReader", "Problem", "Thought"]

_NAME = r"[A-Za-z_]\w*(?:[.-][A-Za-z_]\w*)*"
_LEAD = r"\s*(?:[-*•>+]\s*)?(?:\*\*|`)?"
_HEAD = re.compile(rf"{_LEAD}(\d{{1,9}})\s*[.):]\s*(?:\*\*|`)?\s*({_NAME})\s*")
_JOIN = re.compile(rf"{_LEAD}(?:\d+\s*[.):]\s*)?`?join\s*")
_BARE_JOIN = re.compile(rf"{_LEAD}(?:\d+\s*[.):]\s*)?`?join(?:\s*\(\s*\))?[`.\s]*")
_THOUGHT = re.compile(r"\s*Thought\s*:(.*)", re.DOTALL | re.IGNORECASE)
_NUMBERED = re.compile(rf"{_LEAD}\d+\s*[.):]\s")
_UNNUMBERED = re.compile(rf"{_LEAD}{_NAME}\(.*\)[`.;]*\s*", re.DOTALL)
_CALLED = re.compile(rf"(?<![\w.-])({_NAME})\(")
_FENCE = re.compile(r"\s*(?:`{3,}(?:\s*\w+)?|~{3,}|#{3,}|[-*_]{3,})\s*")
_END = "<END_OF_PLAN>"
_LONGEST_HEAD = 200
_NO_TAIL = " \t\r`.;,*"


@dataclass(frozen=True, slots=True)
class Thought:
    """What the planner says about its plan."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool.

    Attributes:
        id: Its number in the plan.
        tool: The tool's name.
        arguments: Read, with references to earlier calls.
        text: Name and arguments as they were written.
        line: Where it begins, from 1.
        is_repaired: True if its end was missing and had to be guessed.
    """

    id: int
    tool: str
    arguments: Arguments
    text: str
    line: int
    is_repaired: bool = False


@dataclass(frozen=True, slots=True)
class Join:
    """The end of the plan."""

    line: int


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that is no part of a plan.

    Attributes:
        line: Where it stands, from 1.
        reason: What is wrong, in words from which a model can repair it.
        text: The line.
        is_fatal: True if the plan lacks something without it; a remark in prose is not fatal.
    """

    line: int
    reason: str
    text: str
    is_fatal: bool = True


Item: TypeAlias = Thought | Call | Join | Problem


class PlanReader:
    """Turns the characters of a plan into calls, each as soon as its last character is there.

    Args:
        known: Calls of earlier rounds by id, as they were written: they may be referred to, and
            their ids are taken.
        tools: Names of the tools there are, which tell a call from a line of a text; None if they
            are not known.

    Attributes:
        is_over: True once the plan has ended; what follows is not read.
        has_join: True if it ended with join.
    """

    def __init__(
        self, known: Mapping[int, str] | None = None, tools: Collection[str] | None = None
    ) -> None:
        self._texts = dict(known or {})
        self._tools = tools
        self._lost: set[int] = set()
        self._out: list[Item] = []
        self._mode: Literal["line", "arguments", "tail", "reasoning"] = "line"
        self._buffer: list[str] = []
        """The line, the arguments or what follows them, as far as it was read."""
        self._fresh: int | None = None
        """Where in the arguments the present line begins; None on the call's own line."""
        self._head: tuple[int, str, int] = (0, "", 0)
        self._brackets = Brackets()
        self._number = 1
        self.is_over = self.has_join = False

    def feed(self, piece: str) -> list[Item]:
        """Take in a piece of the text; return what it completes."""
        for character in piece:
            if self.is_over:
                break
            if self._mode == "arguments":
                self._in_arguments(character)
            elif self._mode == "tail":
                self._in_tail(character)
            elif self._mode == "reasoning":
                self._in_reasoning(character)
            else:
                self._in_line(character)
            if character == "\n":
                self._number += 1
        return self._taken()

    def close(self, *, is_cut: bool = False) -> list[Item]:
        """Take in the end of the text; return what it completes.

        Args:
            is_cut: True if the text was cut off, so that a call without an end is not all there.
        """
        if self.is_over:
            return []
        if self._mode in {"line", "tail"}:
            self._end_line()
        elif self._mode == "reasoning":
            self._fail("the plan ended within its reasoning", "", is_fatal=False)
        elif is_cut:
            self._fail("the plan was cut off here: write a shorter one", self._written())
        elif self._fresh is not None and self._is_other(self._since_fresh()):
            self._recover()
            self._end_line()
        else:
            self._end_call(is_repaired=True)
        self.is_over = True
        return self._taken()

    def _taken(self) -> list[Item]:
        taken, self._out = self._out, []
        return taken

    def _in_line(self, character: str) -> None:
        if character == "\n":
            self._end_line()
            return
        if character == "(" and self._begin_call("".join(self._buffer[:_LONGEST_HEAD])):
            return
        self._buffer.append(character)
        if character == ">":
            self._end_tag("".join(self._buffer[-len(_END) :]))

    def _end_tag(self, last: str) -> None:
        """Look at what ends with a tag: the plan may be over, or raw reasoning begin."""
        if last == _END:
            self._end_line()
        elif last.endswith("<think>"):
            self._mode, self._buffer = "reasoning", []

    def _in_reasoning(self, character: str) -> None:
        self._buffer.append(character)
        if character == ">" and "".join(self._buffer[-8:]) == "</think>":
            self._mode, self._buffer = "line", []

    def _begin_call(self, before: str) -> bool:
        """Begin a call if the text before a parenthesis is the head of one."""
        head = _HEAD.fullmatch(before)
        if _JOIN.fullmatch(before):
            self._head = (0, "join", self._number)
        elif head is not None:
            self._head = (int(head[1]), head[2], self._number)
        else:
            return False
        self._mode, self._buffer, self._fresh = "arguments", [], None
        self._brackets = Brackets(depth=1)
        return True

    def _in_arguments(self, character: str) -> None:
        is_new = self._fresh is not None and len(self._buffer) - self._fresh <= _LONGEST_HEAD
        if (is_new and character == "(") or (self._fresh is not None and character == "\n"):
            line = self._since_fresh()
            if character == "(" and self._is_head(line):
                self._recover()
                self._begin_call(line)
                return
            if character == "\n" and self._is_other(line):
                self._recover()
                self._end_line()
                return
        self._brackets.feed(character)
        if self._brackets.depth == 0:
            self._end_call()
            return
        self._buffer.append(character)
        if character == "\n":
            self._fresh = len(self._buffer)

    def _since_fresh(self) -> str:
        return "".join(self._buffer[self._fresh :])

    def _is_head(self, line: str) -> bool:
        """True if a call begins here; within a quoted text only that of a known tool does."""
        head = _HEAD.fullmatch(line)
        if head is None or _JOIN.fullmatch(line):
            return _JOIN.fullmatch(line) is not None
        return not self._brackets.quote or self._tools is None or head[2] in self._tools

    @staticmethod
    def _is_other(line: str) -> bool:
        """True if the line cannot belong to an argument."""
        is_join = _BARE_JOIN.fullmatch(line) is not None
        return is_join or _THOUGHT.fullmatch(line) is not None or _END in line

    def _recover(self) -> None:
        """Close the open call before the present line, which is kept."""
        line = self._buffer[self._fresh :]
        del self._buffer[self._fresh :]
        self._end_call(is_repaired=True)
        if not self.is_over:
            self._mode, self._buffer = "line", line

    def _written(self) -> str:
        number, name, _ = self._head
        return f"{number}. {name}({''.join(self._buffer)}"

    def _end_call(self, *, is_repaired: bool = False) -> None:
        id, name, line = self._head  # noqa: A001  # the plan's word
        text = "".join(self._buffer)
        if is_repaired:
            text = text.rstrip()
            if self._brackets.quote and text.endswith(")"):  # the quote was an apostrophe
                text = text[:-1]
        self._mode, self._buffer = "tail", []
        if name == "join":
            self._out.append(Join(line))
            self.is_over = self.has_join = True
            return
        written = f"{name}({text})"
        if id in self._texts:
            is_again = self._texts[id] == written
            reason = f"the id {id} is taken: go on from {max(self._texts) + 1}"
            self._fail(reason, f"{id}. {written}", line=line, is_fatal=not is_again)
            return
        try:
            arguments = read_arguments(text, self._texts.keys(), self._lost)
        except UnknownReference as error:
            reason = f"{error.text} stands for no earlier call"
            self._fail(reason, f"{id}. {written}", line=line)
            self._lost.add(id)
            return
        self._lost.discard(id)
        self._texts[id] = written
        self._out.append(Call(id, name, arguments, written, line, is_repaired))

    def _in_tail(self, character: str) -> None:
        if character == "\n":
            self._end_line()
            return
        if character == "(":
            self._begin_call("".join(self._buffer[:_LONGEST_HEAD]).lstrip(_NO_TAIL))
        if self._mode == "tail":
            self._buffer.append(character)

    def _end_line(self) -> None:
        line, is_tail = "".join(self._buffer), self._mode == "tail"
        self._mode, self._buffer = "line", []
        if is_tail:
            line = line.lstrip(_NO_TAIL)
            if line.startswith(("#", "//", "-", "—")):
                return  # a comment
        thought = _THOUGHT.fullmatch(line)
        if not line.strip(_NO_TAIL) or _FENCE.fullmatch(line):
            return
        if _END in line:
            self.is_over = True
        elif _BARE_JOIN.fullmatch(line):
            self._out.append(Join(self._number))
            self.is_over = self.has_join = True
        elif thought is not None:
            self._out.append(Thought(thought[1].strip()))
        elif _NUMBERED.match(line):
            self._fail("a line is a call: a number, a dot, and name(arguments)", line)
        elif _UNNUMBERED.fullmatch(line):
            self._fail("a call needs its number in front", line)
        else:
            named = {found[1] for found in _CALLED.finditer(line)}
            self._fail("no call; left out", line, is_fatal=bool(named & {*(self._tools or ())}))

    def _fail(
        self, reason: str, text: str, *, line: int | None = None, is_fatal: bool = True
    ) -> None:
        number = self._number if line is None else line
        self._out.append(Problem(number, reason, text.strip(), is_fatal))
