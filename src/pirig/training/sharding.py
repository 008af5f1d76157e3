"""Where every array of a training lies: large ones split over the mesh's fsdp axis, the batch over all devices.

The mesh is (data, fsdp): `fsdp` devices hold one copy of the state between them, and there are `data` such copies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pirig.models.bits import STACKED
from pirig.training.optimizer import path_name

DATA, FSDP = "data", "fsdp"
MIN_BYTES = 4 * 2**20  # openpi's threshold
COPIED = ("heads", "heads_ema")  # small, and a gather of their own would run beside the step's other collectives


@dataclass(frozen=True)
class Placement:
    """A mesh and the rule for arrays. `min_bytes`: smaller arrays are copied to every device."""

    mesh: Mesh
    min_bytes: int = MIN_BYTES

    @property
    def device_count(self) -> int:
        return self.mesh.size

    @property
    def copied(self) -> NamedSharding:
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def batch(self) -> NamedSharding:
        """First axis split over all devices."""
        return NamedSharding(self.mesh, PartitionSpec((DATA, FSDP)))

    def tree(self, like: Any) -> Any:
        """A NamedSharding per leaf of a tree of arrays or ShapeDtypeStructs."""
        return jax.tree_util.tree_map_with_path(self._leaf, like)

    def _leaf(self, path: tuple, leaf: Any) -> NamedSharding:
        return self._named(path_name(path), leaf)

    def _named(self, path: str, leaf: Any) -> NamedSharding:
        is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        if is_key or set(path.split("/")) & set(COPIED):
            return self.copied
        axis = split_axis(path, leaf.shape, leaf.dtype.itemsize, self.mesh.shape[FSDP], self.min_bytes)
        if axis is None:
            return self.copied
        return NamedSharding(self.mesh, PartitionSpec(*[None] * axis, FSDP))

    def put(self, tree: Any) -> Any:
        """Host arrays (the same in every process) onto the devices, leaf by leaf: no device ever holds the whole."""
        return jax.tree.map(jax.device_put, tree, self.tree(tree))

    def put_leaf(self, path: str, leaf: Any) -> jax.Array:
        """As `put`, one leaf by its path."""
        return jax.block_until_ready(jax.device_put(leaf, self._named(path, leaf)))

    def put_batch(self, rows: Any) -> Any:
        """This process's rows of a batch -> global arrays over all devices."""
        return jax.tree.map(lambda part: jax.make_array_from_process_local_data(self.batch, np.asarray(part)), rows)

    def own_rows(self, batch_size: int) -> slice:
        """The rows of each batch that this process loads."""
        part = batch_size // jax.process_count()
        return slice(jax.process_index() * part, (jax.process_index() + 1) * part)

    def bytes_per_device(self, like: Any) -> int:
        """Of a tree of arrays or ShapeDtypeStructs, as placed."""
        shards = jax.tree.map(lambda leaf, where: _shard_bytes(leaf, where), like, self.tree(like))
        return sum(jax.tree.leaves(shards))


def _shard_bytes(leaf: Any, where: NamedSharding) -> int:
    return math.prod(where.shard_shape(leaf.shape)) * leaf.dtype.itemsize


def split_axis(path: str, shape: Sequence[int], item_bytes: int, parts: int, min_bytes: int) -> int | None:
    """The axis to split: the largest that divides by `parts`; None for vectors, small arrays and where none divides.

    The depth axis of stacked layers is never split.
    """
    if parts == 1 or len(shape) < 2 or math.prod(shape) * item_bytes < min_bytes:
        return None
    first = 1 if any(f"/{name}/" in f"/{path}/" for name in STACKED) else 0
    fitting = [axis for axis in range(first, len(shape)) if shape[axis] % parts == 0 and shape[axis] >= parts]
    return max(fitting, key=lambda axis: shape[axis], default=None)


def make_placement(
    fsdp: int, *, min_bytes: int = MIN_BYTES, batch_size: int, accumulate: int = 1, devices: Sequence[Any] | None = None
) -> Placement:
    """All devices (of all processes) as a mesh with `fsdp` of them per copy of the state.

    Raises ValueError where the devices do not divide so, or the batch not by the devices.
    """
    visible = list(jax.devices() if devices is None else devices)
    count = len(visible)
    if count % fsdp:
        raise ValueError(
            f"fsdp={fsdp} with {count} {visible[0].platform} device{'s' * (count > 1)}: {count} does not divide by {fsdp}; "
            f"choose fsdp={math.gcd(fsdp, count)}, or run where there are {fsdp} devices"
        )
    if batch_size % (count * accumulate):
        fitting = max(batch_size // (count * accumulate), 1) * count * accumulate
        raise ValueError(
            f"train.batch_size={batch_size} with {count} devices and train.accumulate={accumulate}: each device takes an "
            f"equal share of each part; choose train.batch_size={fitting}, or fewer devices (CUDA_VISIBLE_DEVICES)"
        )
    grid = np.array(visible, dtype=object).reshape(count // fsdp, fsdp)
    return Placement(Mesh(grid, (DATA, FSDP)), min_bytes)
