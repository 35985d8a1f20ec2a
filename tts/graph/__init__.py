"""Tasks that wait for one another, run as early as their inputs and the slots allow.

`open_graph` is a scope; nodes are added to it while it runs. Nothing polls: a node counts the
inputs that it lacks, and the end of the last of them makes it ready. Leaving the scope cancels
what still runs.
"""

from tts.graph.executor import TaskGraph, open_graph
from tts.graph.features import Features, antichain, features
from tts.graph.nodes import Node
from tts.graph.ranking import Durations

__all__ = [
    "Durations",
    "Features",
    "Node",
    "TaskGraph",
    "antichain",
    "features",
    "open_graph",
]
