"""Input parity: what evaluation feeds the model for a recorded frame's simulator state, against what training fed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pirig.datasets.joined import prompts_of
from pirig.datasets.lerobot.read import Dataset
from pirig.diagnosis.evidence import Parity
from pirig.evaluation.workers import Pool
from pirig.policies.policy import Policy
from pirig.sim.door import Observation


def measure(
    pool: Pool, policy: Policy, dataset: Dataset, images: Mapping[str, np.ndarray], episode: int
) -> list[Parity]:
    """At the episode's first frame, and after replaying half of its actions. `images`: training's frame cache."""
    compared = []
    for step in (0, dataset.lengths[episode] // 2):
        pool.start(0, dataset.seeds[episode], look=step == 0, state=dataset.starts[episode])
        ((_, answer),) = pool.next_ready([0])
        if step:
            actions = dataset.actions[dataset.episode_rows(episode)][:step]
            pool.run(0, actions, max_steps=2 * dataset.lengths[episode], look=True)
            ((_, answer),) = pool.next_ready([0])
        if answer.observation is not None:  # none where a demo succeeds in its first half
            compared.append(compare(policy, dataset, images, answer.observation, answer.prompt, episode, step))
    return compared


def compare(
    policy: Policy,
    dataset: Dataset,
    images: Mapping[str, np.ndarray],
    observation: Observation,
    prompt: str,
    episode: int,
    step: int,
) -> Parity:
    """The model's input tensors from both sides for frame `step` of an episode; training's as its batches make them.
    `prompt`: what the simulator says there, "" where it has no sentences: then the contract's one."""
    row = dataset.offsets[episode] + step
    pixels, state_raw = policy.raw_inputs([observation])
    fed = policy.model_inputs(pixels, state_raw, [prompt] if prompt else None)
    prompts = prompts_of(dataset)
    state, tokens, mask = policy.pipeline.model_inputs(
        dataset.state[[row]], None if prompts is None else [prompts[row]]
    )
    pictures = {role: (np.asarray(frames[row]), np.asarray(fed.images[role][0])) for role, frames in images.items()}
    apart = np.abs(state_raw[0] - dataset.state[row])
    return Parity(
        seed=dataset.seeds[episode],
        step=step,
        pixels={role: _apart(*both) for role, both in pictures.items()},
        state=float(apart.max()),
        state_number=int(apart.argmax()),
        model_state=float(np.abs(np.asarray(fed.state)[0] - state[0]).max()),
        tokens=_tokens_apart(tokens[0][mask[0]], np.asarray(fed.tokens)[0][np.asarray(fed.token_mask)[0]]),
        pictures=pictures,
    )


def _apart(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    difference = np.abs(ours.astype(np.int16) - theirs.astype(np.int16))
    return float(difference.max()), float(difference.mean())


def _tokens_apart(ours: np.ndarray, theirs: np.ndarray) -> int:
    """How many tokens differ; those that only the longer prompt has count."""
    shared = min(len(ours), len(theirs))
    return int((ours[:shared] != theirs[:shared]).sum()) + abs(len(ours) - len(theirs))
