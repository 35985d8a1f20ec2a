"""The bundled reference model: a small Llama-style network, run by numpy."""

from tts.backends.reference.backend import Reference, ReferenceBackend

__all__ = ["Reference", "ReferenceBackend"]
