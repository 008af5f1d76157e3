"""npz episodes as a lab records them on a Kinova Gen3, and as they go wrong."""

from pathlib import Path

import numpy as np

from tests.datasets.kinova_recordings import BASE, FPS, PROMPT, WRIST, make_recording

COLUMNS = {"agent_images": BASE, "wrist_images": WRIST, "states": "observation.state", "actions": "action"}


def arrays_of(seed: int, steps: int = 24, task: str = PROMPT, fps: float = FPS) -> dict[str, np.ndarray]:
    """The same numbers and pictures as `make_recording`, by the keys of such a file."""
    told = make_recording(seed, steps)
    held = {key: told[column] for key, column in COLUMNS.items()}
    return held | {"task": np.array(task), "collection_frequency": np.array(fps)}


def write_episodes(root: Path, episodes=None, *, day: str = "20260105") -> Path:
    """Each day's in a folder of its own below data/, as the lab has them; `episodes`: three good ones without it."""
    episodes = [arrays_of(seed) for seed in range(3)] if episodes is None else episodes
    folder = root / "data" / day / "libero_format"
    folder.mkdir(parents=True, exist_ok=True)
    for number, arrays in enumerate(episodes):
        np.savez_compressed(folder / f"grab_libero_{day}_{number:06d}.npz", **arrays)
    return root / "data"
