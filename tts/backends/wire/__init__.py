"""HTTP for backends: one tested wire that all providers share."""

from tts.backends.wire.address import BaseURL
from tts.backends.wire.client import Story, Wire
from tts.backends.wire.patience import Timeouts
from tts.backends.wire.settings import Remote
from tts.backends.wire.transport import Transport

__all__ = ["BaseURL", "Remote", "Story", "Timeouts", "Transport", "Wire"]
