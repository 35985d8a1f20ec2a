"""The chat format as the templates that other runtimes render.

Both say what `tts.backends.reference.rendering.Renderer` does, but for a conversation that ends
with the assistant's words: runtimes leave these open in ways of their own, without the template. A
runtime that reads `tokenizer.json` spaces the text itself; llama.cpp cannot, so its template does
it. What llama.cpp writes keeps these spaces, and comes back with them in a later prompt, so a line
that begins with a space is taken to have its own already.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["PLAIN", "SPACED", "spaced", "unspaced"]

_TEMPLATE: Final = """\
{%- set turn = namespace(before='') -%}
{%- for message in messages -%}
{%- if message['role'] == 'system' -%}
{%- set turn.before = turn.before + message['content'] + '\\n' -%}
{%- else -%}
{{- '<|' + message['role'] + '|>' -}}
{{- TEXT(turn.before + message['content']) -}}
{{- '<|end|>' -}}
{%- set turn.before = '' -%}
{%- endif -%}
{%- endfor -%}
{%- if turn.before -%}
{{- '<|user|>' -}}{{- TEXT(turn.before[:-1]) -}}{{- '<|end|>' -}}
{%- endif -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}
"""

_MACRO: Final = """\
{%- macro spaced(text) -%}
{%- for line in text.split('\\n') -%}
{%- if not loop.first -%}{{- '\\n' -}}{%- endif -%}
{%- if line[:1] != ' ' and (line or (loop.first and text)) -%}{{- ' ' -}}{%- endif -%}
{{- line -}}
{%- endfor -%}
{%- endmacro -%}
"""

PLAIN: Final = _TEMPLATE.replace("TEXT(", "(")
"""For runtimes whose tokenizer is `tokenizer.json`."""
SPACED: Final = _MACRO + _TEMPLATE.replace("TEXT(", "spaced(")
"""For llama.cpp: it writes the spaces that the tokenizer's normalizer would, where none are."""


def spaced(text: str) -> str:
    r"""Return a text as the tokenizer's normalizer writes it before it splits it.

    >>> spaced("keys = 3\n\nhats = 4")
    ' keys = 3\n\n hats = 4'
    """
    return re.sub(r"\n(?=[^\n])", "\n ", " " + text if text else text)


def unspaced(text: str) -> str:
    r"""Undo `spaced`; a runtime that knows only the tokens' own spelling writes such texts.

    >>> unspaced(" keys = 3\n\n hats = 4")
    'keys = 3\n\nhats = 4'
    """
    return re.sub(r"\n (?=[^\n])", "\n", text).removeprefix(" ")
