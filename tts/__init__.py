"""Test-time scaling, orchestrated.

A strategy solves a problem by asking a run for completions; the run carries each call through a
stack of thin layers to a backend; a stopping rule says when enough has been seen.
"""

from tts.answers import AnswerFormat
from tts.backends import Backend, Capabilities, Meter, Price, Provider
from tts.errors import (
    AuthenticationError,
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    BudgetExceeded,
    ConfigError,
    ContextLengthExceeded,
    InvalidResponse,
    NoQuorum,
    RateLimited,
    TTSError,
)
from tts.layers import Budget, Trace
from tts.ledger import RunUsage
from tts.messages import Completion, Message, Request, Sampling, Usage
from tts.pipeline import Pipeline
from tts.problem import Candidate, Problem, Solution, StoppedBy
from tts.run import Run
from tts.session import Update
from tts.solver import Solver, open_solver, solve, solve_sync
from tts.stopping import StoppingRule
from tts.strategy import Strategy
from tts.verifiers import Verifier
from tts.votes import Tally, Vote

__all__ = [
    "AnswerFormat",
    "AuthenticationError",
    "Backend",
    "BackendError",
    "BackendTimeout",
    "BackendUnavailable",
    "Budget",
    "BudgetExceeded",
    "Candidate",
    "Capabilities",
    "Completion",
    "ConfigError",
    "ContextLengthExceeded",
    "InvalidResponse",
    "Message",
    "Meter",
    "NoQuorum",
    "Pipeline",
    "Price",
    "Problem",
    "Provider",
    "RateLimited",
    "Request",
    "Run",
    "RunUsage",
    "Sampling",
    "Solution",
    "Solver",
    "StoppedBy",
    "StoppingRule",
    "Strategy",
    "TTSError",
    "Tally",
    "Trace",
    "Update",
    "Usage",
    "Verifier",
    "Vote",
    "open_solver",
    "solve",
    "solve_sync",
]
