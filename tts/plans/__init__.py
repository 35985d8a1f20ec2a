"""Plans that a model writes as text: read while they stream, bound to tools, filled with results.

`PlanReader` turns characters into calls, whatever pieces they come in. `bind` fits a call to a
tool's parameters. `fill` puts results in the place of references, once, and reads none of them.
"""

from tts.plans.arguments import Arguments, read_arguments
from tts.plans.binding import Bound, bind
from tts.plans.native import NativeReader
from tts.plans.text import Call, Item, Join, PlanReader, Problem, Thought
from tts.plans.values import Ref, Template, fill, refs
from tts.plans.verdict import Verdict, read_verdict

__all__ = [
    "Arguments",
    "Bound",
    "Call",
    "Item",
    "Join",
    "NativeReader",
    "PlanReader",
    "Problem",
    "Ref",
    "Template",
    "Thought",
    "Verdict",
    "bind",
    "fill",
    "read_arguments",
    "read_verdict",
    "refs",
]
