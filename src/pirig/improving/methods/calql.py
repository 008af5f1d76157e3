"""`improve=calql`: a critic learns from demos and the policy's own episodes; `improve.use` says what is made of it.

best_of: at each look it takes one of several chunks, and nothing trains. fql, residual: a small head acts in the frozen policy's
place, or moves its chunks. weighted: a child trains on the demos' frames, each weighted by how much better the critic values
what was done there than what the policy would do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.places import IMPROVEMENTS
from pirig.config.schema import Config
from pirig.datasets.lerobot.read import Dataset
from pirig.evaluation.target import require_trained_on
from pirig.files.identity import digest_of
from pirig.improving.acting import loaded
from pirig.improving.critic.actor import advantage_weights
from pirig.improving.critic.calibration import Calibration, require_calibrated
from pirig.improving.critic.experience import Experience
from pirig.improving.critic.fit import identity_of
from pirig.improving.critic.fit_heads import fit_one_step, fit_residual
from pirig.improving.critic.learn import learn
from pirig.improving.door import Made, Policy, Round
from pirig.improving.experienced import Source, experience, noise_of
from pirig.improving.foreseen import Draws
from pirig.improving.rollouts import make as rollouts
from pirig.improving.rollouts.make import RolledOut
from pirig.models.critic.learned import Critic
from pirig.models.critic.network import Seen
from pirig.policies.critic_card import CriticCard
from pirig.policies.foresight import Foresight
from pirig.training import sample_weights

BEST_OF, FQL, WEIGHTED = "best_of", "fql", "weighted"
HEAD, WEIGHTS = "head", "weights.npz"  # of a round


class Calql:
    until_level = True

    def arm(self, config: Config) -> str:
        return config.improve.use

    def require(self, policy: Policy) -> None:
        settings = policy.config.improve
        rollouts.require(policy)
        if settings.use == WEIGHTED and settings.critic.demos:
            raise ValueError(
                f"improve.critic.demos={settings.critic.demos} with improve.use=weighted: every frame of the data set gets a "
                "weight; leave improve.critic.demos out."
            )
        if settings.use != WEIGHTED and settings.critic.privileged:
            raise ValueError(
                f"improve.critic.privileged=true with improve.use={settings.use}: such a critic looks at labels, which no "
                "policy is shown where it acts; leave privileged out, or choose improve.use=weighted."
            )

    def settings(self, config: Config) -> dict[str, Any]:
        asked = config.improve
        unsaid = ("save_every", "unskilled")
        critic = {key: value for key, value in dataclasses.asdict(asked.critic).items() if key not in unsaid}
        use = dataclasses.asdict(getattr(asked, asked.use))
        if asked.use not in (BEST_OF, WEIGHTED):
            use |= {key: value for key, value in dataclasses.asdict(asked.head).items() if key not in unsaid}
        limits = {"max_steps": config.eval.max_steps, "step_margin": config.eval.step_margin}
        return {"use": asked.use, asked.use: use, "critic": critic, "first_seed": config.rollouts.first_seed, **limits}

    def make(self, round: Round) -> Made:
        policy = _alone(round.policy)
        config, demos = policy.config, Dataset(policy.places.data_set)
        require_trained_on(policy.checkpoint, demos)
        rolled = rollouts.make(policy, round.number * config.improve.scenes)
        foresight = Foresight(loaded(policy))
        sources = _sources(policy, demos, rolled)
        experience = _experience(policy, sources, foresight)
        folder = critic_folder(policy, experience)
        critic, calibration = learn(experience, config.improve.critic, folder)
        CriticCard(policy.digest, config.eval.execute, config.improve.critic.privileged).save(folder)
        require_calibrated(calibration, config.improve.critic.unskilled)
        facts = _facts(rolled, experience, calibration, folder)
        if config.improve.use == BEST_OF:
            acts = dataclasses.replace(
                config.eval, best_of=config.improve.best_of.samples, critic=str(folder.absolute())
            )
            return Made(dataclasses.replace(config, eval=acts), facts, trains=False)
        if config.improve.use != WEIGHTED:
            made = _head(critic, experience, policy, sources, foresight, round.folder / HEAD)
            acts = dataclasses.replace(config.eval, head=str(made.absolute()))
            return Made(dataclasses.replace(config, eval=acts), {**facts, "head": str(made)}, trains=False)
        file = (round.folder / WEIGHTS).absolute()
        sample_weights.save(file, _weights(critic, experience, config, demos.frame_count), demos.actions)
        return Made(
            dataclasses.replace(config, train=dataclasses.replace(config.train, sample_weights=str(file))), facts
        )


def _alone(policy: Policy) -> Policy:
    """Without a critic or a head of an earlier round."""
    acts = dataclasses.replace(policy.config.eval, best_of=1, critic="", head="")
    return dataclasses.replace(policy, config=dataclasses.replace(policy.config, eval=acts))


def critic_folder(policy: Policy, experience: Experience) -> Path:
    """In the run of the policy: one for all that is made of a critic that learns so, whatever the improvement."""
    made = identity_of(experience, policy.config.improve.critic)
    told = [policy.digest, policy.config.eval.execute, made.digest]
    return policy.places.run / IMPROVEMENTS / f"critic-{digest_of(told)[:8]}"


def _draws(policy: Policy) -> Draws:
    config, settings = policy.config, policy.config.improve.critic
    return Draws(policy.digest, settings.samples, config.eval.execute, settings.seed, config.eval.flow_steps)


def _sources(policy: Policy, demos: Dataset, rolled: RolledOut) -> list[Source]:
    own = Dataset(rolled.data_set)
    count = min(policy.config.improve.critic.demos or demos.episode_count, demos.episode_count)
    spread = np.unique(np.linspace(0, demos.episode_count - 1, count).astype(int)).tolist()
    return [Source(demos, spread), Source(own, range(own.episode_count), own=True)]


def _experience(policy: Policy, sources: list[Source], foresight: Foresight) -> Experience:
    settings = policy.config.improve.critic
    return experience(sources, foresight, _draws(policy), settings.discount, privileged=settings.privileged)


def _head(
    critic: Critic,
    experience: Experience,
    policy: Policy,
    sources: list[Source],
    foresight: Foresight,
    folder: Path,
) -> Path:
    """Where the head of `improve.use` lies, with its card."""
    asked = policy.config.improve
    if asked.use == FQL:
        noise = noise_of(sources, _draws(policy), foresight.policy.noise_shape)
        fit_one_step(critic, experience, noise, asked.fql, asked.head, folder)
    else:
        fit_residual(critic, experience, asked.residual, asked.head, folder)
    CriticCard(policy.digest, policy.config.eval.execute).save(folder)
    return folder


def _weights(critic: Critic, experience: Experience, config: Config, demo_frames: int) -> np.ndarray:
    """f32 [demo_frames]: the demos' rows come first."""
    rows, told = slice(0, demo_frames), experience.transitions
    seen = Seen(told.features[rows], told.state[rows])
    of_data = critic.of_rows(seen, told.chunk[rows][:, None])[:, 0]
    of_policy = critic.of_rows(seen, experience.samples[rows])
    settings = config.improve.weighted
    return advantage_weights(of_data, of_policy, settings.beta, settings.most)


def _facts(rolled: RolledOut, experience: Experience, calibration: Calibration, folder: Path) -> Mapping[str, Any]:
    told = dataclasses.asdict(calibration)
    return {
        "rolled_out": rolled.episodes,
        "succeeded": rolled.succeeded,
        "environment_steps": rolled.environment_steps,
        "rows": len(experience.transitions),
        "critic": str(folder),
        "calibration": told,
        "said": f"{rolled.succeeded} of {rolled.episodes} roll-outs succeeded, {rolled.environment_steps} environment steps; "
        f"a critic of {len(experience.transitions)} rows is in {folder}",
    }


METHOD = Calql()
