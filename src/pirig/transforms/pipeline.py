"""The one ordered pipeline between raw numbers and the model's numbers, for training, evaluation and serving alike.

Order (openpi's): state recipe, normalise, tokenise (pi0.5 reads the normalised, unpadded state), pad. Images are resized
once when the frame cache or the policy takes them in (`transforms/images.py`) and become float inside the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pirig.contract import Contract
from pirig.transforms.normalize import NormStats, normalize, unnormalize
from pirig.transforms.pad import pad_last

if TYPE_CHECKING:
    from pirig.models.sizes import ModelConfig
    from pirig.models.tokenizer import Tokenizer


@dataclass(frozen=True)
class Pipeline:
    """`stats` holds "state" and "actions" of the unpadded numbers; `normalization` is "zscore" or "quantile"."""

    contract: Contract
    model_config: ModelConfig
    normalization: str
    state_in_prompt: bool
    stats: dict[str, NormStats]
    tokenizer: Tokenizer

    def model_inputs(self, state_raw: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """[B, state_dim] -> state f32 [B, J] normalised and padded, tokens i32 [B, L], token mask bool [B, L].

        pi0.5 reads the state in its prompt only, so there it may be wider than J.
        """
        if state_raw.shape[-1] != self.contract.state_dim:
            raise ValueError(f"state has {state_raw.shape[-1]} numbers, the contract says {self.contract.state_dim}")
        state = normalize(state_raw, self.stats["state"], self.normalization).astype(np.float32)
        if self.state_in_prompt:
            encoded = [self.tokenizer.encode(self.contract.prompt, row) for row in state]
        else:
            encoded = [self.tokenizer.encode(self.contract.prompt, None)] * len(state)
        tokens = np.stack([row for row, _ in encoded]).astype(np.int32)
        mask = np.stack([row for _, row in encoded])
        least = self.contract.state_dim if self.model_config.pi05 else 0
        return pad_last(state, max(self.model_config.action_dim, least)), tokens, mask

    def probe(self, state_raw: np.ndarray, action_raw: np.ndarray) -> dict[str, list]:
        """One frame's numbers on every side of the pipeline: [state_dim], [action_dim] -> lists for JSON.

        Kept with the weights, so that whoever serves them can show that the transforms are still the same.
        """
        state, tokens, mask = self.model_inputs(state_raw[None])
        action = self.model_actions(action_raw[None, None])
        return {
            "state_raw": state_raw.tolist(),
            "action_raw": action_raw.tolist(),
            "state": state[0].tolist(),
            "tokens": tokens[0][mask[0]].tolist(),
            "action": action[0, 0].tolist(),
            "env_action": self.env_actions(action)[0, 0].tolist(),
        }

    def prompt_length(self) -> int:
        """Tokens [L] that the contract's prompt needs with any state: the longest of the states -2, -1, ... 2."""
        if not self.state_in_prompt:
            return int(self.tokenizer.encode(self.contract.prompt, None)[1].sum())
        states = (np.full(self.contract.state_dim, value, np.float32) for value in (-2, -1, -0.5, 0, 0.5, 1, 2))
        return max(int(self.tokenizer.encode(self.contract.prompt, state)[1].sum()) for state in states)

    def model_actions(self, actions_raw: np.ndarray) -> np.ndarray:
        """[..., action_dim] in the simulator's units -> f32 [..., J] normalised and padded."""
        normalised = normalize(actions_raw, self.stats["actions"], self.normalization)
        return pad_last(normalised.astype(np.float32), self.model_config.action_dim)

    def env_actions(self, model_actions: np.ndarray) -> np.ndarray:
        """[..., J] -> f32 [..., action_dim] in the simulator's units (padding dropped, nothing clipped)."""
        cut = np.asarray(model_actions)[..., : self.contract.action_dim]
        return unnormalize(cut, self.stats["actions"], self.normalization).astype(np.float32)
