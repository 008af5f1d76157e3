"""The times of an episode's frames: what they are where they are not seconds of the data set's rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pirig.foreign.faults import leave_out, refused

LATE = 0.25  # of 1/fps, between two frames
UNITS = {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
EPOCH_S = 1e9  # later than 2001 counted from 1970, and no episode lasts 30 years
IGNORE = "demos.times=ignore takes frames to be 1/fps apart, where you know that they are"


def require_rate(file: Path, episode: int, times: np.ndarray, fps: float) -> str:
    """Raises ForeignFileError with the kind of fault; returns a note on times that are right but unusual, else ""."""
    remedy = leave_out(episode)

    def fault(there: str, expected: str, remedy: str, frame: int | None = None) -> Exception:
        return refused(file, there, remedy, expected=expected, episode=episode, frame=frame)

    spacing = f"{1 / fps:.4f} s between frames at {fps:g} a second"
    wrong = np.flatnonzero(~np.isfinite(times))
    if len(wrong):
        raise fault(f"its timestamp is {times[wrong[0]]}", "a number of seconds", f"{remedy}; {IGNORE}", int(wrong[0]))
    if len(times) < 2:
        return ""
    steps = np.diff(times)
    epoch = abs(times[0]) >= EPOCH_S
    if epoch and _as_float32(times) and float(np.spacing(np.float32(times[0]))) * fps > LATE:
        raise fault(
            f"its timestamps are seconds since 1970 kept as float32 ({times[0]:.0f}, ...), which cannot tell two frames apart",
            f"seconds from the episode's start: {spacing}",
            f"subtract the first one before they become float32; {IGNORE}",
        )
    if not steps.any():
        raise fault(f"all its timestamps are {times[0]:g}, so they tell no time", spacing, f"write them; {IGNORE}")
    for unit, scale in UNITS.items():
        if abs(np.median(steps) * fps / scale - 1) < LATE:
            since = "since 1970 " if abs(times[0]) / scale >= EPOCH_S else ""
            raise fault(
                f"its timestamps are {unit} {since}({times[0]:.6g}, {times[1]:.6g}, ...)",
                f"seconds: {spacing}",
                f"divide the column by {scale:g}; {IGNORE}",
            )
    late = np.flatnonzero(np.abs(steps * fps - 1) > LATE)
    if not len(late):
        return f"timestamps count from {times[0]:.0f} s (since 1970), not from 0" if epoch else ""
    step = int(late[0])
    if (steps < 0).any():
        step = int(np.flatnonzero(steps < 0)[0])
        raise fault(
            f"its timestamp goes back from {times[step]:.4f} to {times[step + 1]:.4f} s", spacing, remedy, step + 1
        )
    usual = float(np.median(steps))
    if usual > 0 and abs(usual * fps - 1) > LATE and (np.abs(steps / usual - 1) < LATE).mean() > 0.9:
        raise fault(
            f"its frames are {usual:.4f} s apart, {1 / usual:.4g} a second",
            f"{spacing}, as meta/info.json says",
            f"correct fps there, or resample the data set; {IGNORE}",
        )
    raise fault(
        f"{steps[step]:.4f} s pass between frames {step} and {step + 1}",
        f"{spacing}; frames were dropped",
        f"resample the data set, or leave the episode out (demos.leave_out=[{episode}])",
        step + 1,
    )


def _as_float32(times: np.ndarray) -> bool:
    """Whether so few digits are left; whole seconds alone do not tell."""
    return bool((np.float32(times) == times).all()) and bool((times % 64 == 0).all())
