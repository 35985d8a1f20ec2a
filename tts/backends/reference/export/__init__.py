"""Writes a bundled model for other runtimes: `python -m tts.backends.reference.export`."""
