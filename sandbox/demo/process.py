"""The real bot as a child process."""

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
    """Another demo is at work in the folder; the message says what to do."""

    def __init__(self, pid: str) -> None:
        who = f" (process {pid})" if pid else ""
        super().__init__(
            f"A demo runs already{who}: go on in it, or end it first (Ctrl-C in its terminal, or kill), then try again."
        )


@dataclass(frozen=True)
class Folder:
    """Where the demo keeps its files."""

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
        """What the bot logs."""
        return self.path / "bot.log"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other demo out while the block runs; the system frees the folder when the process dies.

        Raises:
            DemoRunsError: another one has it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Beside the folder: what lies in it is deleted at the start.
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
        """Empty, as at the first run."""
        self.path.mkdir(parents=True, exist_ok=True)
        for old in self.path.iterdir():
            if old.is_file():
                old.unlink()

    def log_tail(self, lines: int = 30) -> str:
        """The log's last lines."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def environment(folder: Folder, telegram_url: str, provider_url: str, preview_url: str, token: str) -> dict[str, str]:
    """The bot's settings; nothing of the caller's own gets in."""
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
        "HTTP_PORT": str(_free_port()),
        "PYTHONUNBUFFERED": "1",
        # An empty value beats one in a .env file that lies about.
        "API_TOKEN": "",
        "WEBHOOK_URL": "",
        "RETRY_CRON": "",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def run_migrate(folder: Folder, env: dict[str, str]) -> int:
    """`python -m bot migrate`; gives its exit status."""
    with folder.log.open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "migrate", env=env, stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL
        )
        return await asyncio.wait_for(child.wait(), 30)


@asynccontextmanager
async def running_bot(folder: Folder, env: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m bot` while the block runs; killed at its end if it is still there."""
    with folder.log.open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot",
            env=env,
            stdout=log,
            stderr=log,
            stdin=asyncio.subprocess.DEVNULL,
            # Ctrl-C is for the demo, which then stops the bot in order.
            start_new_session=True,
        )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def stop(child: asyncio.subprocess.Process) -> int:
    """Ask the bot to end, and give its exit status."""
    if child.returncode is None:
        child.send_signal(signal.SIGTERM)
    return await asyncio.wait_for(child.wait(), 20)
