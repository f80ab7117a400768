"""A stand-in for t.me/s/NAME, the public preview of channels, with its faults."""

from sandbox.preview.channel import PreviewChannel
from sandbox.preview.server import PreviewRequest, PreviewSandbox, serve_preview

__all__ = ["PreviewChannel", "PreviewRequest", "PreviewSandbox", "serve_preview"]
