"""Which scenes are for what. A scene is a whole number that the simulator owns: for ManiSkill the seed of a reset.

What is measured on a scene says something only where nothing was learned or chosen on it; so every use has a range of its
own. Demos and held-out scenes begin where `demos.first_seed` and `eval.first_seed` say, usually at their range's start; the
others are reserved.
"""

from __future__ import annotations

from pirig.config.schema import Config

DEMOS, HELD_OUT, DIAGNOSIS, LABELLED = "demos", "held out", "diagnosis", "labelled scenes"
CORRECTIONS = "corrections"
ROLLOUTS = "roll-outs"
CHOICE = "choice of a checkpoint"
RANGES = {
    DEMOS: range(0, 100_000),
    HELD_OUT: range(100_000, 500_000),
    DIAGNOSIS: range(500_000, 600_000),
    CORRECTIONS: range(600_000, 700_000),
    ROLLOUTS: range(700_000, 800_000),
    LABELLED: range(800_000, 900_000),
    CHOICE: range(900_000, 1_000_000),
}
RESERVED = {use: scenes for use, scenes in RANGES.items() if use not in (DEMOS, HELD_OUT)}


def of_demos(config: Config) -> range:
    """What planned demos may try."""
    first = config.demos.first_seed
    return range(first, first + (config.demos.max_tries or 4 * config.demos.count))


def held_out(config: Config) -> range:
    """What the policy and the untrained model are measured on."""
    first = config.eval.first_seed
    return range(first, first + max(config.eval.episodes, config.eval.untrained_episodes))


def labelled(config: Config) -> range:
    """What `pirig scenes` renders, whole shards or not."""
    first = config.scenes.first_seed
    return range(first, first + config.scenes.count)


def corrections(config: Config) -> range:
    """What all rounds of `pirig improve improve=corrections` roll the policy out on."""
    first = config.improve.corrections.first_seed
    return range(first, first + config.improve.rounds * config.improve.scenes)


def rollouts(config: Config) -> range:
    """What `pirig rollouts` and all rounds of `pirig improve improve=calql` may roll the policy out on."""
    first, asked = config.rollouts.first_seed, config.improve
    return range(first, first + max(config.rollouts.scenes, asked.rounds * asked.scenes))


def meet(first: range, other: range) -> bool:
    return first.start < other.stop and other.start < first.stop
