import asyncio
import sys
from pathlib import Path

import structlog

from services.charts.chart import Chart

log = structlog.get_logger(__name__)

DRAW_WITHIN = 60.0
#: Where `-m` finds the modules, wherever the bot was started.
ROOT = Path(__file__).parents[2]


class ChartDrawing:
    """Draws charts one after the other, each in a process of its own: the bot's memory does not grow."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def png(self, chart: Chart) -> bytes | None:
        """None if it could not be drawn; the log says why."""
        async with self._turn:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.charts.drawing",
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                async with asyncio.timeout(DRAW_WITHIN):
                    made, errors = await process.communicate(chart.to_json().encode())
            except TimeoutError:
                log.warning("chart_not_drawn", error=f"took longer than {DRAW_WITHIN:.0f} s")
                return None
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode:
            log.error("chart_not_drawn", error=errors.decode(errors="replace")[-500:])
            return None
        return made
