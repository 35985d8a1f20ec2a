"""Call layers: backends around backends, each adding one thing."""

from tts.layers.base import Layer
from tts.layers.budget import Account, Budget, Spending
from tts.layers.budgeted import Budgeted
from tts.layers.concurrency import Permits
from tts.layers.groups import Groups
from tts.layers.limit import Limited
from tts.layers.opening import open_stacks
from tts.layers.retry import Retrying
from tts.layers.stack import Stack, build_stack, outline
from tts.layers.trace import Record, Trace, Traced, tee, trace_file

__all__ = [
    "Account",
    "Budget",
    "Budgeted",
    "Groups",
    "Layer",
    "Limited",
    "Permits",
    "Record",
    "Retrying",
    "Spending",
    "Stack",
    "Trace",
    "Traced",
    "build_stack",
    "open_stacks",
    "outline",
    "tee",
    "trace_file",
]
