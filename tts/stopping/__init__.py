"""Stopping rules: when another sample is no longer worth its tokens, and what stopping promises."""

from tts.stopping.base import CONTINUE, StoppingRule, Verdict
from tts.stopping.dominance import Dominance
from tts.stopping.never import Never

__all__ = ["CONTINUE", "Dominance", "Never", "StoppingRule", "Verdict"]
