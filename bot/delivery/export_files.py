"""An export as files that Telegram takes: plain, compressed, or in several parts, each with its heading."""

import asyncio
import gzip
from collections import deque
from collections.abc import AsyncIterable
from dataclasses import dataclass
from pathlib import Path

from services.library.export import ExportChunk, ExportedPost, ExportFormat, heading
from services.library.workbook import Workbook

#: A bot may send 50 MB, form fields included: https://core.telegram.org/bots/api#senddocument.
LARGEST = 49_000_000
IN_HAND = 200_000


@dataclass(frozen=True, slots=True)
class ExportPart:
    path: Path
    posts: int


async def packed(
    blocks: AsyncIterable[ExportChunk], form: ExportFormat, folder: Path, largest: int = LARGEST
) -> list[ExportPart]:
    """Write the blocks into files of at most `largest` bytes in the folder. Without posts there is no file."""
    plain = folder / "all"
    # Each block's bytes and posts: parts are cut between blocks.
    sizes: list[tuple[int, int]] = []
    with plain.open("wb") as file:
        await asyncio.to_thread(file.write, heading(form, bom=True))
        async for block in blocks:
            if block.posts:
                await asyncio.to_thread(file.write, block.data)
                sizes.append((len(block.data), block.posts))
    posts = sum(count for _, count in sizes)
    if not posts:
        return []
    if plain.stat().st_size <= largest:
        return [ExportPart(plain, posts)]
    return await _compressed(plain, form, sizes, largest)


async def _compressed(plain: Path, form: ExportFormat, sizes: list[tuple[int, int]], largest: int) -> list[ExportPart]:
    parts: list[ExportPart] = []
    waiting = deque(sizes)
    with plain.open("rb") as source:
        source.seek(len(heading(form, bom=True)))
        while waiting:
            path, posts = plain.with_name(f"{len(parts)}.gz"), 0
            with gzip.open(path, "wb", compresslevel=6) as part:
                part.write(heading(form, bom=True))
                while waiting and (not posts or _fits(path, waiting[0][0], largest)):
                    size, count = waiting.popleft()
                    await asyncio.to_thread(part.write, source.read(size))
                    posts += count
            parts.append(ExportPart(path, posts))
    return parts


async def packed_workbooks(
    pages: AsyncIterable[list[ExportedPost]], folder: Path, largest: int = LARGEST
) -> list[ExportPart]:
    """Write the posts into workbooks of at most `largest` bytes in the folder. Without posts there is none."""
    parts: list[ExportPart] = []
    book: Workbook | None = None
    path = folder / "0"
    async for posts in pages:
        if book is not None and posts and not book.has_room(posts, largest):
            await asyncio.to_thread(book.close)
            parts.append(ExportPart(path, book.posts))
            book, path = None, folder / f"{len(parts)}"
        if posts:
            book = book or Workbook(path)
            await asyncio.to_thread(book.add, posts)
    if book is not None:
        await asyncio.to_thread(book.close)
        parts.append(ExportPart(path, book.posts))
    return parts


def _fits(path: Path, size: int, largest: int) -> bool:
    """Whether `size` bytes more fit in, even uncompressed."""
    return path.stat().st_size + IN_HAND + size + size // 1000 <= largest
