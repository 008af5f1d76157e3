"""Orbax's two calls that changed their form between 0.11.13, which openpi pins, and now."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any


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
