"""The commands about the archive: look into it, check it, prune it, carry it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from agent.archive_options import (
    Before,
    Cameras,
    MaxBytes,
    Models,
    Since,
    Until,
    Url,
)
from agent.command_line import AsJson, ConfigFile, err, fail, load_or_fail, out
from memory.errors import MemoryStoreError

if TYPE_CHECKING:  # torch takes seconds, and `--help` needs none of it
    from memory.redis_archive import RedisArchive

T = TypeVar("T")

app = typer.Typer(
    help="Look into the archive, check it, prune it, carry it.", no_args_is_help=True
)

_EVER_MS = 1 << 52


@app.command()
def stats(config: ConfigFile, url: Url = None, *, as_json: AsJson = False) -> None:
    """Show what the archive holds, by camera and model."""
    from agent.archive_jobs import Scope, take_stock
    from agent.archive_report import show_stock, stock_json, stock_of

    booked = _run(config, url, lambda archive: take_stock(archive, Scope()))
    rows = stock_of(booked)
    out.print_json(json.dumps(stock_json(rows))) if as_json else out.print(
        show_stock(rows)
    )


@app.command()
def verify(
    config: ConfigFile,
    url: Url = None,
    *,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Delete what can't be read, mend the rest."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read every blob and check it; exit status 1 if anything is wrong."""
    from agent.archive_jobs import verify as verify_archive
    from agent.archive_report import verified_json, verified_lines

    with _progress("reading blobs") as tell:
        found = _run(config, url, lambda a: verify_archive(a, tell, repair=repair))
    if as_json:
        out.print_json(json.dumps(verified_json(found)))
    else:
        _print_lines(verified_lines(found))
    if found.faults:
        raise typer.Exit(1)


@app.command()
def prune(  # noqa: PLR0913  # a command has many options
    config: ConfigFile,
    before_ms: Before = None,
    max_bytes: MaxBytes = None,
    camera: Cameras = None,
    model: Models = None,
    url: Url = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would go.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete old chunks, or another model's; without an age or a size all of them."""
    from agent.archive_jobs import Scope
    from agent.archive_jobs import prune as prune_archive
    from agent.archive_report import show_freed
    from memory.retention import Freed, Limits

    if before_ms is None and max_bytes is None:
        if not camera and not model:
            fail("say --older-than, --max-bytes, --camera or --model", status=2)
        before_ms = _EVER_MS
    scope = Scope(cameras=tuple(camera or ()), models=tuple(model or ()))
    limits = Limits(before_ms=before_ms, total=max_bytes)

    def is_wanted(freed: Freed) -> bool:
        if not dry_run and not yes:
            typer.confirm(f"Delete {show_freed(freed)}?", abort=True, err=True)
        return not dry_run

    freed = _run(config, url, lambda a: prune_archive(a, scope, limits, is_wanted))
    if as_json:
        out.print_json(json.dumps({"dry_run": dry_run, **asdict(freed)}))
    else:
        did = "would delete" if dry_run else "deleted"
        _print_lines([f"{did} {show_freed(freed)}"])


@app.command()
def coverage(
    config: ConfigFile,
    camera: Cameras = None,
    start_ms: Since = None,
    end_ms: Until = None,
    url: Url = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show when cameras were watched, and why not when they were not."""
    from agent.archive_coverage import look_up, rows_of, show_coverage

    found = _run(config, url, lambda a: look_up(a, camera or (), start_ms, end_ms))
    rows = rows_of(found)
    out.print_json(json.dumps(rows)) if as_json else out.print(show_coverage(rows))


@app.command("export")
def export_archive(
    config: ConfigFile,
    path: Annotated[Path, typer.Argument(help="The file to write.")],
    camera: Cameras = None,
    start_ms: Since = None,
    end_ms: Until = None,
    url: Url = None,
) -> None:
    """Write chunks to a file."""
    from agent.archive_jobs import Scope, export_chunks

    scope = Scope(tuple(camera or ()), (), start_ms, end_ms)
    with _progress("exporting") as tell:
        count = _run(config, url, lambda a: export_chunks(a, scope, path, tell))
    _print_lines([f"exported {count} chunks to {path}"])


@app.command("import")
def import_archive(
    config: ConfigFile,
    path: Annotated[Path, typer.Argument(help="A file that export has written.")],
    url: Url = None,
) -> None:
    """Store the chunks of a file, apart from those that are there."""
    from agent.archive_jobs import import_chunks

    with _progress("importing") as tell:
        done = _run(config, url, lambda a: import_chunks(a, path, tell), may_begin=True)
    _print_lines([f"imported {done.num_chunks} chunks, {done.num_skipped} were there"])


def _run(
    config: Path,
    url: str | None,
    job: Callable[["RedisArchive"], Awaitable[T]],
    *,
    may_begin: bool = False,
) -> T:
    """Run a job on the archive that a config names; an error ends the command."""
    from agent.archive_opening import opened

    settings = load_or_fail(config)

    async def work() -> T:
        async with opened(settings, url, make=may_begin) as archive:
            return await job(archive)

    try:
        return asyncio.run(work())
    except (MemoryStoreError, OSError) as exc:
        fail(str(exc), status=2)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show on a terminal how far a job is."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(
        *columns, console=err, disable=not err.is_terminal, transient=True
    ) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _print_lines(lines: list[str]) -> None:
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)
