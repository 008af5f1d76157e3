"""Checkpoints: openpi's folder layout by Orbax, complete or absent, restored exactly.

<run>/checkpoints/<step>/
    params/                 Orbax PyTree {"params": tree}; the EMA weights if EMA is on
    train_state/            Orbax PyTree: the rest of the TrainState
    resume.json             position in the data, seconds trained, what must not change on resume
    assets/pirig/           norm_stats.json, contract.json, policy.json
    _CHECKPOINT_METADATA
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pirig.config.places import ASSETS, CHECKPOINTS
from pirig.files import checksums
from pirig.files.atomic import staging_folder
from pirig.files.orbax import part_by_part, reading, restore_part, save_tree, saved_tree
from pirig.files.records import read_record
from pirig.files.space import require_space
from pirig.runs.progress import steps_saved
from pirig.training.optimizer import Tree, merge, select
from pirig.training.processes import is_first, wait_for_all
from pirig.training.step import TrainState, weights_to_serve

WriteAssets = Callable[[Path], None]  # writes norm_stats.json, contract.json and policy.json into a folder


class Saver:
    """Writes checkpoints beside the training: `save` copies the state to the host, a thread writes it and returns later.

    One is written at a time; the next `save` and the end of the context wait for it and raise what went wrong. The copy
    takes host memory of the size of what trains. With several processes each of which holds a part, `save` itself writes.
    """

    def __init__(
        self, run_folder: Path, write_assets: WriteAssets, *, trainable: Tree | None = None, keep_every: int = 0
    ):
        self.run_folder, self.write_assets, self.trainable = run_folder, write_assets, trainable
        self.keep_every = keep_every
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pirig-checkpoint")
        self._pending: Future[None] | None = None

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.wait()
        finally:
            self._pool.shutdown()

    def require_space(self, state: TrainState, steps: int) -> None:
        """Raises ValueError where the disk has no room for what a training from `state` to `steps` keeps.

        These are the multiples of `keep_every`, the newest one, and the one that is written before the last one goes.
        """
        if int(state.step) >= steps:
            return
        items = (weights_to_serve(state, self.trainable), _rest(state, self.trainable))
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(items))
        kept = steps // self.keep_every - int(state.step) // self.keep_every if self.keep_every else 0
        count = kept + (1 if steps_saved(self.run_folder) else 2)
        what = f"{count} checkpoints of {size / 1e9:.1f} GB (train.keep_every={self.keep_every}) need"
        require_space(self.run_folder, count * size, what)

    def wait(self) -> None:
        """Until the checkpoint that is being written is complete. Raises what its writing raised."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def save(self, state: TrainState, progress: dict[str, Any]) -> Path:
        """Where the checkpoint of `state.step` will be (nothing is written if it exists); then the keep rule applies.

        `progress` is a JSON dict that comes back from `restore`: position, seconds, settings that must not change.
        """
        self.wait()
        step = int(state.step)
        final = self.run_folder / CHECKPOINTS / str(step)
        if final.exists():
            return final
        items = {
            "params": {"params": weights_to_serve(state, self.trainable)},
            "train_state": _rest(state, self.trainable),
        }
        if jax.process_count() > 1:
            self._write(final, items, {"step": step, **progress})
        else:
            held = jax.tree.map(self._held, items)
            self._pending = self._pool.submit(self._write, final, held, {"step": step, **progress})
        return final

    def _held(self, leaf: Any) -> np.ndarray:
        """A copy, for the next step takes the state's memory; what is frozen (so no float32) stays where it lies."""
        return np.asarray(leaf) if self.trainable is not None and leaf.dtype == jnp.bfloat16 else np.array(leaf)

    def _write(self, final: Path, items: dict[str, Any], progress: dict[str, Any]) -> None:
        with _staging(final) as folder:
            _write(folder, items, progress, self.write_assets)
        if is_first():
            remove_old(self.run_folder, self.keep_every)


@contextmanager
def _staging(final: Path) -> Iterator[Path]:
    """As `staging_folder`; with several processes one folder for all of them, which the first one renames."""
    if jax.process_count() == 1:
        with staging_folder(final) as folder:
            yield folder
        return
    folder = final.with_name(f".{final.name}.partial")
    if is_first():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    wait_for_all(f"staged {final.name}")
    yield folder
    wait_for_all(f"written {final.name}")
    if is_first():
        os.rename(folder, final)
    wait_for_all(f"saved {final.name}")


def _write(folder: Path, items: dict[str, Any], progress: dict[str, Any], write_assets: WriteAssets) -> None:
    started_ns = time.time_ns()
    for name, tree in items.items():
        save_tree(folder / name, tree)
    if not is_first():
        return
    checksums.record(folder, tuple(items))
    (folder / ASSETS).mkdir(parents=True)
    write_assets(folder / ASSETS)
    (folder / "resume.json").write_text(json.dumps(progress, indent=2) + "\n")
    metadata = {
        "item_handlers": {item: "orbax.checkpoint._src.handlers.pytree_checkpoint_handler.PyTreeCheckpointHandler"
                          for item in ("params", "train_state")},
        "metrics": {},
        "performance_metrics": {},
        "init_timestamp_nsecs": started_ns,
        "commit_timestamp_nsecs": time.time_ns(),
        "custom_metadata": {},
    }  # fmt: skip
    (folder / "_CHECKPOINT_METADATA").write_text(json.dumps(metadata))


def _rest(state: TrainState, trainable: Tree | None) -> dict[str, Any]:
    """What params/ does not hold: with EMA on, the raw trained leaves; the heads of auxiliary losses, where there are
    any; the optimizer, the step, the key."""
    raw = {"params": select(state.params, trainable)} if state.ema else {}
    heads = {name: tree for name, tree in (("heads", state.heads), ("heads_ema", state.heads_ema)) if tree}
    key = jax.random.key_data(state.rng)
    return {**raw, **heads, "opt_state": state.opt_state, "step": state.step, "rng": key}


def shapes_of(state: TrainState) -> TrainState:
    """The state without its arrays' memory, for `restore`: shapes, types and places; the key stays."""

    def shape(leaf: Any) -> Any:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)

    return replace(jax.tree.map(shape, replace(state, rng=jnp.zeros(()))), rng=state.rng)


def restore(folder: Path, like: TrainState, trainable: Tree | None = None) -> tuple[TrainState, dict[str, Any]]:
    """The exact state that was saved, and its `progress` dict. `like` gives shapes and types (fresh `init_state`, or its
    `shapes_of`).

    Raises ValueError if the checkpoint belongs to another model, optimizer or EMA setting, or its files are damaged.
    """
    served = restore_tree(folder / "params", {"params": like.params})["params"]
    rest = restore_tree(folder / "train_state", _rest(like, trainable))
    params = merge(rest["params"], select(served, trainable, keep=False)) if like.ema else served
    state = TrainState(
        step=rest["step"],
        params=params,
        ema=select(served, trainable) if like.ema else {},
        opt_state=rest["opt_state"],
        rng=jax.random.wrap_key_data(rest["rng"], impl=jax.random.key_impl(like.rng)),
        heads=rest["heads"] if like.heads else {},
        heads_ema=rest["heads_ema"] if like.heads_ema else {},
    )
    return state, read_record(
        folder / "resume.json", "step", "seconds", remedy=f"take an older step: move {folder} away"
    )


def with_heads_of(checkpoint: Path, heads: Tree) -> Tree:
    """Fresh `heads` of auxiliary losses, with those of a checkpoint in place of the ones that are of the same name and shapes."""
    folder = checkpoint / "train_state"
    if not heads or not folder.is_dir():
        return heads
    saved = saved_tree(folder)
    kind = "heads_ema" if saved.get("heads_ema") else "heads"
    alike = {name: head for name, head in heads.items() if _shapes(saved.get(kind, {}).get(name, {})) == _shapes(head)}
    if not alike:
        return heads
    item = {kind: alike}
    with reading(folder):
        restored = restore_part(folder, item, _restore_args(item))[kind]
    return {**heads, **jax.tree.map(jnp.asarray, restored)}


def _restore_args(item: Any) -> Any:
    import orbax.checkpoint as ocp

    return ocp.checkpoint_utils.construct_restore_args(item)


def restore_tree(folder: Path, like: Any) -> Any:
    """The Orbax tree of a folder with the structure, shapes and types of `like`; ValueError where they differ."""

    _require_same(folder, saved_tree(folder), like)
    with reading(folder), part_by_part(like) as checkpointer:
        checksums.require_intact(folder)
        restored = checkpointer.restore(folder.absolute(), item=like, restore_args=_restore_args(like))
    return jax.tree.map(jnp.asarray, restored)


def load_params(checkpoint: Path) -> Tree:
    """The weights of a checkpoint (EMA if it was on) as a nested dict of numpy arrays, in the types saved."""
    import orbax.checkpoint as ocp

    folder = (checkpoint / "params").absolute()
    if not folder.is_dir():
        raise ValueError(
            f"{checkpoint}: expected a folder params/ in it, found none; give a folder <run>/checkpoints/<step>"
        )
    arguments = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), saved_tree(folder))
    with reading(folder), ocp.PyTreeCheckpointer() as checkpointer:
        return checkpointer.restore(folder, restore_args=arguments)["params"]


def _require_same(folder: Path, saved: Any, like: Any) -> None:
    saved_shapes, expected = _shapes(saved), _shapes(like)
    if saved_shapes == expected:
        return
    path = sorted(saved_shapes.items() ^ expected.items())[0][0]
    raise ValueError(
        f"{folder}: {path} is {saved_shapes.get(path, 'absent')} in the checkpoint but {expected.get(path, 'absent')} in this "
        "run; resume with the model, finetune, losses, train.ema and optimizer settings that made it, or start another run"
    )


def _shapes(tree: Any) -> dict[str, tuple]:
    """Leaf path to shape; lists, tuples and dataclasses alike (Orbax's metadata names them by key or index)."""
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda node: hasattr(node, "shape"))
    return {"/".join(_key(key) for key in path): tuple(leaf.shape) for path, leaf in leaves if hasattr(leaf, "shape")}


def _key(key: Any) -> str:
    for name in ("key", "name", "idx"):
        if hasattr(key, name):
            return str(getattr(key, name))
    return str(key)


def remove_old(run_folder: Path, keep_every: int) -> None:
    """The newest stays, and multiples of `keep_every` (0: none); the others go."""
    for step in steps_saved(run_folder)[:-1]:
        if keep_every and step % keep_every == 0:
            continue
        gone = run_folder / CHECKPOINTS / f".{step}.removed"
        shutil.rmtree(gone, ignore_errors=True)
        os.rename(run_folder / CHECKPOINTS / str(step), gone)
        shutil.rmtree(gone, ignore_errors=True)


def dump_batch(path: Path, batch: Tree) -> None:
    """A batch as npz with flat names (images/base_0_rgb, actions, ...)."""
    from pirig.training.optimizer import path_name

    leaves = jax.tree_util.tree_leaves_with_path(batch)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **{path_name(where): np.asarray(leaf) for where, leaf in leaves})
