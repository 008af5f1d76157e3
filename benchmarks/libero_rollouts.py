"""What an evaluated episode of LIBERO costs the CPU, beside openpi's loop: the same scenes, the same actions, in turns.

    python -m benchmarks.libero_rollouts [--task libero_object] [--only 7] [--episodes 3] [--execute 5,10] [--device NAME]

openpi's loop: LIBERO's own environment with both cameras at 256 px, a hard reset, 10 waiting steps, and a frame rendered at
every step, of which one in `execute` is looked at and resized to 224 px. Ours: what a process of the evaluation's pool does. Each
has a process and an environment of its own (OpenGL's contexts do not keep apart in one), opened before anything is counted; the
policy is a seeded draw that costs nothing, so the ratio is the simulator's alone. CPU seconds are that process's, all threads.
That both see the same is asked for every scene. Writes benchmarks/results/libero_rollouts-<device>-<date>.json.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.contract import Contract
from pirig.evaluation.drivers import noise_of
from pirig.evaluation.workers import _opened
from pirig.sim.door import SAME_PIXELS, place_of
from pirig.sim.processes import SimulatorProcess
from pirig.transforms.images import resize_named

FIRST = 100_000  # the first stored initial state
WAIT = np.array([0.0] * 6 + [-1.0])


def drawn(scene: int, chunk: int) -> np.ndarray:
    """f32 [10, 7]: small moves, the hand open; no scene is solved by them, so every episode lasts to its limit."""
    actions = np.clip(0.2 * noise_of(0, scene, chunk, (10, 7)), -1, 1)
    actions[:, -1] = -1.0
    return actions


class OpenpiLoop:
    """One environment, as openpi's examples/libero drives it."""

    def __init__(self, chosen: Any, contract: Contract, look: Callable[[np.ndarray], Any]):
        from libero.libero import get_libero_path
        from libero.libero.envs import OffScreenRenderEnv

        suite, name = contract.env_id.split("/")
        file, states = Path(get_libero_path("bddl_files")), Path(get_libero_path("init_states"))
        with np.load(states / suite / f"{name}.pruned_init.npz") as held:
            self.initial = held["states"]
        self.look, size = look, contract.cameras[0].width_px
        with contextlib.redirect_stdout(io.StringIO()):
            self.env = OffScreenRenderEnv(
                bddl_file_name=str(file / suite / f"{name}.bddl"), camera_heights=size, camera_widths=size
            )
        self.env.seed(7)

    def episode(self, scene: int, execute: int, max_steps: int) -> int:
        self.env.reset()
        shown = self.env.set_init_state(self.initial[scene - FIRST])
        for _ in range(10):
            shown, *_ = self.env.step(WAIT)
        steps, self.first = 0, shown["agentview_image"][::-1, ::-1]
        while steps < max_steps:
            for name in ("agentview_image", "robot0_eye_in_hand_image"):
                self.look(np.ascontiguousarray(shown[name][::-1, ::-1]))
            for action in drawn(scene, steps // execute)[: min(execute, max_steps - steps)]:
                shown, _, done, _ = self.env.step(action.astype(np.float64))
                steps += 1
                if done:
                    return steps
        return steps


class Ours:
    """A process of the evaluation's pool, called in this one."""

    def __init__(self, chosen: Any, contract: Contract, look: Callable[[np.ndarray], Any]):
        self.answer, self.look = _opened(chosen, contract), look
        self.answer(("state", FIRST))

    def episode(self, scene: int, execute: int, max_steps: int) -> int:
        stands: Any = self.answer(("start", scene, True, None))
        self.first = stands.observation.images["base_0_rgb"]
        while not stands.done:
            for image in stands.observation.images.values():
                self.look(image)
            actions = drawn(scene, stands.steps // execute)[:execute]
            stands = self.answer(("run", actions, max_steps, True))
        return stands.steps


def _opened_side(chosen: Any, side: Any, contract: Contract) -> Any:
    resize = resize_named(contract.resize)
    opened = side(chosen, contract, lambda image: resize(image[None], contract.image_px))

    def episode(told: tuple[int, int, int]) -> tuple[dict[str, float], np.ndarray]:
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        steps = opened.episode(*told)
        spent = {"steps": steps, "cpu_s": time.process_time() - cpu_s, "wall_s": time.perf_counter() - wall_s}
        return spent, opened.first

    return episode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="libero_object")
    parser.add_argument("--only", default="7")
    parser.add_argument("--episodes", type=int, default=3)
    parser.add_argument("--execute", default="5,10")
    parser.add_argument("--device", default=report.MACHINE)
    asked = parser.parse_args()
    config = compose(["experiment=libero_published", f"task={asked.task}", f"task.only={asked.only}"])
    contract, limit = contract_of(config), config.eval.max_steps
    place = place_of(contract)
    sides = {
        side.__name__: SimulatorProcess(side.__name__, place, _opened_side, side, contract)
        for side in (Ours, OpenpiLoop)
    }
    rows = []
    for execute in map(int, asked.execute.split(",")):
        for scene in range(FIRST, FIRST + asked.episodes):
            seen = []
            for name, side in sides.items():
                side.send((scene, execute, limit))
                spent, first = side.receive()
                seen.append(np.float32(first))
                rows.append({"way": name, "execute": execute, "scene": scene, **spent})
                report.show(rows[-1])
            apart = np.abs(seen[0] - seen[1]).mean()
            assert apart < SAME_PIXELS, f"scene {scene}: the two do not see the same, {apart:.1f} of 255 apart"
    for side in sides.values():
        side.close()
    ratios = {execute: _ratio(rows, execute) for execute in map(int, asked.execute.split(","))}
    print(ratios)
    what = "CPU seconds of an episode to its limit, no policy; openpi's loop over ours, by steps executed of a chunk"
    found = {"what": what, "task": contract.env_id, "max_steps": limit, "camera_px": contract.cameras[0].width_px}
    report.write(
        "libero_rollouts", asked.device, found | {"ratios": ratios, "rows": rows}, ("robosuite", "mujoco", "numpy")
    )


def _ratio(rows: list[dict[str, Any]], execute: int) -> dict[str, float]:
    median = {
        way: statistics.median(row["cpu_s"] for row in rows if row["way"] == way and row["execute"] == execute)
        for way in ("Ours", "OpenpiLoop")
    }
    return {**median, "ratio": median["OpenpiLoop"] / median["Ours"]}


if __name__ == "__main__":
    main()
