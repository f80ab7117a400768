"""A stand-in for t.me/s/NAME, the public preview of channels, with its faults."""

from sandbox.preview.channel import PreviewChannel
from sandbox.preview.server import PageRequest, PreviewSandbox, serve_preview

__all__ = ["PageRequest", "PreviewChannel", "PreviewSandbox", "serve_preview"]
