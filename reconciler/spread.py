"""Work over many items in forked processes: they inherit what is there, take chunk after chunk, and end with us."""

from __future__ import annotations

import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from multiprocessing.connection import Connection

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def spread(
    job: Callable[[Sequence[Item]], Answer], items: Sequence[Item], *, size: int, workers: int
) -> Iterator[Answer]:
    """`job` over the items in chunks of `size`, in `workers` forked processes: each answer earns the next chunk."""
    chunks = iter([items[start : start + size] for start in range(0, len(items), size)])
    if workers < 2 or len(items) <= size:
        yield from map(job, chunks)
        return
    import multiprocessing

    context = multiprocessing.get_context("fork")
    pipes: dict[Connection, Any] = {}
    for _ in range(workers):
        ours, theirs = context.Pipe()
        ours.send(next(chunks, None))
        process = context.Process(target=_work, args=(job, theirs, [*pipes, ours]), daemon=True)
        process.start()
        theirs.close()
        pipes[ours] = process
    yield from _gather(pipes, chunks)


def _work(job: Callable[[Sequence[Item]], Answer], pipe: Connection, parents: Iterable[Connection]) -> None:
    for end in parents:  # kept open, they would hide from us that the parent is gone
        end.close()
    with suppress(EOFError, BrokenPipeError):  # it is
        while (chunk := pipe.recv()) is not None:
            pipe.send(_done(job, chunk))
    pipe.close()


def _done(job: Callable[[Sequence[Item]], Answer], chunk: Sequence[Item]) -> tuple[Answer | None, str | None]:
    try:
        return job(chunk), None
    except BaseException:  # noqa: BLE001  (it is raised again where it can be seen)
        return None, traceback.format_exc()


def _gather(pipes: dict[Connection, Any], chunks: Iterator[Any]) -> Iterator[Any]:
    from multiprocessing.connection import wait

    try:
        while pipes:
            ready: list[Any] = wait(list(pipes))
            for pipe in ready:
                try:
                    answer, problem = pipe.recv()
                    if problem is not None:
                        raise RuntimeError(f"a worker process failed:\n{problem}")
                    pipe.send(next(chunks, None))
                except (EOFError, ConnectionError):
                    process = pipes.pop(pipe)
                    process.join()
                    if process.exitcode != 0:
                        raise RuntimeError(f"a worker process ended with {process.exitcode}") from None
                else:
                    yield answer
    finally:
        for process in pipes.values():
            process.terminate()
