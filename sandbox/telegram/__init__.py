"""A Bot API server in memory, with people, channels and a chat page in the browser."""

from sandbox.telegram.flood import FloodLimits
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.world import BotCall, ErrorRecord, PressAnswer

__all__ = ["BotCall", "ErrorRecord", "FloodLimits", "PressAnswer", "TelegramSandbox"]
