"""The bot as a child process, and the demo's folder."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

MODELS = ("sandbox/swift:free", "sandbox/steady:free", "sandbox/spare:free")


class DemoRunsError(Exception):
    """Another demo uses the folder; the message says what to do."""

    def __init__(self, pid: str) -> None:
        who = f" (process {pid})" if pid else ""
        super().__init__(
            f"A demo runs already{who}: go on in it, or end it first (Ctrl-C in its terminal, or kill), then try again."
        )


@dataclass(frozen=True)
class Folder:
    """The demo's files."""

    path: Path

    @classmethod
    def at(cls, path: str) -> Folder:
        """A folder under the working directory."""
        return cls(Path(path).resolve())

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.path / "metka.db"

    @property
    def log(self) -> Path:
        """The bot's log."""
        return self.path / "bot.log"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder while the block runs.

        Raises:
            DemoRunsError: another process has the lock.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Beside the folder, whose files are deleted at the start.
        with self.path.with_name(f"{self.path.name}.lock").open("a+", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise DemoRunsError(lock.read().strip()) from None
            lock.truncate(0)
            print(os.getpid(), file=lock, flush=True)
            yield

    def fresh(self) -> None:
        """Delete the files of an earlier demo."""
        self.path.mkdir(parents=True, exist_ok=True)
        for old in self.path.iterdir():
            if old.is_file():
                old.unlink()

    def log_tail(self, lines: int = 30) -> str:
        """The last lines of the log."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def environment(folder: Folder, telegram_url: str, provider_url: str, preview_url: str, token: str) -> dict[str, str]:
    """The bot's environment, without the settings of the calling shell."""
    passed = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SYSTEMROOT") if name in os.environ}
    return passed | {
        "BOT_TOKEN": token,
        "TELEGRAM_API_URL": telegram_url,
        "ADMIN_IDS": "1001",
        "DATABASE_URL": f"sqlite:///{folder.database}",
        "OPENROUTER_BASE_URL": provider_url,
        "OPENROUTER_API_KEY": "demo",
        "TME_BASE_URL": preview_url,
        "OPENROUTER_MODEL": MODELS[0],
        "OPENROUTER_FALLBACK_MODELS": ",".join(MODELS[1:]),
        "TAGGING_RETRY_DELAY": "0.2",
        "TAGGING_BACKOFF_SECONDS": "2",
        "TAGGING_REQUESTS_PER_MINUTE": "0",
        "TAGGING_CONCURRENCY": "4",
        "TAGGING_BATCH_SIZE": "5",
        "RETRY_INTERVAL_SECONDS": "1",
        "HTTP_PORT": str(port := _free_port()),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PYTHONUNBUFFERED": "1",
        # An empty value overrides a .env file in the working directory.
        "API_TOKEN": "",
        "WEBHOOK_URL": "",
        "RETRY_CRON": "",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def run_migrate(folder: Folder, env: dict[str, str]) -> int:
    """Run `python -m bot migrate`; returns its exit status."""
    with folder.log.open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "migrate", env=env, stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL
        )
        return await asyncio.wait_for(child.wait(), 30)


@asynccontextmanager
async def running_bot(folder: Folder, env: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `python -m bot` while the block runs; killed afterwards if it still runs."""
    with folder.log.open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot",
            env=env,
            stdout=log,
            stderr=log,
            stdin=asyncio.subprocess.DEVNULL,
            # Ctrl-C reaches only the demo, which then stops the bot.
            start_new_session=True,
        )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def stop(child: asyncio.subprocess.Process) -> int:
    """Stop the bot with SIGTERM; returns its exit status."""
    if child.returncode is None:
        child.send_signal(signal.SIGTERM)
    return await asyncio.wait_for(child.wait(), 20)
