"""Models of Hugging Face's transformers, run here; needs the extra `transformers`."""

from tts.backends.transformers.provider import Transformers

__all__ = ["Transformers"]
