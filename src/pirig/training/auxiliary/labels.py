"""Where things are, read off the tower's tokens: each label by one linear map of all tokens of all cameras.

Each kind of label has one scale, in physical units: metres for positions, radians for whole rotations, and for a turn about
the vertical parts of its sine and cosine. The spread of the data is none: a height that hardly varies at rest would become
a label of a hundred when an object is lifted, and swamp every other loss.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pirig.config.schema import LossConfig
from pirig.models.leaves import Leaf, Tree, draw
from pirig.scenes.labelled import METRES
from pirig.training import look_alikes, rotations

QUATERNION = "_quat_wxyz"  # how the names of labels end; of points of the world it is METRES
ENDINGS = (f"_position{METRES}", QUATERNION)  # of a thing's own labels
SCALE_M, SCALE_RAD = 0.1, 0.5  # an error of so much counts 1
SCALE_TURN = 2.0  # likewise, of sine and cosine: with 1 a yaw that is not yet known drowned the places of stack_cube


@dataclass(frozen=True)
class LabelLoss:
    """Mean over labels and their numbers of squared errors: of a position's axes in `scale_m`; of the sine and cosine of
    `turns` x yaw for a label in quaternions, which looks the same so many times in a whole turn (a cube 4 times); of the
    first two columns of the matrix over `scale_rad` for any other label in quaternions, which a picture must tell (it does
    not tell which way round a plain cube lies)."""

    labels: tuple[str, ...]
    scale_m: float = SCALE_M
    turns: Mapping[str, int] = field(default_factory=dict)  # by label in quaternions
    scale_rad: float = SCALE_RAD
    alike: tuple[tuple[str, ...], ...] = ()  # things of one look: their labels are learned in whichever order fits best

    @property
    def orders(self) -> tuple[tuple[int, ...], ...]:
        """How heads may be given to labels, [orders, labels]: the number of each label's head."""
        return look_alikes.orders(self.labels, self.alike, ENDINGS)

    def init(self, key: jax.Array, features: jax.ShapeDtypeStruct, labels: Mapping[str, np.ndarray]) -> Tree:
        """A head starts at the mean of what it learns. Its output is divided by the square root of its inputs' number, so that a
        step of Adam, which moves every number of the kernel alike, moves the output as little as a small head's: undivided,
        4096 inputs threw the first predictions a metre apart."""
        cameras, _, tokens, width = features.shape
        size = cameras * tokens * width
        heads = {}
        for name in self.labels:
            known = labels[name][np.isfinite(labels[name]).all(axis=1)]
            mean = np.asarray(self.target(name, known, np)).mean(axis=0, dtype=np.float64)
            kernel = draw(key, name, Leaf((size, len(mean)), "normal", 1.0))
            heads[name] = {"kernel": kernel, "bias": jnp.asarray(mean, jnp.float32)}
        return heads

    def target(self, name: str, label: jax.Array | np.ndarray, xp: Any = jnp) -> Any:
        """[B, k] -> what the head gives where it is right, [B, n]; `xp` is jax.numpy or numpy."""
        if self._is_rotation(name):
            return rotations.columns(label, xp) / self.scale_rad
        if name not in self.turns:
            return label / self.scale_m
        angle = self.turns[name] * yaw_rad(label, xp)
        return xp.stack([xp.cos(angle), xp.sin(angle)], axis=1) / SCALE_TURN

    def _is_rotation(self, name: str) -> bool:
        return name.endswith(QUATERNION) and name not in self.turns

    def measure(
        self,
        head: Tree,
        features: Float[jax.Array, "cameras batch tokens width"],
        labels: Mapping[str, jax.Array],
        beside: Float[jax.Array, "orders batch"] | float = 0.0,
    ) -> tuple[Float[jax.Array, " batch"], dict[str, jax.Array]]:
        """A label that is NaN is not known in that sample: it adds nothing to the loss, and its number is NaN.

        Of things that look alike each sample has the cheapest of `orders`, with what that costs `beside` the labels; a label's
        number is that of the head which it was given.
        """
        tokens = features.astype(jnp.float32).swapaxes(0, 1).reshape(features.shape[1], -1)
        targets = [self.target(name, labels[name]) for name in self.labels]
        true = jnp.concatenate(targets, axis=1)
        kernel = jnp.concatenate([head[name]["kernel"] for name in self.labels], axis=1)
        bias = jnp.concatenate([head[name]["bias"] for name in self.labels])
        known = jnp.isfinite(true)
        ends = np.cumsum([target.shape[1] for target in targets])[:-1]
        of_heads = jnp.split(tokens @ kernel * tokens.shape[1] ** -0.5 + bias, ends, axis=1)
        given = jnp.stack([jnp.concatenate([of_heads[at] for at in order], axis=1) for order in self.orders])
        wrong = jnp.where(known, given - jnp.where(known, true, 0.0), 0.0)
        costs = jnp.square(wrong).sum(axis=2) / jnp.maximum(known.sum(axis=1), 1) + beside
        best = jnp.argmin(costs, axis=0)[None]
        predicted = jnp.take_along_axis(given, best[..., None], axis=0)[0]
        parts = zip(self.labels, jnp.split(predicted, ends, axis=1), targets, strict=True)
        return jnp.take_along_axis(costs, best, axis=0)[0], dict(self._number(*part) for part in parts)

    def _number(self, name: str, predicted: jax.Array, true: jax.Array) -> tuple[str, jax.Array]:
        """A label's error in physical units [B], with the unit in its name."""
        if self._is_rotation(name):
            apart_rad = rotations.angle_rad(rotations.matrices(predicted), rotations.matrices(true))
            return f"{name.removesuffix(QUATERNION)}_deg", jnp.rad2deg(apart_rad)
        if name not in self.turns:
            apart_mm = jnp.linalg.norm(predicted - true, axis=1) * self.scale_m * 1e3
            return f"{name.removesuffix(METRES)}_mm", apart_mm
        cross = predicted[:, 1] * true[:, 0] - predicted[:, 0] * true[:, 1]
        apart_rad = jnp.abs(jnp.arctan2(cross, (predicted * true).sum(axis=1))) / self.turns[name]
        return f"{name.removesuffix(QUATERNION)}_yaw_deg", jnp.rad2deg(apart_rad)


def yaw_rad(quat_wxyz: Any, xp: Any = jnp) -> Any:
    """[B, 4] -> the turn about the vertical of the body's x axis, [B]."""
    w, x, y, z = (quat_wxyz[:, number] for number in range(4))
    return xp.arctan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z))


def of_labels(
    known: Collection[str],
    chosen: Sequence[str],
    *,
    turns: Mapping[str, int] | None = None,
    unseen: Collection[str] = (),
    alike: Mapping[str, Sequence[str]] | None = None,
    scale_m: float = SCALE_M,
    scale_rad: float = SCALE_RAD,
) -> LabelLoss:
    """Of the labels `known`, the `chosen` ones; none chosen: every position but those of objects that are `unseen`.

    `turns`: objects whose yaw is learned too, where it is known, and in place of the whole rotation where that is chosen.
    `alike`: by look, objects that no picture tells apart.
    Raises ValueError where a number is out of its domain.
    """
    if not scale_m > 0:
        raise ValueError(f"scale_m is {scale_m}; expected metres above 0, such as {SCALE_M}")
    if not scale_rad > 0:
        raise ValueError(f"scale_rad is {scale_rad}; expected radians above 0, such as {SCALE_RAD}")
    odd = {name: count for name, count in (turns or {}).items() if type(count) is not int or count < 1}
    if odd:
        raise ValueError(f"turns: {odd}; expected how often an object looks the same in a whole turn, 1 or more")
    hidden = {f"{name}_position{METRES}" for name in unseen}
    positions = [name for name in sorted(known) if name.endswith(METRES) and name not in hidden]
    quaternions = {f"{name}{QUATERNION}": count for name, count in sorted((turns or {}).items())}
    wanted = {name: count for name, count in quaternions.items() if name in (chosen or known)}
    labels = tuple(chosen) or (*positions, *wanted)
    groups = look_alikes.learned_groups(labels, alike or {}, ENDINGS)
    counts = {thing: wanted.get(f"{thing}{QUATERNION}") for group in groups for thing in group}
    if apart := [group for group in groups if len({counts[thing] for thing in group}) > 1]:
        raise ValueError(f"alike: {', '.join(apart[0])} differ in turns; expected the same of things of one look")
    return LabelLoss(labels, scale_m, wanted, scale_rad, groups)


def make(name: str, config: LossConfig, widths: Mapping[str, int]) -> LabelLoss:
    """`config.labels` name columns in metres or in quaternions; none named: every position, and the yaw of `settings.turns`
    {object: how often it looks the same in a whole turn}, without the objects `settings.unseen`; `settings.alike` names
    objects of one look. `settings.scale_m` and `scale_rad` change the scales.
    """
    odd = [label for label in config.labels if not _is_known(label, widths[label])]
    unknown = sorted(set(config.settings) - {"scale_m", "scale_rad", "turns", "unseen", "alike"})
    if unknown:
        raise ValueError(
            f"losses.{name}.settings.{unknown[0]}: kind={config.kind} has no such setting; it takes "
            "scale_m, scale_rad, turns, unseen, alike"
        )
    try:
        loss = of_labels(widths, config.labels, **config.settings)
    except ValueError as error:
        raise ValueError(f"losses.{name}.settings.{error}") from error
    if odd or not loss.labels:
        what = f"{odd[0]} is none" if odd else f"the data set has {', '.join(widths) or 'no labels at all'}"
        raise ValueError(
            f"losses.{name} learns positions and rotations, labels whose names end in {METRES}, or in {QUATERNION} with 4 "
            f"numbers, and {what}; name others in losses.{name}.labels, or leave the loss out"
        )
    return loss


def _is_known(label: str, width: int) -> bool:
    return label.endswith(METRES) or (label.endswith(QUATERNION) and width == 4)
