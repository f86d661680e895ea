"""What the processes of an agent take, as Linux tells in /proc."""

import os
import time
from pathlib import Path

_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def readers() -> list[int]:
    """Give the processes of ours that read a camera, the oldest first."""
    return sorted(p for p in _children() if "ingest.reader" in _command(p))


def children() -> list[int]:
    """Give all processes that we started and did not bury."""
    return sorted(_children())


def reader_of(port: int) -> int | None:
    """Give the reader that is connected to a port, if any is."""
    wanted = f":{port:04X}"
    connections = [
        line.split() for line in (_PROC / "net/tcp").read_text().splitlines()[1:]
    ]
    sockets = {
        f"socket:[{each[9]}]" for each in connections if each[2].endswith(wanted)
    }
    for pid in readers():
        if sockets & set(_open_files(pid)):
            return pid
    return None


def cpu_s(pid: int) -> float | None:
    """Give the CPU seconds that a process has taken; None if it is gone."""
    try:
        return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)
    except OSError:
        return None


def rss_bytes(pid: int) -> int:
    """Give the memory of a process that is resident; 0 if it is gone."""
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0


def num_files() -> int:
    """Give how many files we have open."""
    return len(list((_PROC / "self/fd").iterdir())) - 1  # the one that lists them


def _children() -> list[int]:
    found, parent = [], str(os.getpid())
    for folder in _PROC.glob("[0-9]*"):
        fields = _stat(int(folder.name))
        if fields and fields[1] == parent:
            found.append(int(folder.name))
    return found


def _stat(pid: int) -> list[str]:
    """Give the fields behind a process's name; none if it is gone."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _command(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "cmdline").read_text()
    except OSError:
        return ""


def _open_files(pid: int) -> list[str]:
    try:
        links = list((_PROC / str(pid) / "fd").iterdir())
        return [str(link.readlink()) for link in links]
    except OSError:
        return []  # it, or a file of it, has just gone
