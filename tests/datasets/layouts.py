"""Small recordings with the keys and widths of the data sets that people have, by the name of their preset in conf/data."""

import numpy as np

from tests.datasets.kinova_recordings import PROMPT, _film, make_recording

LAB_PX = 32


def moving(seed: int, steps: int, width: int, grippers=()) -> np.ndarray:
    """[steps + 1, width]: smooth numbers, those of `grippers` going from 0 to 1."""
    rng = np.random.default_rng(seed)
    time = np.arange(steps + 1)[:, None] / steps
    numbers = rng.uniform(-0.5, 0.5, width) + 0.4 * np.sin(2 * time + rng.uniform(0, 6, width))
    numbers[:, list(grippers)] = 1 / (1 + np.exp(-20 * (time - 0.5)))
    return numbers.astype(np.float32)


def libero(seed: int, steps: int) -> dict[str, np.ndarray]:
    told = moving(seed, steps, 7)[1:]
    told[:, 6] = np.sign(told[:, 6] + 0.01)
    pictures = {"image": _film(seed, steps), "wrist_image": _film(seed + 50, steps)}
    return {**pictures, "state": moving(seed + 9, steps, 8)[:-1], "actions": np.clip(told, -1, 1)}


def droid(seed: int, steps: int) -> dict[str, np.ndarray]:
    told, numbers = moving(seed, steps, 8, [7]), moving(seed + 9, steps, 8, [7])
    return {
        "exterior_image_1_left": _film(seed, steps),
        "exterior_image_2_left": _film(seed + 20, steps),
        "wrist_image_left": _film(seed + 50, steps),
        "joint_position": numbers[:-1, :7],
        "gripper_position": numbers[:-1, 7:],
        "actions": told[1:],
    }


def aloha(seed: int, steps: int) -> dict[str, np.ndarray]:
    numbers = moving(seed, steps, 14, [6, 13])
    numbers[:, [6, 13]] = 1 - numbers[:, [6, 13]]  # open where an episode starts
    names = ("cam_high", "cam_left_wrist", "cam_right_wrist")
    pictures = {f"observation.images.{name}": _film(seed + 30 * place, steps) for place, name in enumerate(names)}
    return {**pictures, "observation.state": numbers[:-1], "action": numbers[1:]}


def kinova(seed: int, steps: int) -> dict[str, np.ndarray]:
    return make_recording(seed, steps)


def lab(seed: int, steps: int) -> dict[str, np.ndarray]:
    """As their converter wrote it: square pictures, zeros for the wrist."""
    state, told = moving(seed, steps, 8)[:-1], moving(seed + 9, steps, 7)[1:]
    state[:, 7] = 0.02 + 0.02 * np.linspace(0, 1, steps)
    told[:, 6] = 1
    picture = _film(seed, steps)[:, :LAB_PX, :LAB_PX]
    return {"image": picture, "wrist_image": np.zeros_like(picture), "state": state, "actions": told}


def ours(seed: int, steps: int) -> dict[str, np.ndarray]:
    told = lab(seed, steps)
    names = {"image": "observation.images.base_0_rgb", "state": "observation.state", "actions": "action"}
    return {name: told[key] for key, name in names.items()}


LAYOUTS = {"libero": libero, "droid": droid, "aloha": aloha, "kinova": kinova, "lab": lab, "ours": ours}
FPS = {"droid": 15, "aloha": 50, "ours": 20}
ROBOTS = {"libero": "panda", "droid": "panda", "aloha": "aloha", "lab": "panda", "ours": "panda"}
WORDS = {
    "aloha": ["size.action_dim=14"],
    "lab": ["task=push_cube", f"camera.resolution_px={LAB_PX}"],
    "ours": ["task=push_cube", f"camera.resolution_px={LAB_PX}"],
}


def episodes_of(name: str, count: int = 3, steps: int = 14) -> list[dict[str, np.ndarray]]:
    return [LAYOUTS[name](seed, steps) for seed in range(count)]


def settings_of(name: str) -> dict:
    """For `write_recording`."""
    sentences = ["put the bowl away", "open the drawer", "put the bowl away"] if name == "libero" else PROMPT
    return {"fps": FPS.get(name, 10), "robot": ROBOTS.get(name, "kinova_gen3"), "task": sentences}


__all__ = ["FPS", "LAYOUTS", "WORDS", "episodes_of", "settings_of"]
