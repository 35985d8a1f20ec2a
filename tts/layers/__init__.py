"""Call layers: backends around backends, each adding one thing."""

from tts.layers.base import Layer
from tts.layers.budget import Account, Budget, Budgeted, Spending
from tts.layers.limit import Limited
from tts.layers.retry import Retrying
from tts.layers.stack import Stack, open_stack, outline
from tts.layers.trace import Record, Trace, Traced, trace_file

__all__ = [
    "Account",
    "Budget",
    "Budgeted",
    "Layer",
    "Limited",
    "Record",
    "Retrying",
    "Spending",
    "Stack",
    "Trace",
    "Traced",
    "open_stack",
    "outline",
    "trace_file",
]
