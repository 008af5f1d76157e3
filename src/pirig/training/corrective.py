"""Corrective noise: the state says that the hand is a little off, and the action chunk brings it back.

A policy from few demos learns a demo's course by its pictures and hardly looks where the hand is: what it reads there says no
more than the course does. Where the state is moved and the actions with it, the place of the hand decides what to do. What the
actions have to be is known for a controller that is told how far the hand is to go (`config/deltas.py`), from how hands of this
data set answer it. Compare DART (Laskey et al. 2017), which moves the hand itself, and CCIL (Ke et al. 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FULL = 0.99  # of an action's range: from here on its true size is not known, for it was cut
HELD_STEPS = 10  # after the gripper was told to open or close: until then the hand waits wherever it is
SETTLED_M = 0.003  # so near a hand counts as there
AGREE = 0.85  # of what hands go, what goes the way that they are told: cos of 30 degrees
TINY = 1e-12


@dataclass(frozen=True)
class CorrectiveNoise:
    """`actions` [N, A] as recorded, the gripper last; `remains` [H]: of a hand that is off, what share is still there after
    0 .. H - 1 steps of correcting; `place`: which numbers of the state say where it is. `before` [N]: what the gripper was
    told before each frame; `held` [N]: whether it was told something else in the HELD_STEPS before it. `std_m`: of the
    noise, per axis; `unit_m`: what 1 of an action is.
    """

    std_m: float
    place: list[int]
    unit_m: float
    actions: np.ndarray
    remains: np.ndarray
    before: np.ndarray
    held: np.ndarray

    def draw(self, frames: np.ndarray, seed: int, position: int) -> np.ndarray:
        """How far off the hand is said to be at each of the frames [B], m [B, 3], from the batch's position alone."""
        off_m = np.random.default_rng([seed, position, 1]).normal(0.0, self.std_m, (len(frames), 3))
        return np.where(self.held[frames][:, None], 0.0, off_m)

    def chunks(self, frames: np.ndarray, chunk: np.ndarray, off_m: np.ndarray) -> np.ndarray:
        """Actions [B, H, A] of frames [B] whose recorded ones are those of `chunk` [B, H], the hand off by `off_m` [B, 3].

        The gripper is not told anything new before the hand is back: what comes from there on waits so long.
        """
        steps = np.arange(chunk.shape[1])
        changes = self.actions[chunk][..., -1] != self.before[frames][:, None]
        change = np.where(changes.any(axis=1), changes.argmax(axis=1), len(steps))
        far = np.abs(self.remains[None, :, None] * off_m[:, None]).max(axis=-1) >= SETTLED_M
        settled = np.where(far.all(axis=1), len(steps), far.argmin(axis=1))
        on = np.maximum(change, settled)  # the step from which on the recorded actions go on after the wait
        source = np.where(steps < change[:, None], steps, np.maximum(steps - (on - change)[:, None], 0))
        moved = self.actions[np.take_along_axis(chunk, source, axis=1)].astype(np.float64)
        waits = (steps >= change[:, None]) & (steps < on[:, None])
        still = np.concatenate([np.zeros((len(frames), moved.shape[-1] - 1)), self.before[frames][:, None]], axis=1)
        moved = np.where(waits[..., None], still[:, None], moved)
        back = self.remains[None, :, None] * off_m[:, None] / self.unit_m
        moves = moved[..., :3]
        corrects = (steps < on[:, None])[..., None] & (np.abs(moves) < FULL)
        moved[..., :3] = np.where(corrects, np.clip(moves - back, -1.0, 1.0), moves)
        return moved.astype(self.actions.dtype)


def corrective_noise(
    std_m: float,
    unit_m: float,
    place: list[int],
    state: np.ndarray,
    actions: np.ndarray,
    lengths: Sequence[int],
    horizon: int,
) -> CorrectiveNoise:
    """Of a data set's state [N, S], the hand's place in it, and actions [N, A]."""
    ends = np.cumsum(lengths)
    first = np.repeat(ends - lengths, lengths)
    numbers, told = np.arange(len(actions)), actions[:, -1]
    before = told[np.maximum(numbers - 1, first)]
    changed = np.flatnonzero(told != before)
    held = np.zeros(len(actions), bool)
    for frame in changed:
        held[frame + 1 : min(frame + 1 + HELD_STEPS, ends[np.searchsorted(ends, frame, side="right")])] = True
    remains = remaining(state[:, place], actions[:, :3], first, unit_m, horizon)
    return CorrectiveNoise(std_m, place, unit_m, actions, remains, before, held)


def remaining(place_m: np.ndarray, moves: np.ndarray, first: np.ndarray, unit_m: float, horizon: int) -> np.ndarray:
    """Of a distance that is commanded away in full at every step, the share that is left after 0 .. horizon - 1 steps, [horizon].

    How far a hand goes in a step is fitted as a part of what it is told and a part of how far it went in the step before, of
    all frames and axes [N, 3] together; `first` [N]: the first frame of each frame's episode. Raises ValueError where hands go
    along other axes than they are told.
    """
    frames = np.flatnonzero((first[2:] == first[1:-1]) & (first[1:-1] == first[:-2]) if len(first) > 2 else [])
    now, then = place_m[frames + 2] - place_m[frames + 1], place_m[frames + 1] - place_m[frames]
    _along_own_axes(moves[frames + 1], now)
    known = np.stack([moves[frames + 1].ravel(), then.ravel()], axis=1).astype(np.float64)
    (gain_m, carried), *_ = np.linalg.lstsq(known, now.ravel().astype(np.float64), rcond=None)
    left, step = [1.0], 0.0
    for _ in range(horizon - 1):
        step = carried * step - gain_m / unit_m * left[-1]
        left.append(left[-1] + step)
    return np.array(left)


def _along_own_axes(told: np.ndarray, now: np.ndarray) -> None:
    together = told.T.astype(np.float64) @ now  # symmetric, none of its directions below 0, where nothing is turned
    agree = float(np.trace(together) / max(np.linalg.svd(together, compute_uv=False).sum(), TINY))
    if together.any() and agree < AGREE:
        way = "; ".join(" ".join(f"{share:+.2f}" for share in row) for row in together / np.abs(together).max())
        raise ValueError(
            f"train.corrective_noise_m: told to go along x, y or z, hands of this data set go along {way} (x y z each, the "
            f"longest 1): not the axes in which the state tells their place ({agree:.2f} of their way, expected {AGREE:g} or "
            "more), so nobody knows what brings them back; choose train.corrective_noise_m=0"
        )
