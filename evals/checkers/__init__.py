"""Checkers: whether an answer is right."""

from tts.evals.checkers.base import Checker, CheckFailed

__all__ = ["CheckFailed", "Checker"]
