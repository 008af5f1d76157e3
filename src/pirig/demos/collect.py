"""N successful episodes from any source, by several processes, resumable.

Seeds are tried in order by several processes, and the first N successful ones in seed order are kept, so the result does
not depend on the number of workers or on interruptions.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pirig.contract import Contract, require_equal
from pirig.demos.manifest import DemosManifest, append_tried, episode_file, read_tried, write_episode
from pirig.files.progress import Progress

_worker: dict[str, Any] = {}


class Source(Protocol):
    """Where episodes come from. Pickled into each worker process; `open` is called there once."""

    name: str

    def open(self) -> None: ...

    def episode(self, seed: int) -> dict[str, np.ndarray] | None:
        """The successful episode of this seed, or None."""
        ...


def collect(
    contract: Contract, source: Source, seeds: list[int], count: int, workers: int, folder: Path
) -> DemosManifest:
    """Fills `folder` with the first `count` successful episodes of `seeds`. Resumes where a killed call stopped.

    Raises ValueError where the folder holds demos of another contract, or where the seeds were not enough.
    """
    if claim(contract, folder):
        return DemosManifest.load(folder)
    lengths = read_tried(folder)
    _try_seeds(source, count, workers, folder, seeds, lengths)
    return _finish(folder, source, count, seeds, lengths)


def claim(contract: Contract, folder: Path) -> bool:
    """Makes `folder` this contract's own; True where its demos are complete. Raises ValueError where it is another's."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "contract.json").is_file():
        require_equal(contract, Contract.load(folder), our_name="this run", their_name=f"demos {folder}")
    contract.save(folder)
    return (folder / "manifest.json").is_file()


def _kept(seeds: list[int], lengths: dict[int, int]) -> int:
    """Successes before the first seed that has not been tried: only these are certain to be kept."""
    count = 0
    for seed in seeds:
        if seed not in lengths:
            break
        count += bool(lengths[seed])
    return count


def _try_seeds(
    source: Source, count: int, workers: int, folder: Path, seeds: list[int], lengths: dict[int, int]
) -> None:
    todo = iter([seed for seed in seeds if seed not in lengths])
    running: dict[Future, int] = {}
    if _kept(seeds, lengths) >= count:
        return
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start, initargs=(source,)
    )
    with pool, Progress("demos", count, _kept(seeds, lengths)) as progress:
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
                lengths[seed] = future.result()
                append_tried(folder, seed, lengths[seed])
            kept = _kept(seeds, lengths)
            progress.advance(kept - progress.done, f"kept {kept} of {len(lengths)} tried")
        for future in running:
            future.cancel()


def _start(source: Source) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    source.open()
    _worker["source"] = source


def _end_with_parent() -> None:
    """A pool's process does not notice that its parent was killed, and would wait for ever with a simulator in memory."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _one(folder: str, seed: int) -> int:
    """The length of the episode that was written, or 0."""
    episode = _worker["source"].episode(seed)
    if episode is None:
        return 0
    write_episode(episode_file(Path(folder), seed), episode)
    return len(episode["actions"])


def _finish(folder: Path, source: Source, count: int, seeds: list[int], lengths: dict[int, int]) -> DemosManifest:
    tried = 0
    kept: list[int] = []
    for seed in seeds:
        if len(kept) == count or seed not in lengths:
            break
        tried += 1
        if lengths[seed]:
            kept.append(seed)
    if len(kept) < count:
        raise ValueError(
            f"{folder}: only {len(kept)} of {tried} seeds gave a successful demo, {count} are wanted; "
            "raise demos.max_tries or lower count (what was made is kept)."
        )
    for extra in set(lengths) - set(kept):  # tried ahead by another worker
        episode_file(folder, extra).unlink(missing_ok=True)
    asked = [min(seeds), max(seeds)]
    manifest = DemosManifest(len(kept), tried, kept, [lengths[seed] for seed in kept], source.name, asked)
    manifest.save(folder)
    return manifest
