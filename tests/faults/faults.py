"""Known ways to 0 % success. Each is injected into a good run and must be caught before the expensive stage.

A fault is a function of the good run (and of a simulator) that returns the sentences that the catcher says, or raises
the error that the user would see.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from pirig.config.load import compose, of_run
from pirig.contract import TaskScene, require_equal
from pirig.datasets.norm_stats import compute
from pirig.evaluation.drivers import PolicyDriver
from pirig.evaluation.seeds import held_out_scenes, step_limit
from pirig.gates import images, numbers, policy, simulated
from pirig.models.layout import init_params
from pirig.policies.assets import card_of
from pirig.policies.policy import Policy
from pirig.training.optimizer import lora_trainable
from pirig.transforms.images import RESIZES, resize_with_pad
from pirig.transforms.normalize import NormStats
from pirig.weights.load import require_supplied
from pirig.weights.match import require_fits, shapes_of


@dataclass(frozen=True)
class Fault:
    what: str  # what somebody did wrong
    caught_by: str  # "contract", "gate NAME", "config", ...
    before: str  # the stage that it would have wasted
    words: str  # a pattern that the message must hold
    inject: Callable[..., list[str] | None]


FAULTS: list[Fault] = []


def fault(what: str, caught_by: str, before: str, words: str) -> Callable:
    def register(inject: Callable) -> Callable:
        FAULTS.append(Fault(what, caught_by, before, words, inject))
        return inject

    return register


def with_frames(dataset: Any, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    """The data set with every image changed."""
    image = type(dataset).image
    dataset.image = lambda role, index: change(image(dataset, role, index))
    return dataset


def against_contract(good: Any, **changes: Any) -> None:
    """The gate at the head of every stage."""
    other = dataclasses.replace(good.contract, **changes)
    require_equal(other, good.contract, our_name="this run", their_name="checkpoint")


for _what, _words, _changes in (
    ("control rate 10 instead of 20 Hz", "control_hz: 10 != 20", {"control_hz": 10}),
    ("simulation at 500 instead of 100 Hz", "sim_hz: 500 != 100", {"sim_hz": 500}),
    ("another control mode", "pd_joint_delta_pos", {"control_mode": "pd_joint_delta_pos"}),
    ("another shader", "shader: 'rt' != 'default'", {"shader": "rt"}),
    ("panda for panda_wristcam", "panda_wristcam", {"robot_uid": "panda_wristcam"}),
    ("GPU for CPU physics", "physx_cuda", {"sim_backend": "physx_cuda"}),
    (
        "the prompt of another task",
        "prompt: 'Pull",
        {"scenes": (TaskScene("PushCube-v1", "Pull a cube onto a target."),)},
    ),
    ("images at another size in the model", "image_px: 64", {"image_px": 64}),
    ("another state recipe", "goal_pos", {"state": ("qpos8", "goal_pos"), "state_dim": 11}),
):

    @fault(_what, "contract", "eval", _words)
    def _contract_fault(good: Any, pool: Any, changes: dict = _changes) -> None:
        against_contract(good, **changes)


@fault("BGR images", "gate first_frame", "train", "base_0_rgb.*BGR")
def bgr(good: Any, pool: Any) -> list[str]:
    return simulated.first_frame(with_frames(good.open_dataset(), lambda image: image[..., ::-1]), pool)


@fault("a camera mirrored or moved", "gate first_frame", "train", "another camera pose")
def mirrored(good: Any, pool: Any) -> list[str]:
    return simulated.first_frame(with_frames(good.open_dataset(), lambda image: image[:, ::-1]), pool)


@fault("wrist and base camera swapped", "gate first_frame", "train", "cameras are swapped")
def swapped(good: Any, pool: Any) -> list[str]:
    dataset = good.open_dataset()
    base = dataset.image("base_0_rgb", 0)
    pool.start(0, dataset.seeds[0], look=True)
    ((_, answer),) = pool.next_ready([0])
    wrist = np.rot90(base).copy()
    recorded = {"base_0_rgb": wrist, "left_wrist_0_rgb": base}
    rendered = {"base_0_rgb": base, "left_wrist_0_rgb": wrist}
    both = _Frames(dataset, recorded)
    return simulated.pixels(both, dataclasses.replace(answer.observation, images=rendered), 0)


class _Frames:
    has_films = False

    def __init__(self, dataset: Any, frames: dict[str, np.ndarray]):
        self.contract, self.roles, self.frames = dataset.contract, list(frames), frames

    def image(self, role: str, index: int) -> np.ndarray:
        return self.frames[role]

    def as_kept(self, role: str, image: np.ndarray) -> np.ndarray:
        return image


@fault("another seed's frames (scenes and seeds out of step)", "gate first_frame", "train", "first frame")
def out_of_step(good: Any, pool: Any) -> list[str]:
    dataset = good.open_dataset()
    dataset.seeds = [seed + 5000 for seed in dataset.seeds]
    found = simulated.first_frame(dataset, pool)
    return found or simulated.replay(dataset, good.pipeline, pool, 2)


@fault("actions of another episode or control mode", "gate demo_replay", "train", "0 of 2 episodes succeed")
def wrong_actions(good: Any, pool: Any) -> list[str]:
    dataset = good.open_dataset()
    dataset.actions = -dataset.actions
    return simulated.replay(dataset, good.pipeline, pool, 2)


@fault("images of another size in the data set", "gate image_size", "train", "64 x 64 px")
def small_images(good: Any, pool: Any) -> list[str]:
    return images.sizes(with_frames(good.open_dataset(), lambda image: image[::2, ::2]))


@fault("float images scaled twice", "gate images", "train", "scaled twice")
def scaled_twice(good: Any, pool: Any) -> list[str]:
    return images.shown(with_frames(good.open_dataset(), lambda image: (image / 255.0).astype(np.uint8)))


@fault("a black image marked valid", "gate images", "train", "one flat colour")
def black(good: Any, pool: Any) -> list[str]:
    return images.shown(with_frames(good.open_dataset(), lambda image: np.zeros_like(image) + 3))


@fault("a camera that stands still on one frame", "gate images", "train", "same picture")
def frozen_camera(good: Any, pool: Any) -> list[str]:
    first = good.open_dataset().image("base_0_rgb", 0)
    return images.shown(with_frames(good.open_dataset(), lambda image: first))


def _shifted(stats: dict[str, NormStats], **changes: Callable) -> dict[str, NormStats]:
    entry = stats["state"]
    changed = {name: change(np.array(getattr(entry, name))) for name, change in changes.items()}
    return {**stats, "state": dataclasses.replace(entry, **changed)}


@fault("norm stats of another task", "gate statistics", "train", "not this data set's.*run `pirig stats`")
def foreign_stats(good: Any, pool: Any) -> list[str]:
    return numbers.statistics(good.open_dataset(), _shifted(good.stats, q01=lambda q: q - 0.5), "quantile")


@fault("padding to 32 before normalising", "gate statistics", "train", "32 numbers.*after padding")
def padded_stats(good: Any, pool: Any) -> list[str]:
    wide = {name: (lambda q: np.concatenate([q, np.zeros(32 - len(q))])) for name in ("mean", "std", "q01", "q99")}
    return numbers.statistics(good.open_dataset(), _shifted(good.stats, **wide), "quantile")


@fault("NaN in the statistics of a constant number", "gate statistics", "train", "not finite")
def nan_stats(good: Any, pool: Any) -> list[str]:
    spoiled = _shifted(good.stats, std=lambda q: np.where(np.arange(len(q)) == 7, np.nan, q))
    return numbers.statistics(good.open_dataset(), spoiled, "quantile")


def _relative(good: Any) -> tuple[Any, dict[str, NormStats]]:
    """The pipeline with six numbers relative to the state, and the data set's statistics of those."""
    pipeline = dataclasses.replace(good.pipeline, relative_to_state=(6, -1))
    pipeline = dataclasses.replace(pipeline, stats=compute(good.open_dataset(), (), pipeline.relative))
    return pipeline, pipeline.stats


@fault("statistics of relative actions under absolute ones", "gate statistics", "train", "of actions are not this data")
def relative_stats(good: Any, pool: Any) -> list[str]:
    return numbers.statistics(good.open_dataset(), _relative(good)[1], "quantile")


@fault("relative actions executed without the state", "gate transforms", "eval", "action number .* relative to")
def state_not_added(good: Any, pool: Any) -> list[str]:
    pipeline, _ = _relative(good)
    card = card_of(pipeline, good.open_dataset())
    assert not policy.transforms(pipeline, card)
    return policy.transforms(dataclasses.replace(pipeline, relative_to_state=()), card)


@fault("NaN actions in the data set", "gate finite", "train", "actions holds 1 NaN")
def nan_actions(good: Any, pool: Any) -> list[str]:
    dataset = good.open_dataset()
    dataset.actions = dataset.actions.copy()
    dataset.actions[3, 2] = np.nan
    return numbers.finite(dataset)


@fault("z-score where the model was trained on quantiles", "gate transforms", "eval", "state number .* training saw")
def zscore(good: Any, pool: Any) -> list[str]:
    return policy.transforms(dataclasses.replace(good.pipeline, normalization="zscore"), good.card)


@fault("statistics made again under an old checkpoint", "gate transforms", "eval", "norm stats.*changed")
def stats_under_checkpoint(good: Any, pool: Any) -> list[str]:
    changed = _shifted(good.stats, q99=lambda q: q + 0.1)
    return policy.transforms(dataclasses.replace(good.pipeline, stats=changed), good.card)


@fault("state dropped in pi0.5", "gate state_reaches_model", "train", "cannot feel its joints")
def state_dropped(good: Any, pool: Any) -> list[str]:
    return policy.state_reaches_model(dataclasses.replace(good.pipeline, state_in_prompt=False))


@fault("another resize than the checkpoint was trained with", "gate transforms", "eval", "test picture.*the resize")
def other_resize(good: Any, pool: Any) -> list[str]:
    with mock.patch.dict(RESIZES, pad=lambda image, px: resize_with_pad(image[..., ::-1, :, :], px)):
        return policy.transforms(good.pipeline, good.card)


@fault("another horizon asked of a checkpoint than it has", "gate chunk", "eval", "horizon=10.*with horizon 16")
def horizon(good: Any, pool: Any) -> list[str]:
    return policy.chunk(good.pipeline, of_run(good.folder, ["horizon.steps=10"]))


@fault("more steps executed than the chunk holds", "evaluation", "eval", r"eval\.execute=17.*16 steps")
def execute_too_many(good: Any, pool: Any) -> None:
    import jax

    params = init_params(jax.random.key(0), good.pipeline.model_config)
    PolicyDriver(Policy(params, good.pipeline, flow_steps=1, batch_size=1), execute=17, noise_seed=0)


@fault("gripper sign turned round", "gate gripper", "train", "wrong sign|turned round")
def gripper_sign(good: Any, pool: Any) -> list[str]:
    dataset = good.open_dataset()
    dataset.actions = dataset.actions * np.array([1, 1, 1, 1, 1, 1, -1], np.float32)
    return numbers.gripper(dataset)


@fault("state without the gripper", "gate gripper_state", "train", "does not hold its fingers")
def no_fingers(good: Any, pool: Any) -> list[str]:
    dataset = good.open_dataset()
    dataset.contract = dataclasses.replace(dataset.contract, state=("tcp_pose",), state_dim=7)
    dataset.actions = dataset.actions.copy()
    dataset.actions[::2, -1] = 1.0
    return numbers.state_has_gripper(dataset)


@fault("absolute joint targets taken for deltas", "gate actions", "train", "takes -1 to 1")
def absolute(good: Any, pool: Any) -> list[str]:
    dataset = good.open_dataset()
    dataset.actions = dataset.actions * 2.9
    return numbers.actions(dataset)


@fault("two episodes joined by a replay that failed between", "gate episodes", "train", "joined into one")
def joined(good: Any, pool: Any) -> list[str]:
    dataset = good.open_dataset()
    dataset.state = dataset.state.copy()
    middle = dataset.lengths[0] // 2
    dataset.state[:middle, 3] += 0.9
    return numbers.episodes(dataset)


@fault("a joint angle that wraps", "gate episodes", "train", "wraps")
def wrapped(good: Any, pool: Any) -> list[str]:
    dataset = good.open_dataset()
    dataset.state = dataset.state.copy()
    dataset.state[: dataset.lengths[0] // 2, 6] += 2 * np.pi
    return numbers.episodes(dataset)


@fault("one seed for all episodes", "gate seeds", "train", "share their seed")
def one_seed(good: Any, pool: Any) -> list[str]:
    dataset = good.open_dataset()
    dataset.seeds = [42] * len(dataset.seeds)
    return numbers.seeds(dataset)


@fault("evaluation on the demos' seeds", "evaluation", "eval", r"demos were recorded from.*eval\.first_seed")
def training_seeds(good: Any, pool: Any) -> None:
    held_out_scenes(good.card.demo_seeds[0], 10, good.card.demo_seeds)


@fault("step limit 50 where demos need 60", "evaluation", "eval", r"eval\.max_steps=50 is shorter")
def short_limit(good: Any, pool: Any) -> None:
    step_limit(50, 1.5, good.card.demo_lengths)


@fault("a goal that no camera shows", "config", "demos", "no camera shows this task's goal")
def hidden_goal(good: Any, pool: Any) -> None:
    compose(["task=pick_cube", "state=joints"])


@fault("horizon longer than the demos", "config", "demos", "horizon=50.*choose a horizon")
def long_horizon(good: Any, pool: Any) -> None:
    compose(["task=push_cube", "horizon=50"])


@fault("other settings under a finished run", "run folder", "train", "keeps the groups that made it")
def changed_group(good: Any, pool: Any) -> None:
    of_run(good.folder, ["horizon=10"])


@fault("pi0 weights in pi0.5", "weights", "train", "these are pi0 weights.*time_mlp_in")
def pi0_in_pi05(good: Any, pool: Any) -> None:
    import jax

    wanted = good.pipeline.model_config
    shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), dataclasses.replace(wanted, pi05=False)))
    require_fits(shapes_of(shapes), wanted, "weights/pi0_base")


@fault("a frozen base that no checkpoint supplied", "weights", "train", "frozen")
def random_base(good: Any, pool: Any) -> None:
    import jax

    shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), good.pipeline.model_config))
    require_supplied(frozenset(), lora_trainable(shapes, vlm_lora=True, expert_lora=False))
