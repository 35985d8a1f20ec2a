"""Tasks: problems with right answers, generated or read from files the user has."""

from tts.evals.tasks.base import Example, Split, Task

__all__ = ["Example", "Split", "Task"]
