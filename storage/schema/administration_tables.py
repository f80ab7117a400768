"""Tables of stored settings and of the administrators' journal."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from storage.schema.tables import Base, BigKey
from storage.schema.types import UtcDateTime


class StoredSetting(Base):
    """A setting that an administrator changed; it holds instead of the one in .env until the row is deleted."""

    __tablename__ = "metka_settings"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)
    changed_by: Mapped[int] = mapped_column(BigInteger)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AdminAction(Base):
    """One line of the administrators' journal."""

    __tablename__ = "metka_admin_journal"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    telegram_id: Mapped[int] = mapped_column(BigInteger)
    #: What was done: 'models', 'key', 'pause', 'approve', …
    action: Mapped[str] = mapped_column(String(32))
    details: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
