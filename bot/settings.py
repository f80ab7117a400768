"""The settings, read from the environment and `.env` once. Nothing else reads them."""

import os
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.proxies import Proxies, proxy_address
from storage.db.engine import DatabaseUrlError, parse_url

OPENROUTER_URL = "https://openrouter.ai/api/v1"
DEFAULT_MODEL = "google/gemini-2.0-flash-exp:free"
DEFAULT_FALLBACKS = (
    "meta-llama/llama-3.2-3b-instruct:free",
    "qwen/qwen-2-7b-instruct:free",
    "google/gemma-2-9b-it:free",
    "openrouter/free",
)
APPOINT = "put your own Telegram id into ADMIN_IDS in .env and start again"
#: Variables whose empty value is not their default.
_EMPTY_MEANS_NONE = {"retry_cron", "openrouter_fallback_models", "admin_ids"}
#: First segments of the HTTP server's own paths: a webhook needs another.
_SERVED = {"healthz", "readyz", "metrics", "docs", "docs-files", "redoc", "openapi.json", "users", "posts", "feeds"}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
#: Values that are copied from elsewhere, with what may stand around them there.
_COPIED = {"bot_token", "openrouter_api_key", "openrouter_model", "http_proxy", "https_proxy", "all_proxy"}
_AROUND = " \t\r\n\v\f\xa0\u200b\ufeff\"'`“”„«»"
_NO_WORD = "must be one word of Latin letters, digits and signs"
#: Names in .env that Docker Compose, Python and libraries read.
_OTHERS = {"POSTGRES_PASSWORD", "TZ", "PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "METKA_TEST_POSTGRES"}
#: Beginnings of names that only Metka has.
_PREFIXES = {"ADMIN", "ADMINS", "BOT", "OPENROUTER", "TAGGING", "TME", "WEBHOOK"}
_OTHERS_BEGIN = ("COMPOSE_", "DOCKER_", "PYTHON", "PG", "UV_")


class SettingsError(Exception):
    """A variable has a wrong value. The message is one line with its name and what is allowed."""


class Settings(BaseSettings):
    """Every variable of `.env.example`, with its default."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True)

    bot_token: SecretStr | None = None
    telegram_api_url: str | None = None
    #: In the given order: commands without --user mean the first.
    admin_ids: Annotated[tuple[int, ...], NoDecode] = ()
    database_url: SecretStr = SecretStr("sqlite:///data/metka.db")
    auto_migrate: bool = True
    openrouter_api_key: SecretStr = SecretStr("")
    openrouter_base_url: str = OPENROUTER_URL
    openrouter_model: str | None = None
    openrouter_fallback_models: Annotated[tuple[str, ...] | None, NoDecode] = None
    tagging_max_retries: int = Field(3, ge=0, le=20)
    tagging_retry_delay: float = Field(2.0, ge=0, le=3600)
    tagging_max_attempts: int = Field(5, ge=1, le=100)
    tagging_backoff_seconds: float = Field(60, ge=0, le=86400)
    tagging_concurrency: int = Field(10, ge=1, le=500)
    tagging_batch_size: int = Field(10, ge=1, le=100)
    tagging_requests_per_minute: Annotated[int | None, NoDecode] = None
    tagging_request_timeout: float = Field(60, gt=0, le=3600)
    lease_seconds: float = Field(300, ge=3, le=86400)
    retry_interval_seconds: float = Field(30, ge=0.1, le=86400)
    retry_cron: str = "0 4 * * *"
    retry_cron_limit: int = Field(100, ge=1, le=1_000_000)
    timezone: str = "UTC"
    alert_failed_percent: float = Field(20, ge=0, le=100)
    search_index: bool = True
    http_host: str = "127.0.0.1"
    http_port: int = Field(8010, ge=0, le=65535)
    api_token: SecretStr | None = None
    webhook_url: str | None = None
    webhook_secret: SecretStr | None = None
    public_url: str | None = None
    tme_base_url: str | None = None
    http_proxy: SecretStr | None = None
    https_proxy: SecretStr | None = None
    all_proxy: SecretStr | None = None
    no_proxy: str = ""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "console"

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, values: dict[str, Any]) -> dict[str, Any]:
        bare = {name: _without_quotes(name, value) for name, value in values.items()}
        return {
            name: value
            for name, value in bare.items()
            if name in _EMPTY_MEANS_NONE or not (isinstance(value, str) and not value.strip())
        }

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _any_case(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        return value.upper() if info.field_name == "log_level" else value.lower()

    @field_validator("bot_token")
    @classmethod
    def _token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[0-9]+:[A-Za-z0-9_-]+", value.get_secret_value()):
            raise ValueError("must look like 123456:ABC… as BotFather gives it")
        return value

    @field_validator("openrouter_api_key")
    @classmethod
    def _key(cls, value: SecretStr) -> SecretStr:
        # What no HTTP header can hold would fail in each request.
        if not re.fullmatch(r"[!-~]*", value.get_secret_value()):
            raise ValueError(f"{_NO_WORD}: copy it again from the provider")
        return value

    @field_validator("http_proxy", "https_proxy", "all_proxy")
    @classmethod
    def _proxy(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else SecretStr(proxy_address(value.get_secret_value()))

    @field_validator("admin_ids", mode="before")
    @classmethod
    def _ids(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = [part.strip() for part in value.split(",") if part.strip()]
        if not all(re.fullmatch(r"\d{1,18}", part) for part in parts):
            raise ValueError("must be Telegram ids (numbers), separated by commas")
        return tuple(dict.fromkeys(int(part) for part in parts))

    @field_validator("openrouter_fallback_models", mode="before")
    @classmethod
    def _models(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("tagging_requests_per_minute", mode="before")
    @classmethod
    def _pace(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value.strip().lower() == "auto":
                return None
            if not re.fullmatch(r"\d{1,6}", value.strip()):
                raise ValueError("must be auto, 0 (no pacing), or a number of requests a minute")
        return value

    @field_validator("telegram_api_url", "openrouter_base_url", "webhook_url", "public_url", "tme_base_url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is not None and not _is_address(value):
            raise ValueError("must be an address that begins with http:// or https://")
        return value.rstrip("/") if value else value

    @field_validator("openrouter_base_url")
    @classmethod
    def _base(cls, value: str) -> str:
        if set("?#") & set(value):
            raise ValueError("must end with its path, such as https://host/v1: no ? and no #")
        return value.removesuffix("/chat/completions")

    @field_validator("webhook_url")
    @classmethod
    def _webhook(cls, value: str | None) -> str | None:
        if value is None:
            return None
        path = urlsplit(value).path
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path) or {".", ".."} & set(path.split("/")):
            raise ValueError("must have a path such as /telegram (letters, digits, - . _ ~), at which updates come in")
        if path.split("/")[1] in _SERVED:
            raise ValueError(f"{path} is a path of the HTTP server's own: choose another, such as /telegram")
        if "@" in value:
            raise ValueError("must hold no name or password: WEBHOOK_SECRET is what Telegram proves itself with")
        if "?" in value or "#" in value:
            raise ValueError("must end with its path: no ? and no #")
        return value

    @field_validator("public_url")
    @classmethod
    def _public(cls, value: str | None) -> str | None:
        if value is not None and set("?#@") & set(value):
            raise ValueError("must be an address such as https://bot.example.org/metka, without ?, # and @")
        return value

    @field_validator("api_token")
    @classmethod
    def _api_token(cls, value: SecretStr | None) -> SecretStr | None:
        # Other characters do not survive an HTTP header.
        if value is not None and not re.fullmatch(r"[!-~]+", value.get_secret_value()):
            raise ValueError(f"{_NO_WORD}, such as openssl rand -hex 32 gives")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _secret(cls, value: SecretStr | None) -> SecretStr | None:
        # What setWebhook allows for secret_token: https://core.telegram.org/bots/api#setwebhook
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", value.get_secret_value()):
            raise ValueError("must be 1 to 256 characters of A-Z a-z 0-9 _ -, such as openssl rand -hex 32 gives")
        return value

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: SecretStr) -> SecretStr:
        try:
            parse_url(value.get_secret_value())
        except DatabaseUrlError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, KeyError):
            raise ValueError("must be a time zone such as UTC or Europe/Moscow") from None
        return value

    @field_validator("retry_cron")
    @classmethod
    def _cron(cls, value: str) -> str:
        if value.strip():
            try:
                crontab_trigger(value)
            except ValueError:
                raise ValueError("must be a crontab line of five fields such as 0 4 * * *, or empty") from None
        return value.strip()

    @model_validator(mode="after")
    def _together(self) -> Self:
        if not self.is_openrouter and not self.openrouter_model:
            raise ValueError(
                "OPENROUTER_MODEL must be given when OPENROUTER_BASE_URL is set: name a model of that server"
            )
        if "@" in urlsplit(self.openrouter_base_url).netloc and self.openrouter_api_key.get_secret_value():
            raise ValueError("OPENROUTER_BASE_URL must hold no name and password when OPENROUTER_API_KEY is set")
        if self.webhook_url:
            self._check_webhook(self.webhook_url)
        if self.http_host not in _LOOPBACK and not self.api_token:
            raise ValueError("API_TOKEN must be given when HTTP_HOST is not loopback: any long random word")
        return self

    def _check_webhook(self, url: str) -> None:
        if not self.webhook_secret:
            raise ValueError(
                "WEBHOOK_SECRET must be given when WEBHOOK_URL is set: any long random word of letters, digits, _ and -"
            )
        if not self.api_token:
            raise ValueError("API_TOKEN must be given when WEBHOOK_URL is set: any long random word")
        if not self.telegram_api_url and not url.lower().startswith("https://"):
            raise ValueError(
                "WEBHOOK_URL must begin with https://: Telegram sends updates to nothing else "
                "(http:// is for a Bot API server of your own, TELEGRAM_API_URL)"
            )

    @property
    def webhook_path(self) -> str | None:
        """None if the bot polls."""
        return urlsplit(self.webhook_url).path if self.webhook_url else None

    @property
    def is_openrouter(self) -> bool:
        return urlsplit(self.openrouter_base_url).hostname == "openrouter.ai"

    @property
    def tagging_enabled(self) -> bool:
        """False without a key, which only OpenRouter needs."""
        return bool(self.openrouter_api_key.get_secret_value()) or not self.is_openrouter

    @property
    def models(self) -> tuple[str, ...]:
        """The chain of models, without repetitions."""
        first = self.openrouter_model or DEFAULT_MODEL
        rest = self.openrouter_fallback_models
        if rest is None:
            rest = DEFAULT_FALLBACKS if self.is_openrouter else ()
        return tuple(dict.fromkeys((first, *rest)))

    @property
    def proxies(self) -> Proxies:
        http, https, every = (
            secret.get_secret_value() if secret else ""
            for secret in (self.http_proxy, self.https_proxy, self.all_proxy)
        )
        return Proxies(http, https, every, self.no_proxy)

    def secrets(self) -> list[str]:
        found = [self.bot_token, self.openrouter_api_key, self.api_token, self.webhook_secret]
        password = parse_url(self.database_url.get_secret_value()).password
        words = [secret.get_secret_value() for secret in found if secret is not None]
        proxies = [urlsplit(proxy).password or "" for proxy in self.proxies[:3]]
        return [word for word in [*words, str(password or ""), *proxies] if len(word) >= 4]


def crontab_trigger(line: str, timezone: str | None = None) -> CronTrigger:
    """Raises ValueError if the line is not a crontab line of five fields."""
    fields = line.split()
    if len(fields) == 5:
        # APScheduler counts weekdays from Monday, crontab(5) from Sunday. A step (`*/2`) is not a weekday.
        days = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
        fields[4] = re.sub(r"(?<![/\d])[0-7](?!\d)", lambda day: days[int(day[0])], fields[4])
    return CronTrigger.from_crontab(" ".join(fields), timezone=timezone)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_whole = url.isprintable() and " " not in url
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and is_whole
    except ValueError:
        return False


def _without_quotes(name: str, value: Any) -> Any:
    is_copied = name in _COPIED or name.endswith("_url")
    return value.strip(_AROUND) if is_copied and isinstance(value, str) else value


def load_settings() -> Settings:
    """Raises SettingsError, which names the first wrong value."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(_one_line(error)) from None


def _one_line(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"]).upper()
    message = first["msg"].removeprefix("Value error, ")
    return f"{name}: {message}" if name else message


def unknown_names(path: str = ".env") -> list[str]:
    """Names in .env that nothing reads, and in the environment those that are nearly ours; with what may be meant."""
    known = {name.upper() for name in Settings.model_fields}
    written = {name.upper() for name in _written(path)}
    around = {name for name in os.environ if _meant(name, known, 0.8) and name.partition("_")[0] in _PREFIXES}
    unknown = sorted((written | around) - known - _OTHERS)
    return [
        f"{name} is not known" + (f": did you mean {meant}?" if (meant := _meant(name, known, 0.6)) else "")
        for name in unknown
        if not name.startswith(_OTHERS_BEGIN)
    ]


def _written(path: str) -> Iterator[str]:
    try:
        yield from dotenv_values(path, encoding="utf-8", interpolate=False)
    except (OSError, UnicodeDecodeError):
        return


def _meant(name: str, known: set[str], cutoff: float) -> str | None:
    return next(iter(get_close_matches(name, known, 1, cutoff)), None)
