"""Our model's value for each recorded name, computed when first asked for."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pirig.models import pi0
from pirig.models.flow import ModelInputs
from pirig.models.gemma import run_stack
from pirig.models.layout import Tree, flatten
from pirig.models.sizes import ModelConfig
from tests.golden.variant import BF16, Batch

ENDS = re.compile(r"(?P<name>\w+?)_first(?P<first>\d+)(_last(?P<last>\d+))?")
SAMPLE = re.compile(r"sample(_rng(?P<seed>\d+))?_steps(?P<steps>\d+)")
DRAW = re.compile(r"rng(?P<seed>\d+)_(?P<what>noise|time|loss)")


class Ours:
    """One model on one batch. Names are those of model_<variant>_outputs.npz without a bf16 prefix."""

    def __init__(self, params: Tree, config: ModelConfig, batch: Batch):
        self.params, self.config, self.batch = params, config, batch

    def in_bf16(self, *, params: bool) -> Ours:
        """The same model with bfloat16 compute and, where asked, bfloat16 parameters (what serving does)."""
        tree = jax.tree.map(lambda leaf: leaf.astype(BF16), self.params) if params else self.params
        return Ours(tree, replace(self.config, compute_dtype="bfloat16"), self.batch)

    def value(self, name: str) -> np.ndarray | None:
        """None for a name that is not known here."""
        if name == "loss":
            return np.asarray(self._jitted_loss(self.params, self.batch, self.batch.noise, self.batch.flow_time))
        if match := SAMPLE.fullmatch(name):
            return self._sample(int(match["steps"]), match["seed"] and int(match["seed"]))
        if match := DRAW.fullmatch(name):
            return np.asarray(self._draw(int(match["seed"]), match["what"]))
        if name.startswith("gradnorm/"):
            norm = self.grad_norms.get(name.removeprefix("gradnorm/"))
            return None if norm is None else np.asarray(norm)
        if name in self.activations:
            return self.activations[name]
        if match := ENDS.fullmatch(name):
            return self._ends(match["name"], int(match["first"]), match["last"])
        return None

    def valid_rows(self, name: str) -> np.ndarray | None:
        """bool [B, rows]: which rows of a VLM output mean anything. openpi's padding rows attend to everything."""
        if name == "prefix_out":
            return np.asarray(self.activations["prefix_mask"])
        if match := ENDS.fullmatch(name):
            whole = self.valid_rows(match["name"])
            return None if whole is None else _ends(whole, int(match["first"]), int(match["last"] or 0))
        return None

    def _ends(self, name: str, first: int, last: str | None) -> np.ndarray | None:
        """The first rows, and the last ones where named, of an activation; rows are axis 1, of a cache axis 2."""
        if name not in self.activations:
            return None
        return _ends(self.activations[name], first, int(last or 0), axis=2 if name.startswith("kv_") else 1)

    @cached_property
    def activations(self) -> dict[str, np.ndarray]:
        found = jax.jit(_activations, static_argnums=1)(self.params, self.config, self.batch)
        return {name: np.asarray(array) for name, array in found.items()} | _cache_sums(found)

    @cached_property
    def grad_norms(self) -> dict[str, float]:
        """Norm of the gradient of the mean loss, per leaf."""

        @jax.jit
        def norms(params: Tree, batch: Batch) -> Tree:
            grads = jax.grad(lambda p: self._loss(p, batch, batch.noise, batch.flow_time).mean())(params)
            return jax.tree.map(lambda g: jnp.sqrt(jnp.square(g.astype(jnp.float32)).sum()), grads)

        return {path: float(norm) for path, norm in flatten(norms(self.params, self.batch)).items()}

    def global_norm(self, paths: list[str]) -> np.ndarray:
        """Norm over the gradients of `paths` (all where it is empty)."""
        return np.sqrt(sum(self.grad_norms[path] ** 2 for path in paths or self.grad_norms))

    def _loss(self, params: Tree, batch: Batch, noise: jax.Array, flow_time: jax.Array) -> jax.Array:
        return pi0.compute_loss(params, self.config, batch.inputs, batch.actions, noise=noise, flow_time=flow_time)

    @cached_property
    def _jitted_loss(self) -> Any:
        return jax.jit(self._loss)

    def _draw(self, seed: int, what: str) -> jax.Array:
        noise, time = pi0.draw_noise_and_time(jax.random.key(seed), self.batch.actions.shape)
        if what == "loss":
            return self._jitted_loss(self.params, self.batch, noise, time)
        return noise if what == "noise" else time

    def _sample(self, steps: int, seed: int | None) -> np.ndarray:
        noise = self.batch.noise if seed is None else jax.random.normal(jax.random.key(seed), self.batch.noise.shape)
        return np.asarray(self._jitted_sample(self.params, self.batch.inputs, noise=noise, steps=steps))

    @cached_property
    def _jitted_sample(self) -> Any:
        def sample(params: Tree, inputs: ModelInputs, *, noise: jax.Array, steps: int) -> jax.Array:
            return pi0.sample_actions(params, self.config, inputs, noise=noise, steps=steps)

        return jax.jit(sample, static_argnames="steps")


def _ends(array: np.ndarray, first: int, last: int, axis: int = 1) -> np.ndarray:
    rows = np.r_[:first, array.shape[axis] - last : array.shape[axis]]
    return np.take(array, rows, axis=axis)


def _activations(params: Tree, config: ModelConfig, batch: Batch) -> dict[str, jax.Array]:
    """Every activation of one pass at the recorded noise and flow time."""
    inputs, time = batch.inputs, batch.flow_time[:, None, None]
    noisy, times = (time * batch.noise + (1 - time) * batch.actions)[:, None], batch.flow_time[:, None]
    tokens, mask = pi0.embed_prefix(params, config, inputs)
    prefix = pi0.encode_prefix(params, config, inputs)
    suffix_tokens, cond = pi0.embed_suffix(params, config, inputs.state, noisy, times)
    length = suffix_tokens.shape[2]
    suffix_out = pi0.run_suffix(params, config, inputs.state, prefix, noisy, times)
    velocity = pi0.predict_velocity(params, config, inputs.state, prefix, noisy, times)[:, 0]
    found = {
        "x_t": noisy[:, 0],
        "prefix_tokens": tokens,
        "prefix_mask": mask,
        "prefix_ar_mask": jnp.zeros(mask.shape[1], bool),  # one block: encode_prefix masks by validity only
        "prefix_out": prefix.out,
        "suffix_tokens": suffix_tokens[:, 0],
        "suffix_mask": jnp.ones((mask.shape[0], length), bool),
        "suffix_ar_mask": _block_starts(pi0.suffix_mask(config, length)),
        "suffix_out": suffix_out[:, 0],
        "v_t": velocity,
        "kv_k": prefix.cache[0].swapaxes(2, 3),  # [depth, B, P, V, H], as openpi's
        "kv_v": prefix.cache[1].swapaxes(2, 3),
    }
    found |= _places(config, mask, length) | _caches_with_padding(params, config, tokens, mask)
    return found if cond is None else found | {"adarms_cond": cond[:, 0]}


def _block_starts(mask: jax.Array) -> jax.Array:
    """openpi's ar mask [S] from ours [S, S]: True where the token before cannot see this one; the prefix never can."""
    return jnp.concatenate([jnp.ones(1, bool), ~jnp.diagonal(mask, offset=1)])


def _places(config: ModelConfig, prefix_mask: jax.Array, length: int) -> dict[str, jax.Array]:
    """Positions and how many keys each query sees, [B, P + S]; openpi counts 0 for padding."""
    positions, seen = pi0.suffix_attention(config, prefix_mask, 1, length)
    prefix_seen = jnp.where(prefix_mask, prefix_mask.sum(axis=1, keepdims=True), 0)
    return {
        "positions": jnp.concatenate([jnp.cumsum(prefix_mask, axis=1) - 1, positions], axis=1),
        "attn_mask_rowsum": jnp.concatenate([prefix_seen, seen.sum(axis=-1)], axis=1),
    }


def _caches_with_padding(params: Tree, config: ModelConfig, tokens: jax.Array, mask: jax.Array) -> dict[str, jax.Array]:
    """The prefix's cache where padding rows see everything alike, as openpi's do: its sums include those rows."""
    _, cache = run_stack(
        params["PaliGemma"]["llm"],
        config.vlm,
        "",
        tokens[:, None],
        positions=jnp.cumsum(mask, axis=1) - 1,
        mask=mask[:, None, :] & mask[:, :, None],
    )
    return {f"padded_kv_{name}": part.swapaxes(2, 3) for name, part in zip("kv", cache, strict=True)}


def _cache_sums(found: dict[str, jax.Array]) -> dict[str, np.ndarray]:
    """Shapes, and sums over all but layer and batch in float64."""
    sums: dict[str, np.ndarray] = {}
    for name in ("k", "v"):
        whole = np.asarray(found[f"padded_kv_{name}"].astype(jnp.float32))
        sums[f"kv_{name}_shape"] = np.array(whole.shape)
        sums[f"kv_{name}_sum"] = whole.sum(axis=(2, 3, 4), dtype=np.float64)
    return sums
