"""Orbax's two calls that changed their form between 0.11.13, which openpi pins, and now; and what a damaged folder says."""

from __future__ import annotations

import dataclasses
import gc
import logging
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LONGEST_REASON = 200  # letters
FILE_BYTES = 128 * 1024**2  # of a data file; Orbax's 2 GB wait in memory until they are full


def saved_tree(folder: Path) -> Any:
    """The tree of an Orbax folder with shape and dtype at every leaf; no array is read."""
    import orbax.checkpoint as ocp

    with ocp.PyTreeCheckpointer() as checkpointer:
        metadata = checkpointer.metadata(folder.absolute())
    return getattr(metadata, "item_metadata", metadata).tree


def restore_part(folder: Path, item: Any, restore_args: Any) -> Any:
    """The leaves of `item` only, whatever else the folder holds."""
    import orbax.checkpoint as ocp

    known = {field.name for field in dataclasses.fields(ocp.args.PyTreeRestore)}
    only: dict[str, Any] = {"partial_restore": True} if "partial_restore" in known else {"transforms": {}}
    request = ocp.args.PyTreeRestore(item=item, restore_args=restore_args, **only)
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        return checkpointer.restore(folder.absolute(), args=request)


def largest_part(largest_leaf: int) -> int:
    """GB that Orbax may have on its way at a time: it refuses a leaf above its limit."""
    return 1 + largest_leaf // 10**9


def part_by_part(tree: Any) -> Any:
    """A PyTreeCheckpointer that has about a GB (or the largest leaf of `tree`) on its way at a time, not all of it."""
    import jax
    import orbax.checkpoint as ocp

    largest = max((leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree)), default=0)
    limit_gb = largest_part(largest)
    return ocp.Checkpointer(ocp.PyTreeCheckpointHandler(save_concurrent_gb=limit_gb, restore_concurrent_gb=limit_gb))


def save_tree(folder: Path, tree: Any) -> None:
    """Writes arrays and numbers as an Orbax PyTree; beside the tree it takes about 1.3 times the largest leaf, or 1 GB."""
    import orbax.checkpoint as ocp

    request = ocp.args.PyTreeSave(tree, ocdbt_target_data_file_size=FILE_BYTES)
    with part_by_part(tree) as checkpointer:
        checkpointer.save(folder.absolute(), args=request)


@contextmanager
def reading(folder: Path, kind: type[ValueError] = ValueError) -> Iterator[None]:
    """Raises `kind` with one sentence where the arrays of `folder` (params/ or train_state/ of a step) cannot be read."""
    try:
        yield
        return
    except Exception as error:
        reason = _reason(error)
    _drop_quietly()
    raise kind(
        f"{folder}: the arrays cannot be read ({reason}); a file there is damaged or was cut off: fetch or copy it again"
        + _older(folder)
    )


def _reason(error: Exception) -> str:
    """The first line of what TensorStore says, without what is for its developers, whole words of it."""
    lines = str(error).strip().splitlines()
    said = lines[0].partition(". See full TensorStore")[0] if lines else ""
    return textwrap.shorten(said, LONGEST_REASON, placeholder=" ...") or type(error).__name__


def _older(folder: Path) -> str:
    """What to do with a step of a run that has an older one beside it."""
    step = folder.parent
    names = [path.name for path in step.parent.iterdir() if path.name.isdigit()] if step.name.isdigit() else []
    older = [int(name) for name in names if int(name) < int(step.name)]
    if not older:
        return ""
    instead = step.with_name(str(max(older)))
    return (
        f". An older step is there: run.checkpoint={instead} evaluates it; a training with run.mode=resume goes on from it once "
        f"{step} is moved away (mv {step} {step}.damaged)"
    )


def _drop_quietly() -> None:
    """Orbax leaves coroutines behind that complain of a closed loop when they are collected."""
    log, hook = logging.getLogger("asyncio"), sys.unraisablehook
    was_disabled, log.disabled = log.disabled, True
    sys.unraisablehook = lambda _: None
    try:
        gc.collect()
    finally:
        log.disabled, sys.unraisablehook = was_disabled, hook
