"""Episodes of an arm as npz files: `<name>_libero_<time>.npz` in a folder `libero_format`, each written whole or not at all.

The keys are those that `foreign.npz_episodes` reads; here states and actions are f32 [T, 8]: seven joints in rad and the
gripper, 0 open to 1 closed.
"""

from __future__ import annotations

import datetime
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pirig.files.atomic import clear_leftovers, write_bytes
from pirig.foreign.kinds import EPISODES_FOLDER
from pirig.foreign.npz_episodes import LEAST_FRAMES

CAMERAS = {"agent_images": "base_0_rgb", "wrist_images": "left_wrist_0_rgb"}


@dataclass
class Episode:
    """Frames in order: what was seen and measured, and what was told then."""

    task: str
    frequency_hz: float
    images: dict[str, list[np.ndarray]] = field(default_factory=lambda: {name: [] for name in CAMERAS})
    states: list[np.ndarray] = field(default_factory=list)
    actions: list[np.ndarray] = field(default_factory=list)

    def add(self, images: dict[str, np.ndarray], state: np.ndarray, action: np.ndarray) -> None:
        """An arm without one of the cameras keeps an empty array for it."""
        for name, role in CAMERAS.items():
            if role in images:
                self.images[name].append(images[role])
        self.states.append(state)
        self.actions.append(action)

    def __len__(self) -> int:
        return len(self.states)

    def save(self, data: Path, name: str) -> Path | None:
        """The file; None (and nothing written) for an episode too short to learn from."""
        if len(self) < LEAST_FRAMES:
            return None
        stamp = datetime.datetime.now().strftime("%Y%m%d_%H%M%S_%f")
        arrays = {key: _stacked(frames) for key, frames in self.images.items()}
        target = io.BytesIO()
        np.savez_compressed(
            target,
            **arrays,  # type: ignore[arg-type]
            states=np.stack(self.states).astype(np.float32),
            actions=np.stack(self.actions).astype(np.float32),
            task=np.array(self.task),
            collection_frequency=np.array(self.frequency_hz),
        )
        path = data / EPISODES_FOLDER / f"{name}_libero_{stamp}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, target.getvalue())
        return path


def require_place(data: Path) -> None:
    """Raises ValueError where episodes cannot be written, before somebody records one."""
    folder = data / EPISODES_FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        clear_leftovers(folder)
        probe = folder / ".probe"
        write_bytes(probe, b"")
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ValueError(f"{folder}: episodes cannot be written there ({reason}); give another folder") from error


def _stacked(frames: list[np.ndarray]) -> np.ndarray:
    return np.stack(frames) if frames else np.zeros((0, 0, 0, 3), np.uint8)
