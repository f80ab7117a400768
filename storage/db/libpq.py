"""libpq's form of an address of PostgreSQL, as the servers' owners copy it → SQLAlchemy's URL and asyncpg's arguments.

https://www.postgresql.org/docs/current/libpq-connect.html
"""

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlencode

from sqlalchemy import URL

#: asyncpg reads these from its own address.
_PASSED = frozenset(
    {
        "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword", "sslnegotiation",
        "ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs", "passfile", "krbsrvname",
        "gsslib",
    }
)  # fmt: skip
#: Settings of the session.
_SESSION = frozenset({"application_name", "options", "search_path"})
#: Without a counterpart in asyncpg and needed by nobody here: it binds to no channel, and always sends UTF-8.
_IGNORED = frozenset(
    {
        "channel_binding", "client_encoding", "fallback_application_name", "gssencmode", "sslcompression", "sslsni",
        "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
        "connection_limit", "pool_timeout", "pool_mode", "supa", "uselibpqcompat", "pgbouncer",
    }
)  # fmt: skip
_OWN = frozenset({"ssl", "connect_timeout", "schema", "host", "port"})
_VALUES = {
    "sslmode": {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"},
    "target_session_attrs": {"any", "read-write", "read-only", "primary", "standby", "prefer-standby"},
}
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_DEFAULT_PORT = 5432
_PARTS_OF_ADDRESS = re.compile(
    r"(?P<before>[a-z0-9+]+://(?:[^/?#]*@)?)(?P<hosts>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)", re.DOTALL
)
#: Parameter → part of SQLAlchemy's URL.
_PARTS = {"user": "username", "password": "password", "dbname": "database"}


class Address(NamedTuple):
    """For SQLAlchemy: where the server is. For asyncpg: how to connect."""

    url: URL
    arguments: dict[str, Any]


def without_lists(address: str) -> str:
    """Several hosts, and the folder of a Unix socket, as parameters: SQLAlchemy reads them there alone."""
    found = re.fullmatch(
        r"(?P<before>[a-z+0-9]+://(?:[^/?#]*@)?)(?P<hosts>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)", address
    )
    hosts = found["hosts"].split(",") if found else []
    if found is None or (len(hosts) == 1 and not hosts[0].lower().startswith("%2f")):
        return address
    query = [f"host={quote(_with_port(unquote(host)), safe='/:[]')}" for host in hosts]
    return f"{found['before']}{found['path']}?{'&'.join([*query, *filter(None, [found['rest'].lstrip('?')])])}"


def _with_port(host: str) -> str:
    return host if host.startswith("/") or re.search(r":\d+$", host) else f"{host}:{_DEFAULT_PORT}"


def with_parts_in_place(url: URL) -> URL:
    """User, password and database may stand among the parameters, too."""
    parts = {part: _one(url.query, name) for name, part in _PARTS.items() if name in url.query}
    return url.set(**parts).difference_update_query(_PARTS) if parts else url  # type: ignore[arg-type]


def translate(url: URL) -> Address:
    """Raises ValueError, which names the parameters, if they cannot be honoured."""
    query = {name: _one(url.query, name) for name in url.query if name not in {"host", "port"}}
    if url.port is not None and not 0 < url.port < 2**16:
        raise ValueError(f"has port {url.port}: the largest is 65535")
    if unknown := sorted(query.keys() - _PASSED - _SESSION - _IGNORED - _OWN):
        raise ValueError(f"has parameters that Metka does not know: {', '.join(unknown)}")
    passed = _with_ssl_mode({name: value for name, value in query.items() if name in _PASSED}, query.get("ssl"))
    _check(passed)
    arguments: dict[str, Any] = {}
    if settings := _session_settings(query):
        arguments["server_settings"] = settings
    if (seconds := _seconds(query.get("connect_timeout"))) is not None:
        arguments["timeout"] = seconds
    if context := _system_authorities(passed):
        arguments["ssl"] = context
        passed.pop("sslrootcert", None)
    if passed:
        arguments["dsn"] = f"postgresql://?{urlencode(passed)}"
    if is_transaction_pooler(url):
        # The next transaction may run on another connection of the server's, which does not know our statements.
        arguments |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    places = [name for name in url.query if name not in {"host", "port"}]
    return Address(url.difference_update_query(places), arguments)


def is_transaction_pooler(url: URL) -> bool:
    """Whether the address is one of Supabase's or Neon's poolers, or says `pgbouncer=true`."""
    says_so = _one(url.query, "pgbouncer").lower() in {"true", "1", "yes"}
    return says_so or url.port == 6543 or "-pooler." in (url.host or "")


def _one(query: Mapping[str, Any], name: str) -> str:
    value = query.get(name, "")
    return value if isinstance(value, str) else str(value[-1])


def _with_ssl_mode(passed: dict[str, str], plain: str | None) -> dict[str, str]:
    """`ssl=true` and Heroku's `no-verify` are other clients' words for `require`, which verifies nothing."""
    mode = passed.get("sslmode") or plain
    if mode is None:
        return passed
    known = {"true": "require", "1": "require", "no-verify": "require", "false": "disable", "0": "disable"}
    return {**passed, "sslmode": known.get(mode.lower(), mode.lower())}


def _check(passed: Mapping[str, str]) -> None:
    for name, allowed in _VALUES.items():
        if name in passed and passed[name] not in allowed:
            raise ValueError(f"has {name}={passed[name]}: it must be one of {', '.join(sorted(allowed))}")
    for name in _FILES:
        if name in passed and passed[name] != "system" and not Path(passed[name]).is_file():
            raise ValueError(f"has {name}={passed[name]}: there is no such file")


def _session_settings(query: Mapping[str, str]) -> dict[str, str]:
    settings = {name: value for name, value in query.items() if name in _SESSION and value}
    # Prisma's name for it.
    return {"search_path": query["schema"], **settings} if query.get("schema", "public") != "public" else settings


def _seconds(value: str | None) -> float | None:
    """libpq's 0 is no limit; ours stays then."""
    if value is None:
        return None
    if not value.isascii() or not value.isdecimal():
        raise ValueError("has a connect_timeout that is no number of seconds")
    return float(value) or None


def _system_authorities(passed: Mapping[str, str]) -> ssl.SSLContext | None:
    """The system's certificate authorities, where asyncpg would want a file with them."""
    own = passed.get("sslrootcert", "")
    if not passed.get("sslmode", "").startswith("verify-") and own != "system":
        return None
    if own not in {"", "system"} or (not own and Path("~/.postgresql/root.crt").expanduser().exists()):
        return None
    context = ssl.create_default_context()
    context.check_hostname = passed.get("sslmode") != "verify-ca"
    return context
