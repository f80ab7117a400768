"""A model provider that tags each post with words of its own text, and fails on demand."""

from sandbox.provider.plan import FaultPlan
from sandbox.provider.server import ProviderSandbox, RequestRecord
from sandbox.provider.tags import expected_tags

__all__ = ["FaultPlan", "ProviderSandbox", "RequestRecord", "expected_tags"]
