"""A small flow model and data set, for tests of the loop that do not need pi0 itself."""

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.config.schema import ScheduleConfig, TrainConfig
from pirig.contract import Camera, Contract, TaskScene
from pirig.models.flow import FlowModel
from pirig.transforms.normalize import NormStats
from pirig.transforms.pipeline import Pipeline

PX, DIM, HORIZON, LENGTHS = 8, 4, 4, [9, 7]


@dataclass(frozen=True)
class LinearConfig:
    pi05: bool = False
    action_dim: int = DIM
    action_horizon: int = HORIZON
    compute_dtype: str = "float32"


class OneToken:
    def encode(self, prompt, state):
        return np.array([1, 0, 0], np.int32), np.array([True, False, False])


def init_params(key, config):
    width = config.action_dim * config.action_horizon
    inputs = 3 * PX * PX + config.action_dim + width + 1
    return {
        "in": {"kernel": jax.random.normal(key, (inputs, 16)) * 0.05, "bias": jnp.zeros(16)},
        "out": {"kernel": jnp.zeros((16, width)), "bias": jnp.zeros(width)},
    }


def encode_images(params, config, inputs):
    """One token a camera: [1, B, 1, 16]."""
    pixels = inputs.images["base_0_rgb"]
    pixels = pixels.reshape(len(pixels), -1)
    return (pixels @ params["in"]["kernel"][: pixels.shape[1]])[None, :, None]


def compute_loss(params, config, inputs, actions, *, noise, flow_time, features=None):
    features = encode_images(params, config, inputs) if features is None else features
    if noise.ndim == 4:  # several draws for the same inputs
        options = {"features": features}
        one = lambda n, t: compute_loss(params, config, inputs, actions, noise=n, flow_time=t, **options)  # noqa: E731
        return jax.vmap(one)(noise, flow_time)
    time = flow_time[:, None, None]
    mixed = (time * noise + (1 - time) * actions).reshape(len(actions), -1)
    numbers = jnp.concatenate([inputs.state, mixed, flow_time[:, None]], axis=1)
    seen = features[0, :, 0] + numbers @ params["in"]["kernel"][3 * PX * PX :]
    hidden = jnp.tanh(seen + params["in"]["bias"])
    velocity = (hidden @ params["out"]["kernel"] + params["out"]["bias"]).reshape(actions.shape)
    return jnp.square(velocity - (noise - actions)).mean(-1)


def draw_noise_and_time(key, shape):
    _, noise_key, time_key = jax.random.split(key, 3)
    return jax.random.normal(noise_key, shape), jax.random.beta(time_key, 1.5, 1, shape[:-2]) * 0.999 + 0.001


MODEL = FlowModel(init_params, compute_loss, draw_noise_and_time, encode_images=encode_images)


class SmallDataset:
    """What training reads of a data set."""

    tasks: tuple[str, ...] = ()  # of one task
    corrections = range(2, 2)  # none

    def __init__(self):
        rng, count = np.random.default_rng(5), sum(LENGTHS)
        self.lengths, self.seeds, self.frame_count = LENGTHS, [0, 1], count
        self.state = rng.normal(size=(count, 3)).astype(np.float32)
        self.actions = rng.normal(size=(count, 3)).astype(np.float32)
        self.frames = {"base_0_rgb": rng.integers(0, 256, (count, PX, PX, 3), dtype=np.uint8)}
        brightness = self.frames["base_0_rgb"].mean(axis=(1, 2)) / 255  # [N, 3]
        self.labels = {"cube_position_m": (0.5 + brightness).astype(np.float32)}


def small_pipeline():
    contract = Contract(
        scenes=(TaskScene("Test-v1", "move"),), robot_uid="panda", control_mode="pd_ee_delta_pose", control_hz=20, sim_hz=100,
        sim_backend="physx_cpu", shader="default", cameras=(Camera("base_0_rgb", "base_camera", PX, PX),),
        state=("tcp",), state_dim=3, action_dim=3, action_layout="xyz", gripper_open=1.0, image_px=PX, fps=20,
    )  # fmt: skip
    stats = {name: NormStats(*(np.array([v] * 3, np.float32) for v in (0, 1, -2, 2))) for name in ("state", "actions")}
    return Pipeline(contract, LinearConfig(), "zscore", False, stats, OneToken())


SCHEDULE = ScheduleConfig(peak_lr=1e-2, final_lr=1e-3, warmup_steps=2)


@pytest.fixture
def small():
    """(pipeline, dataset, frames, model) and settings."""
    dataset = SmallDataset()
    settings = TrainConfig(
        steps=6,
        batch_size=5,
        ema=0.9,
        save_every=100,
        log_every=2,
        shift_px=1,
    )

    @dataclasses.dataclass
    class Small:
        pipeline: Pipeline
        dataset: SmallDataset
        model: FlowModel
        settings: TrainConfig
        schedule: ScheduleConfig

        def train(self, folder, *, resume=False, model=None, **changes):
            from pirig.training.loop import train

            settings, schedule = (
                dataclasses.replace(part, **{key: changes.pop(key) for key in list(changes) if hasattr(part, key)})
                for part in (self.settings, self.schedule)
            )
            options = {"schedule": schedule, "resume": resume, "model": model or self.model, **changes}
            return train(folder, settings, self.pipeline, self.dataset, self.dataset.frames, **options)

    return Small(small_pipeline(), dataset, MODEL, settings, SCHEDULE)
