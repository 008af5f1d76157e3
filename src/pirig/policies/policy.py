"""A checkpoint as a policy: observations of the simulator (or of a robot) in, action chunks out, one compiled call."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pirig.config.mixes import PER_SOURCE
from pirig.config.names import ROLES
from pirig.config.places import ASSETS, STATS_FILE, stats_of_task
from pirig.contract import Contract
from pirig.models.bits import as_bits
from pirig.models.flow import ModelInputs
from pirig.models.kinds import flow_model
from pirig.models.sampling import Guide
from pirig.policies.card import PolicyCard
from pirig.policies.tokenizers import saved_tokenizer
from pirig.policies.underway import Underway, guide_of
from pirig.sim.door import Observation
from pirig.transforms.images import resize
from pirig.transforms.normalize import load_norm_stats
from pirig.transforms.pipeline import Pipeline
from pirig.transforms.state import build_state
from pirig.weights.load import load_params, on_device


class Rows(NamedTuple):
    """What a call of a program is asked, as `Policy.predict` takes it, with a sentence for each row."""

    images: dict[str, np.ndarray]
    state_raw: np.ndarray
    noise: np.ndarray
    prompts: np.ndarray
    tasks: np.ndarray | None


class Policy:
    """`infer` takes 1 to `batch_size` observations and gives each the actions that it would have alone, to the last bit.

    On an accelerator every call is padded to `batch_size`, so that one program serves. On a CPU each row goes through a
    program of one row: XLA's matrix product there rounds the last rows of a matrix otherwise than the others, so that a
    row's actions would depend on its place; and where one observation waits, one is computed.
    `noise_shape` is [action horizon, padded action width], `horizon` the number of steps in a chunk of it. `black_cameras`: roles
    beside the contract's that the model is shown as black pictures, taken for valid. `rows_a_call`: of a program.
    """

    def __init__(
        self, params: Any, pipeline: Pipeline, *, flow_steps: int, batch_size: int, black_cameras: Sequence[str] = ()
    ):
        self.pipeline, self.batch_size, self.black_cameras = pipeline, batch_size, tuple(black_cameras)
        config = pipeline.model_config
        self.blends = True  # takes a chunk that is underway
        self.horizon, self.noise_shape = config.action_horizon, (config.action_horizon, config.action_dim)
        self.token_count = pipeline.prompt_length()
        self.rows_a_call = 1 if jax.default_backend() == "cpu" else batch_size
        self.flow_steps = flow_steps
        self.params = as_bits(jax.tree.map(jnp.asarray, params))
        sample_actions = flow_model().sample_actions
        assert sample_actions is not None
        self._sample = jax.jit(
            lambda tree, inputs, noise, guide: sample_actions(
                tree, config, inputs, noise=noise, steps=flow_steps, guide=guide
            )
        )

    def of_task(self, task: str) -> Policy:
        """The same policy for one task of a mix: it needs no prompt and no task. `task` "": itself."""
        other = copy.copy(self)
        other.pipeline = self.pipeline.of_task(task)
        return other

    def infer(
        self,
        observations: Sequence[Observation],
        noise: np.ndarray,
        prompts: Sequence[str] | None = None,
        tasks: Sequence[str] | None = None,
        *,
        underway: Sequence[Underway | None] | None = None,
    ) -> np.ndarray:
        """What a simulator or a robot shows, noise [n, A, J] -> actions f32 [n, A, action_dim].

        Raises ValueError where a camera of the contract is not in the observation.
        """
        return self.predict(*self.raw_inputs(observations), noise, prompts, tasks, underway=underway)

    def predict(
        self,
        images: dict[str, np.ndarray],
        state_raw: np.ndarray,
        noise: np.ndarray,
        prompts: Sequence[str] | None = None,
        tasks: Sequence[str] | None = None,
        *,
        underway: Sequence[Underway | None] | None = None,
    ) -> np.ndarray:
        """Images u8 [n, H, W, 3] of any size per role, state in the contract's units [n, state_dim] -> as `infer`.

        `prompts`: what each row is told; None: its task's sentence, or the contract's own. `tasks`: of a policy of several,
        the name of each row's. `underway`: what each row's chunk goes on from (real-time chunking); None: from nothing. Raises
        ValueError where tasks are needed (`mix.norm_stats=per_source`) and not given, or what is underway does not fit.
        """
        told, named = self._told(prompts, tasks, len(state_raw)), None if tasks is None else np.array(tasks, object)
        before = np.array([None] * len(state_raw) if underway is None else list(underway), object)
        sampled = np.empty((len(state_raw), self.horizon, self.noise_shape[1]), np.float32)
        for rows in self._calls(before):
            shown = {role: pixels[rows] for role, pixels in images.items()}
            asked = Rows(shown, state_raw[rows], noise[rows], told[rows], None if named is None else named[rows])
            sampled[rows] = self._sampled(asked, None if before[rows[0]] is None else list(before[rows]))
        return self.pipeline.env_actions(sampled, state_raw, tasks)

    def _calls(self, before: np.ndarray) -> Iterator[np.ndarray]:
        """The rows of each call of a program: those that go on from a chunk have a program of their own."""
        for guided in (False, True):
            rows = np.flatnonzero([(one is not None) == guided for one in before])
            for part in _slices(len(rows), self.rows_a_call):
                yield rows[part]

    def _told(self, prompts: Sequence[str] | None, tasks: Sequence[str] | None, count: int) -> np.ndarray:
        """A sentence per row, as an array of them."""
        contract = self.pipeline.contract
        if prompts is None:
            prompts = [contract.prompt] * count if tasks is None else [contract.of_task(task).prompt for task in tasks]
        return np.array(list(prompts), object)

    def _sampled(self, rows: Rows, underway: list[Underway] | None) -> np.ndarray:
        """Up to as many rows as the program takes -> the model's own numbers [n, horizon, J]."""
        count, missing = len(rows.state_raw), self.rows_a_call - len(rows.state_raw)
        inputs, noise = self._filled(rows)
        guide = None
        if underway is not None:
            parts = guide_of(self.pipeline, underway, rows.state_raw, None if rows.tasks is None else list(rows.tasks))
            guide = Guide(*(jnp.asarray(_padded(part, missing)) for part in parts))
        return np.asarray(self._sample(self.params, inputs, noise, guide))[:count]

    def _filled(self, rows: Rows) -> tuple[ModelInputs, np.ndarray]:
        """What the model is fed, and f32 noise, with as many rows as the program takes."""
        missing = self.rows_a_call - len(rows.state_raw)
        inputs = self.model_inputs(
            {role: _padded(pixels, missing) for role, pixels in rows.images.items()},
            _padded(rows.state_raw, missing),
            list(_padded(rows.prompts, missing)),
            None if rows.tasks is None else list(_padded(rows.tasks, missing)),
        )
        return inputs, _padded(rows.noise.astype(np.float32), missing)

    def raw_inputs(self, observations: Sequence[Observation]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """As `observed`, by the policy's own contract."""
        return observed(self.pipeline.contract, observations)

    def model_inputs(
        self,
        images: dict[str, np.ndarray],
        state_raw: np.ndarray,
        prompts: Sequence[str] | None = None,
        tasks: Sequence[str] | None = None,
    ) -> ModelInputs:
        """The tensors that the model is fed."""
        contract = self.pipeline.contract
        state, tokens, mask = self.pipeline.model_inputs(state_raw, prompts, tasks=tasks)
        used = max(self.token_count, int(mask.sum(axis=1).max()))
        shown = {role: resize(pixels, contract.image_px, contract.resize) for role, pixels in images.items()}
        shown = self._with_black(shown, (len(state), contract.image_px, contract.image_px, 3))
        return ModelInputs(
            images={role: jnp.asarray(pixels) for role, pixels in shown.items()},
            image_masks={role: jnp.ones(len(state), bool) for role in shown},
            state=jnp.asarray(state),
            tokens=jnp.asarray(tokens[:, :used]),
            token_mask=jnp.asarray(mask[:, :used]),
        )

    def _with_black(self, shown: dict[str, np.ndarray], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """With the black cameras, in openpi's order."""
        if not self.black_cameras:
            return shown
        black = np.zeros(shape, np.uint8)
        together = shown | dict.fromkeys(self.black_cameras, black)
        return {role: together[role] for role in (*ROLES, *shown) if role in together}


def observed(contract: Contract, observations: Sequence[Observation]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Observations -> images u8 [n, H, W, 3] by role and the state by the contract's recipe [n, state_dim].

    Raises ValueError where a camera of the contract is not in an observation.
    """
    images = {}
    for role in (camera.role for camera in contract.cameras):
        missing = next((shown for shown in observations if role not in shown.images), None)
        if missing is not None:
            has = ", ".join(missing.images) or "no image"
            raise ValueError(f"the observation has no image of {role}, the policy looks at it; it has {has}")
        images[role] = np.stack([shown.images[role] for shown in observations])
    names = observations[0].numbers
    stacked = {name: np.stack([shown.numbers[name] for shown in observations]) for name in names}
    return images, build_state(contract.state, stacked, contract.angle_center_rad)


def _slices(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _padded(rows: np.ndarray, count: int) -> np.ndarray:
    """The first row repeated `count` times at the end."""
    return np.concatenate([rows, np.repeat(rows[:1], count, axis=0)])


def load_pipeline(checkpoint: Path) -> Pipeline:
    """The transforms that the checkpoint was trained with: contract, statistics, normalization, tokenizer."""
    card, assets = PolicyCard.load(checkpoint), checkpoint / ASSETS
    contract, apart = Contract.load(assets), card.norm_stats == PER_SOURCE
    tasks = contract.sources if apart else []
    return Pipeline(
        contract=contract,
        model_config=card.model,
        normalization=card.normalization,
        state_in_prompt=card.state_in_prompt,
        relative_to_state=card.relative_to_state,
        stats={} if apart else load_norm_stats(assets / STATS_FILE),
        stats_of={task: load_norm_stats(stats_of_task(assets, task)) for task in tasks},
        tokenizer=saved_tokenizer(assets, card),
    )


def load_policy(checkpoint: Path, *, flow_steps: int, batch_size: int) -> Policy:
    pipeline = load_pipeline(checkpoint)
    params = load_params(checkpoint, pipeline.model_config, place=on_device)
    return Policy(params, pipeline, flow_steps=flow_steps, batch_size=batch_size)
