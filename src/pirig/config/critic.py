"""The part of the schema about a critic (`pirig improve RUN improve=calql`): how it learns, and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from pirig.config.domains import Backup, Count, CountOrNone, NotNegative, Part, Positive, Seed, SharePart


@dataclass
class CriticConfig:
    """Cal-QL on action chunks. Values are between 0 and 1: the reward is 1 where the task is solved, and else 0."""

    discount: Part = 0.99  # of a control step
    privileged: bool = False  # it looks at labels in place of the policy's features: not deployable
    demos: CountOrNone = 0  # it learns from so many of the data set's episodes, spread over all of them; 0: all
    widths: list[Count] = field(default_factory=lambda: [256, 256])  # of the layers, of each of the two
    steps: Count = 20000
    batch_size: Count = 256
    lr: Positive = 3e-4
    target_ema: SharePart = 0.995  # the target network keeps so much of itself at each step
    samples: Count = 8  # chunks of the policy for each row, drawn once
    backup: Backup = "mean"  # the next row's value: of its sampled chunks the mean or the best
    alpha: NotNegative = 0.1  # weight of the conservative term beside half the squared Bellman error
    candidates: Count = 4  # so many uniform ones, so many of the policy here, and so many of it at the next row
    temperature: Positive = 0.1  # of the candidates' log-sum-exp
    clip: Positive = 1.0  # the conservative difference is within minus and plus this
    held_out: Part = 0.2  # of the episodes, for the calibration alone
    save_every: Count = 2000
    seed: Seed = 0
    unskilled: bool = False  # true: a critic that does not tell success from failure is used all the same


@dataclass
class HeadConfig:
    """The small network that improve.use=fql and improve.use=residual train beside the frozen policy."""

    widths: list[Count] = field(default_factory=lambda: [256, 256])
    steps: Count = 10000
    batch_size: Count = 256
    lr: Positive = 3e-4
    save_every: Count = 2000
    seed: Seed = 0


@dataclass
class BestOfConfig:
    samples: Count = 8  # chunks of which the critic takes the best


@dataclass
class FqlConfig:
    alpha: Positive = (
        1.0  # how close the one-step head stays to the policy's chunk of the same noise, beside Q / mean |Q|
    )


@dataclass
class WeightedConfig:
    """A sample counts exp(advantage / beta), at most `most`, all of them 1 on average."""

    beta: Positive = 0.1
    most: Positive = 20.0


@dataclass
class ResidualConfig:
    bound: Positive = 0.2  # of what is added to each normalised number of an action
