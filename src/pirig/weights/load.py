"""Checkpoints of openpi, and ours, into the nested dict that the models read.

Everything that can be wrong with given weights (another model, another size, a missing leaf) is said in one sentence
before a byte of the arrays is read; what can be wrong with their numbers while they are. One large leaf at a time, the
largest first, goes into its final type and place, so that loading takes little more memory than what is loaded.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pirig.config.arguments import meant_run
from pirig.config.places import CHECKPOINTS
from pirig.files.checksums import require_intact
from pirig.files.orbax import reading, restore_part, saved_tree
from pirig.models.layout import Tree, flatten, init_params, leaf_specs, nest
from pirig.models.sizes import ModelConfig
from pirig.runs import hardware
from pirig.weights.match import WeightsError, listed, require_fits, shapes_of
from pirig.weights.plausible import require_plausible

ORBAX_FILES = ("_METADATA", "manifest.ocdbt")
ROOT, WRAPPER = "params", "value"  # openpi's key above the tree, and its last path element of every leaf
PART_BYTES = 1 << 28  # smaller leaves are read together, up to so much

Kinds = Callable[[str], Any]  # path -> the type of that leaf, None: as saved
Place = Callable[[str, np.ndarray], Any]  # (path, host array) -> where it is used, such as a device; it owns its memory


@dataclasses.dataclass(frozen=True)
class Stored:
    """One leaf as the checkpoint holds it: its shape and dtype, and the keys that lead to it there."""

    shape: tuple[int, ...]
    dtype: str
    keys: tuple[str, ...]


def load_params(path: Path, config: ModelConfig | None = None, dtype: Any = None, place: Place | None = None) -> Tree:
    """A checkpoint's weights as a nested dict of numpy arrays, or of what `place` makes of each.

    `dtype`: a type for all, or a function of a leaf's path that says its type; None: as saved. With `config` the tree must be
    that model's; only a LoRA model's low-rank leaves may be absent (see `start_from`). Raises WeightsError, for numbers that
    are no weights and for files of ours that are not as they were written too.
    """
    folder = params_folder(Path(path))
    try:
        stored = stored_leaves(folder)
    except WeightsError:
        require_as_written(folder)  # says which file it is
        raise
    if config is not None:
        require_fits(shapes_of(stored), config, str(path))
    kind_of_leaf = _kinds(dtype)
    _require_room(folder, stored, kind_of_leaf, on_host=place is None or jax.default_backend() == "cpu")
    require_as_written(folder)
    return nest(dict(_loaded(folder, stored, config, kind_of_leaf, place)))


def require_as_written(folder: Path) -> None:
    """Raises WeightsError where a file of ours is not as it was written."""
    with reading(folder, WeightsError):
        require_intact(folder)


def _loaded(
    folder: Path, stored: Mapping[str, Stored], config: ModelConfig | None, kind_of_leaf: Kinds, place: Place | None
) -> Iterator[tuple[str, Any]]:
    """Checked, in its type and place; a host array is let go before the next one is read."""
    for part in arrays_in_parts(folder, stored):
        for path in list(part):
            array = part.pop(path)
            require_plausible(path, array, folder, config)
            kind = kind_of_leaf(path)
            array = array if kind is None else array.astype(jnp.dtype(kind), copy=False)
            yield path, array if place is None else place(path, array)
            del array


def _kinds(dtype: Any) -> Kinds:
    return dtype if callable(dtype) and not isinstance(dtype, type) else lambda path: dtype


def _require_room(folder: Path, stored: Mapping[str, Stored], kind_of_leaf: Kinds, *, on_host: bool) -> None:
    """Raises WeightsError before a byte is read where the machine cannot hold what is loaded and the leaf on its way."""

    def held(path: str, leaf: Stored) -> int:
        kind = kind_of_leaf(path)
        return math.prod(leaf.shape) * np.dtype(leaf.dtype if kind is None else jnp.dtype(kind)).itemsize

    largest = max((_bytes(leaf) for leaf in stored.values()), default=0)
    needed = largest + (sum(held(path, leaf) for path, leaf in stored.items()) if on_host else largest)
    have = hardware.available_bytes()
    if needed > have:
        raise WeightsError(
            f"{folder}: reading these weights takes {needed / 1e9:.1f} GB of memory, {have / 1e9:.1f} GB are free of "
            f"{hardware.memory_bytes() / 1e9:.1f}; end what else runs here, or take a larger machine"
        )


def on_device(path: str, array: np.ndarray) -> jax.Array:
    """A `Place`: the first device, in memory of its own (a training's step takes it over)."""
    return jax.block_until_ready(jnp.array(array, copy=True))


def params_folder(path: Path) -> Path:
    """The Orbax folder of weights in: itself, a folder with params/, or a folder of steps (the newest; a run of ours).

    Raises WeightsError.
    """
    if not path.is_dir():
        raise WeightsError(f"{path}: there is no such folder; give a checkpoint's folder")
    if _is_orbax(path):
        return path
    for folder in (path, path / CHECKPOINTS):
        if _is_orbax(folder / ROOT):
            return folder / ROOT
        steps = [int(step.name) for step in folder.iterdir() if step.name.isdigit()] if folder.is_dir() else []
        if steps and _is_orbax(newest := folder / str(max(steps)) / ROOT):
            return newest
    names = ", ".join(sorted(entry.name for entry in path.iterdir())[:6]) or "nothing"
    raise WeightsError(
        f"{path}: expected a checkpoint (params/ with _METADATA and manifest.ocdbt in it), found {names}{meant_run(path)}"
    )


def stored_leaves(folder: Path) -> dict[str, Stored]:
    """Our path -> what an Orbax folder of weights holds there; reads metadata only. Raises WeightsError."""
    try:
        tree = saved_tree(folder)
    except Exception as error:  # Orbax raises many kinds for a folder that was cut short
        raise WeightsError(f"{folder}: not readable as an Orbax checkpoint ({_first_line(error)})") from error
    if set(tree) != {ROOT}:
        raise WeightsError(f"{folder}: expected the one root key {ROOT!r}, found {', '.join(sorted(tree)) or 'none'}")
    leaves = dict(_walk(tree[ROOT], ()))
    wrapped = all(keys[-1] == WRAPPER for keys in leaves)
    return {
        "/".join(keys[:-1] if wrapped else keys): Stored(tuple(leaf.shape), np.dtype(leaf.dtype).name, (ROOT, *keys))
        for keys, leaf in leaves.items()
    }


def start_from(
    path: Path, config: ModelConfig, key: jax.Array, dtype: Any = None, place: Place | None = None
) -> tuple[Tree, frozenset[str]]:
    """Parameters to fine-tune: the checkpoint's leaves, and fresh low-rank leaves where it has none.

    `dtype` and `place` as for `load_params`. Returns the whole tree and the paths that the checkpoint supplied (for
    `require_supplied`). Raises WeightsError.
    """
    return merge_lora(load_params(path, config, dtype, place), config, key)


def merge_lora(loaded: Tree, config: ModelConfig, key: jax.Array) -> tuple[Tree, frozenset[str]]:
    """`loaded` completed by fresh low-rank leaves, drawn as init_params(key, config) draws them (float32).

    Returns the whole tree and the paths that were loaded. Raises WeightsError if another leaf is missing.
    """
    flat = flatten(loaded)
    require_fits(shapes_of(loaded), config, "the loaded weights")
    fresh = [path for path in leaf_specs(config) if path not in flat]

    @jax.jit  # the leaves that are not returned are never drawn
    def draw(key: jax.Array) -> dict[str, jax.Array]:
        drawn = flatten(init_params(key, config))
        return {path: drawn[path] for path in fresh}

    return nest(dict(sorted((flat | dict(draw(key))).items()))), frozenset(flat)


def require_supplied(supplied: Collection[str], trainable: Tree) -> None:
    """Raises WeightsError if a leaf that is frozen (False in the tree `trainable`) came from no checkpoint."""
    orphans = sorted(path for path, trained in flatten(trainable).items() if not trained and path not in supplied)
    if orphans:
        raise WeightsError(
            f"{listed(orphans)} frozen and came from no checkpoint, so a random part of the model would stay random; "
            "give weights=pi05_base (or pi0_base, or local with weights.path) or choose finetune=full"
        )


def arrays_in_parts(folder: Path, stored: Mapping[str, Stored]) -> Iterator[dict[str, np.ndarray]]:
    """All arrays by our path, in the types saved: large leaves one by one, the largest first, then small ones together.

    Reading a leaf takes two or three times its size for a moment, so the large ones come while little else is there.
    """
    part: dict[str, Stored] = {}
    for path, leaf in sorted(stored.items(), key=lambda item: -_bytes(item[1])):
        part[path] = leaf
        if sum(_bytes(member) for member in part.values()) >= PART_BYTES:
            yield _read(folder, part)
            part = {}
    if part:
        yield _read(folder, part)


def _read(folder: Path, wanted: Mapping[str, Stored]) -> dict[str, np.ndarray]:
    """The wanted leaves only, flat by our path."""
    import orbax.checkpoint as ocp

    item = _nest_keys({leaf.keys: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in wanted.values()})
    arguments = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), item)
    with reading(folder, WeightsError):
        arrays = dict(_walk(restore_part(folder, item, arguments), ()))
    return {path: arrays.pop(leaf.keys) for path, leaf in wanted.items()}


def _nest_keys(flat: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for (*folders, name), leaf in flat.items():
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = leaf
    return tree


def _walk(node: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(node, Mapping):
        for name, child in node.items():
            yield from _walk(child, (*keys, str(name)))
    else:
        yield keys, node


def _is_orbax(folder: Path) -> bool:
    return any((folder / name).exists() for name in ORBAX_FILES)


def _bytes(leaf: Stored) -> int:
    return int(np.prod(leaf.shape, dtype=np.int64)) * np.dtype(leaf.dtype).itemsize


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
