"""A model provider that tags truthfully and fails on demand."""

from sandbox.provider.plan import FaultPlan
from sandbox.provider.server import ProviderSandbox, RequestRecord
from sandbox.provider.tags import expected_tags

__all__ = ["FaultPlan", "ProviderSandbox", "RequestRecord", "expected_tags"]
