"""N successful episodes from any source, by several processes, resumable.

Seeds are tried in order by several processes, and the first N successful ones in seed order are kept, so the result does
not depend on the number of workers or on interruptions.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pirig.contract import Contract, require_equal
from pirig.demos import identity
from pirig.demos.manifest import DemosManifest, Pieces, append_tried, episode_file, read_tried, write_episode
from pirig.demos.reuse import take_over
from pirig.files.atomic import clear_leftovers
from pirig.files.identity import Extends, Identity
from pirig.files.progress import Progress

_worker: dict[str, Any] = {}


@dataclass(frozen=True)
class TooLong:
    """A success in so many steps, more than are kept."""

    steps: int


class Source(Protocol):
    """Where episodes come from. Pickled into each worker process; `open` is called there once."""

    name: str

    def open(self) -> None: ...

    def episode(self, seed: int) -> Mapping[str, np.ndarray | Pieces] | TooLong | None:
        """The successful episode of this seed, or None."""
        ...

    # A source of its own seeds may have too_few(kept, tried, count) -> str: what to do where too few of them succeeded.


def collect(
    contract: Contract,
    source: Source,
    seeds: list[int],
    count: int,
    workers: int,
    folder: Path,
    asked: Identity | None = None,
    least: int | None = None,
    parts: Sequence[list[int]] = (),
) -> DemosManifest:
    """Fills `folder` with the first `count` successful episodes of `seeds`. Resumes where a killed call stopped; where fewer
    are there from the same source, adds what is missing.

    `asked`: what else decides the episodes (the source's name alone without it). `least`: so many are enough, once all seeds
    have been tried (None: `count`). `parts`: of a suite the same seeds by task; then as many are kept of each, made one task
    after the other by processes of their own. Raises ValueError where the folder holds demos of another contract or from
    another source, or where the seeds were not enough.
    """
    asked = asked or identity.asked_of(contract, source.name, count, {"first_seed": min(seeds)})
    if claim(contract, folder, asked):
        return DemosManifest.load(folder)
    if taken := take_over(contract, asked, seeds, count, folder):
        print(f"demos: {taken} taken over from data sets beside this one that hold the same scenes", flush=True)
    lengths = read_tried(folder)
    parts, each = parts or [seeds], math.ceil(count / max(len(parts), 1))
    for number, part in enumerate(parts):
        label = f"demos, task {number + 1} of {len(parts)}" if len(parts) > 1 else "demos"
        _try_seeds(source, each, workers, folder, part, lengths, label)
    manifest = _finish(folder, source, count, parts, lengths, count if least is None else least)
    asked.save(identity.record_of(folder))
    return manifest


def require_own(contract: Contract, folder: Path) -> None:
    """Raises ContractError where demos of another contract lie in `folder`."""
    if (folder / "contract.json").is_file():
        require_equal(contract, Contract.load(folder), our_name="this run", their_name=f"demos {folder}")


def claim(contract: Contract, folder: Path, asked: Identity) -> bool:
    """Makes `folder` this source's own; True where the demos that are asked for are complete. Says what is reused.

    Raises ValueError before anything is written where it is another's.
    """
    require_own(contract, folder)
    relation = identity.relation_to(asked, folder)
    complete = (folder / "manifest.json").is_file()
    if relation is None or not complete:
        folder.mkdir(parents=True, exist_ok=True)
        clear_leftovers(folder)
        contract.save(folder)
        asked.save(identity.record_of(folder))
        return False
    if there := identity.adopt(asked, folder):
        print(f"demos: {folder}: {there.adopted}")
    if isinstance(relation, Extends):
        print(
            f"demos: {folder} holds {relation.there} of them; {relation.asked - relation.there} are added", flush=True
        )
        return False
    print(f"demos: {folder} holds them already, made from the same source")
    return True


def _kept(seeds: list[int], lengths: dict[int, int]) -> int:
    """Successes before the first seed that has not been tried: only these are certain to be kept."""
    count = 0
    for seed in seeds:
        if seed not in lengths:
            break
        count += bool(lengths[seed])
    return count


def _try_seeds(
    source: Source, count: int, workers: int, folder: Path, seeds: list[int], lengths: dict[int, int], label: str
) -> None:
    todo = iter([seed for seed in seeds if seed not in lengths])
    running: dict[Future, int] = {}
    if _kept(seeds, lengths) >= count:
        return
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start, initargs=(source,)
    )
    with _ended_with(pool), Progress(label, count, _kept(seeds, lengths)) as progress:
        while True:
            while len(running) < workers + 1 and _kept(seeds, lengths) < count:
                seed = next(todo, None)
                if seed is None:
                    break
                running[pool.submit(_one, str(folder), seed)] = seed
            if not running or _kept(seeds, lengths) >= count:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                seed = running.pop(future)
                lengths[seed], too_long = future.result()
                append_tried(folder, seed, lengths[seed], too_long)
            kept = _kept(seeds, lengths)
            tried = sum(seed in lengths for seed in seeds)
            progress.advance(kept - progress.done, f"kept {kept} of {tried} tried")
        for future in running:
            future.cancel()


@contextmanager
def _ended_with(pool: ProcessPoolExecutor) -> Iterator[None]:
    """As the pool's own context; after an error or a signal its processes end at once, in the middle of an episode."""
    before = set(multiprocessing.active_children())
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - before:
            process.kill()
        raise
    pool.shutdown()


def _start(source: Source) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    source.open()
    _worker["source"] = source


def _end_with_parent() -> None:
    """A pool's process does not notice that its parent was killed, and would wait for ever with a simulator in memory."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _one(folder: str, seed: int) -> tuple[int, int]:
    """The length of the episode that was written, or 0, and that of one which was too long."""
    episode = _worker["source"].episode(seed)
    if episode is None or isinstance(episode, TooLong):
        return 0, episode.steps if episode else 0
    write_episode(episode_file(Path(folder), seed), episode)
    return int(episode["actions"].shape[0]), 0


def _finish(
    folder: Path, source: Source, count: int, parts: Sequence[list[int]], lengths: dict[int, int], least: int
) -> DemosManifest:
    each, tried, kept = math.ceil(count / len(parts)), list[int](), list[int]()
    for part in parts:
        of_part = 0
        for seed in part:
            if of_part == each or seed not in lengths:
                break
            tried.append(seed)
            if lengths[seed]:
                of_part += 1
                kept.append(seed)
    if len(kept) < least:
        raise ValueError(getattr(source, "too_few", _too_few)(kept, tried, count))
    for extra in set(lengths) - set(kept):  # tried ahead by another worker
        episode_file(folder, extra).unlink(missing_ok=True)
    asked = [min(map(min, parts)), max(map(max, parts))]
    manifest = DemosManifest(len(kept), len(tried), kept, [lengths[seed] for seed in kept], source.name, asked)
    manifest.save(folder)
    return manifest


def _too_few(kept: list[int], tried: list[int], count: int) -> str:
    return (
        f"only {len(kept)} of {len(tried)} seeds gave a successful demo, {count} are wanted; give "
        f"demos.max_tries={2 * len(tried)} or demos.count={max(len(kept), 1)} (what was made is kept)."
    )
