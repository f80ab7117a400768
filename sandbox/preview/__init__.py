"""The public preview of channels (t.me/s/NAME) in memory, with everything that can go wrong there."""

from sandbox.preview.channel import PreviewChannel
from sandbox.preview.server import PreviewSandbox, RequestRecord, serve_preview

__all__ = ["PreviewChannel", "PreviewSandbox", "RequestRecord", "serve_preview"]
