"""Files of the layout that LIBERO's create_dataset.py writes: one per task, with everything that it puts there."""

import json
from pathlib import Path

import h5py
import numpy as np

from pirig.config.load import compose

TASKS = list(compose(["task=libero_object"]).task.tasks)
XML = '<mujoco><worldbody><body name="stove_main" pos="0.1 0.2 0.9" quat="0 0 0 1"/><body name="plain"/></worldbody></mujoco>'


def write(
    folder: Path, task: str, demos: dict[int, tuple[np.ndarray, np.ndarray, str]], suite: str = "libero_object"
) -> Path:
    """`demos`: by number (actions [T, 7], states [T, k], model XML)."""
    path = folder / f"{task}_demo.hdf5"
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["bddl_file_name"] = f"chiliocosm/bddl_files/{suite}/{task}.bddl"
        data.attrs["env_name"], data.attrs["tag"] = "Libero_Floor_Manipulation", "libero-v1"
        data.attrs["env_args"], data.attrs["macros_image_convention"] = json.dumps({"type": 1}), "opengl"
        data.attrs["problem_info"] = json.dumps({"language_instruction": task.replace("_", " ")})
        data.attrs["num_demos"], data.attrs["total"] = len(demos), sum(len(actions) for actions, _, _ in demos.values())
        for number, (actions, states, model) in demos.items():
            group, steps = data.create_group(f"demo_{number}"), len(actions)
            group.attrs["model_file"], group.attrs["init_state"], group.attrs["num_samples"] = model, states[0], steps
            held = {"actions": actions, "states": states, "robot_states": np.zeros((steps, 9))}
            held |= {"rewards": np.zeros(steps, np.uint8), "dones": np.zeros(steps, np.uint8)}
            widths = {"ee_pos": 3, "ee_ori": 3, "ee_states": 6, "gripper_states": 2, "joint_states": 7}
            held |= {f"obs/{name}": np.zeros((steps, width)) for name, width in widths.items()}
            images = {
                f"obs/{name}": np.zeros((steps, 4, 4, 3), np.uint8) for name in ("agentview_rgb", "eye_in_hand_rgb")
            }
            for name, values in (held | images).items():
                group.create_dataset(name, data=values)
    return path


def drawn(seed: int, steps: int = 5) -> tuple[np.ndarray, np.ndarray, str]:
    draw = np.random.default_rng(seed)
    return draw.uniform(-1.2, 1.2, (steps, 7)), draw.normal(0, 1, (steps, 110)), XML
