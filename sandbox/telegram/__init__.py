"""A Bot API server in memory, with people, channels and a chat page."""

from sandbox.telegram.flood import FloodLimits
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.world import Answer, Call, ErrorRecord

__all__ = ["Answer", "Call", "ErrorRecord", "FloodLimits", "TelegramSandbox"]
