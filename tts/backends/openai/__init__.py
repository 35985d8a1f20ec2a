"""Servers that speak OpenAI's format."""

from tts.backends.openai.provider import OpenAI

__all__ = ["OpenAI"]
