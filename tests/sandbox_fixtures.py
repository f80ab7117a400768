"""The stand-ins as fixtures: `telegram`, `provider`, `preview`, each on a free port with its address in `.url`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sandbox.preview import PreviewSandbox, serve_preview
from sandbox.provider import ProviderSandbox
from sandbox.servers import serve
from sandbox.telegram import TelegramSandbox


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramSandbox]:
    """A Bot API server; `.url` is its root, `.token` the bot's token."""
    sandbox = TelegramSandbox()
    async with serve(sandbox.make_app()) as sandbox.url:
        yield sandbox


@pytest.fixture
async def provider() -> AsyncIterator[ProviderSandbox]:
    """A model provider; `.url` is the base to which /chat/completions is added."""
    sandbox = ProviderSandbox()
    async with serve(sandbox.make_app()) as root:
        sandbox.url = f"{root}/api/v1"
        yield sandbox


@pytest.fixture
async def preview() -> AsyncIterator[PreviewSandbox]:
    """The public preview of channels; `.url` is the base to which /s/NAME is added."""
    async with serve_preview() as sandbox:
        yield sandbox
