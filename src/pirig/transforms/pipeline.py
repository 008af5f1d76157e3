"""The one ordered pipeline between raw numbers and the model's numbers, for training, evaluation and serving alike.

Order (openpi's): state recipe, actions relative to the state where the config says so, normalise, tokenise (pi0.5 reads
the normalised, unpadded state), pad. Images are resized once when the frame cache or the policy takes them in
(`transforms/images.py`) and become float inside the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
from jaxtyping import Float, Float32

from pirig.contract import Contract, source_of
from pirig.transforms.images import pixels_digest
from pirig.transforms.normalize import NormStats, by_row, normalize, unnormalize
from pirig.transforms.pad import pad_last
from pirig.transforms.relative import Relative, absolute, mask_of, relative

if TYPE_CHECKING:
    from pirig.transforms.tokenizer import Tokenizer


class FitsModel(Protocol):
    """What the numbers must fit of a model, whatever else its config holds."""

    @property
    def pi05(self) -> bool:
        """Whether the state is read from the prompt only, so that it may be wider than the actions."""
        ...

    @property
    def action_dim(self) -> int:
        """Padded width of an action (and, but in pi0.5, of the state)."""
        ...

    @property
    def action_horizon(self) -> int:
        """Steps of a chunk."""
        ...


ModelConfig = TypeVar("ModelConfig", bound=FitsModel)


@dataclass(frozen=True)
class Pipeline(Generic[ModelConfig]):
    """`stats` holds "state" and "actions" of the unpadded numbers; `normalization` is "zscore" or "quantile".

    `relative_to_state`: which numbers of an action the model learns as differences from the state (see Relative); ()
    for none. Then `stats` are those of the differences.
    `stats_of`: of a mix whose tasks are normalised each by its own numbers, `stats` by task; then `stats` is empty, and the
    functions of rows need `tasks`, the name of each row's. `least_tokens`: see `of_task`.
    """

    contract: Contract
    model_config: ModelConfig
    normalization: str
    state_in_prompt: bool
    stats: dict[str, NormStats]
    tokenizer: Tokenizer
    relative_to_state: tuple[int, ...] = ()
    stats_of: Mapping[str, dict[str, NormStats]] = field(default_factory=dict)
    least_tokens: int = 0

    def of_task(self, task: str) -> Pipeline[ModelConfig]:
        """What it does with one task of a mix, as if there were no other; prompts are as long as the mix needs, so that one
        compiled program serves all tasks. `task` "": itself."""
        if not task:
            return self
        stats = self.stats_of[source_of(task)] if self.stats_of else self.stats
        contract, tokens = self.contract.of_task(task), self.prompt_length()
        return replace(self, contract=contract, stats=stats, stats_of={}, least_tokens=tokens)

    def _stats(self, name: str, rows: np.ndarray, tasks: Sequence[str] | None) -> NormStats:
        """Of "state" or "actions", as `rows` [B, ..., n] need them. Raises ValueError where a row's task is not known."""
        if not self.stats_of:
            return self.stats[name]
        tasks = [source_of(task) for task in tasks or [""]]
        unknown = sorted(set(tasks) - set(self.stats_of))
        if unknown:
            raise ValueError(
                f"this policy normalises each task by its own statistics (mix.norm_stats=per_source), and a request names "
                f"{unknown[0] or 'none'}: expected one of {', '.join(self.stats_of)}"
            )
        return by_row({task: stats[name] for task, stats in self.stats_of.items()}, tasks, rows.ndim)

    @property
    def relative(self) -> Relative | None:
        return Relative(self.relative_to_state, self.model_config.action_horizon) if self.relative_to_state else None

    def model_inputs(
        self,
        state_raw: np.ndarray,
        prompts: Sequence[str] | None = None,
        *,
        tasks: Sequence[str] | None = None,
        noise: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """[B, state_dim] -> state f32 [B, J] normalised and padded, tokens i32 [B, L], token mask bool [B, L].

        `prompts`: a sentence per row; None: the contract's own, of which there must be one. pi0.5 reads the state in its
        prompt only, so there it may be wider than J. `noise` [B, state_dim], in normalised units, is added to the state
        (training only).
        """
        if state_raw.shape[-1] != self.contract.state_dim:
            raise ValueError(f"state has {state_raw.shape[-1]} numbers, the contract says {self.contract.state_dim}")
        stats = self._stats("state", state_raw, tasks)
        state = normalize(state_raw, stats, self.normalization).astype(np.float32)
        if noise is not None:
            state = state + noise
        prompts = [self.contract.prompt] * len(state) if prompts is None else prompts
        if self.state_in_prompt:
            encoded = [self.tokenizer.encode(prompt, row) for prompt, row in zip(prompts, state, strict=True)]
        else:
            by_prompt = {prompt: self.tokenizer.encode(prompt, None) for prompt in dict.fromkeys(prompts)}
            encoded = [by_prompt[prompt] for prompt, _ in zip(prompts, state, strict=True)]
        tokens = np.stack([row for row, _ in encoded]).astype(np.int32)
        mask = np.stack([row for _, row in encoded])
        least = self.contract.state_dim if self.model_config.pi05 else 0
        return pad_last(state, max(self.model_config.action_dim, least)), tokens, mask

    def probe(self, state_raw: np.ndarray, action_raw: np.ndarray) -> dict[str, Any]:
        """One frame's numbers on every side of the pipeline, [state_dim] and [action_dim], of a mix with the first task's
        prompt, and a digest of test pictures' pixels.

        Kept with the weights, so that whoever serves them can show that the transforms are still the same.
        """
        first = self.contract.scenes[0]
        state, tokens, mask = self.model_inputs(state_raw[None], [first.prompt], tasks=[first.task])
        action = self.model_actions(action_raw[None, None], state_raw[None], [first.task])
        return {
            "state_raw": state_raw.tolist(),
            "action_raw": action_raw.tolist(),
            "state": state[0].tolist(),
            "tokens": tokens[0][mask[0]].tolist(),
            "action": action[0, 0].tolist(),
            "env_action": self.env_actions(action, state_raw[None], [first.task])[0, 0].tolist(),
            "pixels": pixels_digest(self.contract.image_px, self.contract.resize),
        }

    def prompt_length(self) -> int:
        """Tokens [L] that the contract's prompts need with any state: the longest of the states -2, -1, ... 2."""
        values = (-2, -1, -0.5, 0, 0.5, 1, 2) if self.state_in_prompt else ()
        states: list[np.ndarray | None] = [np.full(self.contract.state_dim, value, np.float32) for value in values]
        prompts = dict.fromkeys(scene.prompt for scene in self.contract.scenes)
        states = states or [None]
        needed = (int(self.tokenizer.encode(prompt, state)[1].sum()) for prompt in prompts for state in states)
        return max(self.least_tokens, *needed)

    def model_actions(
        self,
        actions_raw: Float[np.ndarray, "*lead action_horizon action_dim"],
        state_raw: Float[np.ndarray, "*lead state_dim"],
        tasks: Sequence[str] | None = None,
    ) -> Float32[np.ndarray, "*lead action_horizon {self.model_config.action_dim}"]:
        """Chunks in the arm's units and the states at their first frames -> as the model learns them, padded."""
        return self._model_numbers(self.learned(actions_raw, state_raw), np.float32, tasks)

    def env_actions(
        self,
        model_actions: Float[np.ndarray, "*lead action_horizon model_dim"],
        state_raw: Float[np.ndarray, "*lead state_dim"],
        tasks: Sequence[str] | None = None,
    ) -> Float32[np.ndarray, "*lead action_horizon {self.contract.action_dim}"]:
        """The model's chunks in the arm's units (padding dropped, nothing clipped).

        `state_raw`: of the observation that each chunk answers.
        """
        cut = np.asarray(model_actions)[..., : self.contract.action_dim]
        actions = unnormalize(cut, self._stats("actions", cut, tasks), self.normalization)
        return absolute(actions, state_raw, mask_of(self.relative_to_state)).astype(np.float32)

    def learned(self, actions_raw: np.ndarray, state_raw: np.ndarray) -> np.ndarray:
        """Chunks as the model learns them, still in the arm's units: relative to the state, or as they are."""
        return relative(actions_raw, state_raw, mask_of(self.relative_to_state))

    def action_rows(
        self, actions_raw: np.ndarray, state_raw: np.ndarray, tasks: Sequence[str] | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Rows [N, action_dim], [N, state_dim] -> (rows [N, J], starts [N, J] or None).

        rows[t : t + A] - starts[t] is `model_actions` of the chunk at t, since normalising is affine; f64, for the two
        are large and their difference is not. Without relative numbers the rows, f32, are the chunk.
        """
        if not self.relative_to_state:
            return self._model_numbers(actions_raw, np.float32, tasks), None
        still = np.zeros((len(state_raw), 1, self.contract.action_dim))
        moved = self._model_numbers(self.learned(still, state_raw), np.float64, tasks)
        starts = self._model_numbers(still, np.float64, tasks) - moved
        return self._model_numbers(actions_raw, np.float64, tasks), starts[:, 0]

    def _model_numbers(self, actions: np.ndarray, dtype: type, tasks: Sequence[str] | None) -> np.ndarray:
        normalised = normalize(actions, self._stats("actions", actions, tasks), self.normalization)
        return pad_last(normalised.astype(dtype), self.model_config.action_dim)
