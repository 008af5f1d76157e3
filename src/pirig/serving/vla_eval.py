"""The same policy for `vla-eval`, allenai's evaluation harness: its benchmarks ask, its server listens, our policy answers.

Its benchmarks name their cameras as they like; `serve.cameras` says which is which role.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pirig.contract import Contract
from pirig.policies.layouts import Shown
from pirig.policies.layouts.parts import numbers, picture, state
from pirig.serving.batches import Predict

try:
    from vla_eval.model_servers.predict import PredictModelServer
    from vla_eval.model_servers.serve import serve_async
    from vla_eval.specs import IMAGE_RGB, LANGUAGE, DimSpec
except ImportError as error:
    raise ValueError("serve.protocol=vla_eval needs the harness: pip install vla-eval") from error


class HarnessServer(PredictModelServer):  # type: ignore[misc]
    """`execute`: actions of a chunk that are carried out before the policy looks again."""

    def __init__(
        self,
        predict: Predict,
        contract: Contract,
        noise_shape: tuple[int, int],
        *,
        cameras: Mapping[str, str],
        execute: int,
        max_batch: int,
        max_wait_s: float,
        seed: int,
    ):
        super().__init__(chunk_size=execute, max_batch_size=max_batch, max_wait_time=max_wait_s)
        self._answer, self._contract, self._noise_shape, self._cameras = predict, contract, noise_shape, dict(cameras)
        self._random = np.random.default_rng(seed)

    def predict_batch(self, obs_batch: Sequence[dict[str, Any]], ctx_batch: Sequence[Any]) -> list[dict[str, Any]]:
        """Raises ValueError that names what does not fit; the harness shows it."""
        looks = [shown(obs, self._contract, self._cameras) for obs in obs_batch]
        noise = self._random.standard_normal((len(looks), *self._noise_shape)).astype(np.float32)
        return [{"actions": chunk} for chunk in self._answer(looks, noise)]

    def get_action_spec(self) -> dict[str, DimSpec]:
        mode, layout = self._contract.control_mode, self._contract.action_layout
        return {"actions": DimSpec("actions", self._contract.action_dim, mode, description=layout)}

    def get_observation_spec(self) -> dict[str, DimSpec]:
        entries = " + ".join(self._contract.state)
        return {"image": IMAGE_RGB, "language": LANGUAGE, "state": DimSpec("state", self._contract.state_dim, entries)}


def shown(obs: Mapping[str, Any], contract: Contract, cameras: Mapping[str, str]) -> Shown:
    """A benchmark's observation (images by camera, state, task_description) as the contract sees it."""
    images = obs.get("images")
    if not isinstance(images, Mapping):
        raise ValueError(f"the benchmark's observation has {', '.join(map(str, obs)) or 'nothing'}, expected images")
    pictures = {}
    for camera in contract.cameras:
        name = name_of(camera.role, images, cameras, len(contract.cameras))
        pictures[camera.role] = picture(images[name], camera, contract, f"images.{name}", channels_first=False)
    if obs.get("state") is None:
        raise ValueError("the benchmark sends no state; ask it for proprioception (its own parameter)")
    numbers_given = [numbers(obs["state"], "state")]
    return Shown(pictures, state(numbers_given, ("state",), contract), str(obs.get("task_description") or "") or None)


def name_of(role: str, images: Mapping[str, Any], cameras: Mapping[str, str], count: int) -> str:
    """The benchmark's name of a camera of ours. Raises ValueError where it cannot be told."""
    chosen = next((name for name, given in cameras.items() if given == role), role)
    if chosen in images:
        return chosen
    if count == 1 and len(images) == 1 and not cameras:
        return next(iter(images))
    raise ValueError(
        f"which of the benchmark's cameras ({', '.join(map(str, images))}) is {role}? Say it: serve.cameras='{{NAME: {role}}}'"
    )


async def listen(server: HarnessServer, host: str, port: int) -> None:
    await serve_async(server, host, port)
