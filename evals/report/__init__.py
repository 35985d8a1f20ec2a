"""What a bench found, to read and to pass on: a self-contained page, plots, tables, a live view."""

from tts.evals.report.contents import Contents, contents
from tts.evals.report.exports import export
from tts.evals.report.page import page
from tts.evals.report.plots import plot
from tts.evals.report.runs import Entry, Run, load

__all__ = ["Contents", "Entry", "Run", "contents", "export", "load", "page", "plot"]
