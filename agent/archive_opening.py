"""The archive as the config names it: for the agent, and for commands about it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from agent.config import Config
from agent.config_servers import ArchiveConfig
from memory.embedded_valkey import EmbeddedValkey
from memory.errors import ArchiveInUseError, ArchiveUnavailableError
from memory.redis_archive import RedisArchive
from memory.retention import Limits


def archive_of(config: ArchiveConfig, url: str, model: str) -> RedisArchive:
    """Build the archive of a model's chunks.

    L-KV lives twice as long as a chunk is kept, so that it ends by itself only where no
    agent is left to forget it.

    Args:
        config: The section of the config file.
        url: Where its server is: what the config says, or the embedded one's.
        model: Fingerprint of the model.
    """
    return RedisArchive(
        url,
        model=model,
        prefix=config.prefix,
        timeout_s=config.timeout_s,
        low_ttl_s=2 * config.retention_s,
    )


def limits_of(config: ArchiveConfig) -> Limits:
    """Build what the archive may hold, apart from age."""
    return Limits(total=config.max_bytes, per_camera=config.max_bytes_per_camera)


@asynccontextmanager
async def opened(
    config: Config, url: str | None, *, make: bool = False
) -> AsyncIterator[RedisArchive]:
    """Open the archive for a command: without a model, `of_model` gives each.

    The embedded archive's server is started for it.

    Args:
        config: The whole config file.
        url: Where its server is, instead of what the config says.
        make: Whether an embedded archive may be begun.

    Raises:
        ArchiveUnavailableError: There is none, it does not answer, or an agent runs the
            embedded one; then the message says where.
    """
    async with AsyncExitStack() as stack:
        if url is None and config.archive.is_embedded:
            directory = config.data_dir / "archive"
            if not make and not await asyncio.to_thread(directory.is_dir):
                raise ArchiveUnavailableError(f"nothing is archived in {directory}")
            valkey = EmbeddedValkey(directory)
            try:
                await stack.enter_async_context(valkey)
            except ArchiveInUseError as exc:
                reach = f"an agent runs on {directory}: stop it, or add"
                raise ArchiveUnavailableError(f"{reach} --url {valkey.url}") from exc
            url = valkey.url
        archive = archive_of(config.archive, url or config.archive.url, model="")
        await stack.enter_async_context(archive)
        await archive.ping()
        yield archive
