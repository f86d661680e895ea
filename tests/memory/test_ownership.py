import asyncio
import sys
from pathlib import Path

import pytest

from memory.errors import ArchiveInUseError, ArchiveUnavailableError
from memory.ownership import owned

OWNER = """
import asyncio, sys
from pathlib import Path
from memory.ownership import owned

async def main():
    async with owned(Path(sys.argv[1])):
        print("owned", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_directory_has_one_owner_until_it_is_killed(tmp_path: Path):
    directory = tmp_path / "new" / "data"
    options = ["-c", OWNER, str(directory)]
    owner = await asyncio.create_subprocess_exec(
        sys.executable, *options, stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    assert await owner.stdout.readline() == b"owned\n"
    with pytest.raises(ArchiveInUseError) as caught:
        await owned(directory).__aenter__()
    assert caught.value.directory == directory
    owner.kill()
    await owner.wait()
    for _ in range(2):
        async with owned(directory):
            pass


async def test_a_directory_that_can_not_be_made_is_named(tmp_path: Path):
    file = tmp_path / "file"
    await asyncio.to_thread(file.touch)
    with pytest.raises(ArchiveUnavailableError, match="file"):
        await owned(file / "data").__aenter__()
