"""Small episodes with real structure: smooth images that move, joint curves, a gripper that closes."""

from pathlib import Path

import numpy as np

from pirig.contract import Camera, Contract, TaskScene
from pirig.transforms.state import build_state


def make_contract(px: int = 32, roles: tuple[str, ...] = ("base_0_rgb", "left_wrist_0_rgb")) -> Contract:
    return Contract(
        scenes=(TaskScene("PushCube-v1", "push the cube to the goal"),),
        robot_uid="panda_wristcam",
        control_mode="pd_ee_delta_pose",
        control_hz=20,
        sim_hz=100,
        sim_backend="physx_cpu",
        shader="default",
        cameras=tuple(Camera(role, f"sensor_{role}", px, px) for role in roles),
        state=("qpos8", "goal_pos"),
        state_dim=11,
        action_dim=7,
        action_layout="dx dy dz drx dry drz gripper",
        gripper_open=1.0,
        image_px=px,
        fps=20,
    )


def make_episode(seed: int, contract: Contract) -> dict[str, np.ndarray]:
    """The arrays of one episode file of demos, 5 to 9 steps."""
    rng = np.random.default_rng(seed)
    steps = 5 + seed % 5
    episode = {
        "actions": np.clip(rng.normal(0, 0.4, (steps, 7)), -1, 1).astype(np.float32),
        "qpos": rng.normal(0, 1, (steps, 9)).astype(np.float32),
        "goal_pos": np.tile(rng.normal(0, 0.1, 3), (steps, 1)).astype(np.float32),
        "seed": np.int64(seed),
        "success": np.bool_(True),
    }
    for number, camera in enumerate(contract.cameras):
        y, x = np.mgrid[: camera.height_px, : camera.width_px]
        t = np.arange(steps)[:, None, None]
        planes = [x[None] * 3 + 5 * t, y[None] * 3 + seed + 0 * t, (x + y)[None] * 2 + 40 * number + t]
        episode[f"image/{camera.role}"] = np.stack(np.broadcast_arrays(*planes), -1).astype(np.uint8)
    return episode


def write_demos(folder: Path, contract: Contract, seeds) -> Path:
    """A folder as `pirig demos` leaves it."""
    from pirig.demos.manifest import DemosManifest, episode_file, write_episode

    folder.mkdir(parents=True)
    lengths = []
    for seed in seeds:
        episode = make_episode(seed, contract)
        lengths.append(len(episode["actions"]))
        write_episode(episode_file(folder, seed), episode)
    contract.save(folder)
    DemosManifest(len(lengths), len(lengths) + 1, list(seeds), lengths, "test").save(folder)
    return folder


def make_labels(seed: int, contract: Contract) -> dict[str, np.ndarray]:
    """Privileged numbers of the episode: where a cube is."""
    steps = np.arange(len(make_episode(seed, contract)["actions"]), dtype=np.float32)[:, None]
    return {"cube_position_m": steps * [0.1, 0.2, 0.3], "cube_quat_wxyz": np.tile([1, 0, 0, 0], (len(steps), 1))}


def write_dataset(folder: Path, contract: Contract, seeds, labels: bool = False, form=None) -> Path:
    """A data set of these episodes, straight through the writer; `form`: a version and a codec."""
    from pirig.datasets.lerobot.write import USUAL, LeRobotWriter

    with LeRobotWriter(folder, contract, form=form or USUAL) as writer:
        for seed in seeds:
            episode = make_episode(seed, contract)
            images = {camera.role: episode[f"image/{camera.role}"] for camera in contract.cameras}
            known = make_labels(seed, contract) if labels else {}
            known = {name: values.astype(np.float32) for name, values in known.items()}
            writer.add_episode(
                images, build_state(contract.state, episode), episode["actions"], seed=seed, labels=known
            )
        writer.finish({"kept": len(writer.parts), "tried": len(writer.parts) + 1, "source": "test"})
    return folder
