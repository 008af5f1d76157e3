"""The part of the schema that asks a trained policy: how it is measured, improved, and served."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pirig.config.critic import BestOfConfig, CriticConfig, FqlConfig, HeadConfig, ResidualConfig, WeightedConfig
from pirig.config.domains import (
    Count,
    CountOrNone,
    CriticUse,
    Delay,
    FrameStep,
    LayoutName,
    NotNegative,
    Port,
    Positive,
    Processes,
    Seed,
    Share,
    SharePart,
    StepReward,
    WireProtocol,
)

MEASURED = "measured"  # eval.delay


class SimBackend(StrEnum):
    cpu = "cpu"
    gpu = "gpu"


@dataclass
class EvalConfig:
    episodes: Count = 40
    first_seed: Seed = 100000
    execute: Count = 8  # steps executed of each action chunk
    ensemble: Share = (
        0.0  # a step is the mean of all chunks that foresaw it, an older one weighs so much of the next; 0: newest
    )
    delay: Delay = "0"  # control steps that a chunk comes late; measured: what this policy takes on this machine
    rtc: bool = False  # real-time chunking: a chunk is sampled so that it goes on from the one that is underway
    best_of: Count = (
        1  # chunks at each look, of which a critic takes the one that it values most; 1: no critic is asked
    )
    critic: str = ""  # its folder; `pirig improve RUN improve=calql` makes one
    head: str = (
        ""  # the folder of a head that acts beside the policy; improve.use=fql and improve.use=residual make one
    )
    flow_steps: Count = 10  # Euler steps
    workers: Processes = 2  # simulator processes
    sim_backend: SimBackend = SimBackend.cpu  # gpu: many scenes in one simulator, which needs a CUDA device
    num_envs: Count = 64  # scenes at once where sim_backend=gpu
    batch_size: Count = 4  # observations per policy call, fixed so that results do not depend on the number of workers
    max_steps: CountOrNone = 0  # 0: from the demos' lengths
    step_margin: Positive = 1.5  # limit = longest demo times this; a few much longer ones do not count
    oracle_episodes: CountOrNone = 20  # 0: none
    untrained_episodes: CountOrNone = 40  # 0: none
    videos: CountOrNone = 3  # so many successes and so many failures
    video_every: FrameStep = 2  # every n-th step is a frame
    seed: Seed = 0
    server: str = (
        ""  # ws://HOST:PORT: the policy row is that of a policy server, whoever's; the baselines stay the checkpoint's
    )
    layout: LayoutName = "ours"  # how its requests are written
    exchange_prompts: bool = False  # each task of a suite is told the next one's sentence: a policy that listens fails


@dataclass
class CorrectionsConfig:
    """Of `pirig improve improve=corrections`: the planner solves from where the policy lost its way."""

    first_seed: Seed = 600000  # of the scenes that the policy is rolled out on
    late: Positive = 1.2  # a sub-goal is late after so many times the steps that the slowest of the timed demos needs
    timed_demos: Count = 20
    share: SharePart = 0.2  # of the samples that train the child; 0: as many as their frames are


@dataclass
class ImproveConfig:
    """Of `pirig improve`: what goes from an evaluated policy back to training, as often as there are rounds."""

    name: str = "corrections"  # a file of pirig/improving/methods
    rounds: Count = 1
    scenes: Count = 200  # new ones each round
    steps: Count = 1000  # of training, each round; the control makes as many
    corrections: CorrectionsConfig = field(default_factory=CorrectionsConfig)
    use: CriticUse = "best_of"  # of improve=calql: what is made of its critic
    critic: CriticConfig = field(default_factory=CriticConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    best_of: BestOfConfig = field(default_factory=BestOfConfig)
    fql: FqlConfig = field(default_factory=FqlConfig)
    weighted: WeightedConfig = field(default_factory=WeightedConfig)
    residual: ResidualConfig = field(default_factory=ResidualConfig)


@dataclass
class RewardsConfig:
    """Of each step of a roll-out."""

    success: Positive = 10.0  # of the step that reaches the goal, beside its own
    step: StepReward = -0.05


@dataclass
class RolloutsConfig:
    """Of `pirig rollouts`: the policy's own episodes, successes and failures, as a data set."""

    name: str = "penalised"
    scenes: Count = 200  # more of them add to what is there
    first_seed: Seed = 700000
    rewards: RewardsConfig = field(default_factory=RewardsConfig)


@dataclass
class ServeConfig:
    """Of `pirig serve`; how a chunk is sampled is eval.flow_steps."""

    host: str = "127.0.0.1"  # another address than loopback needs an API key: PIRIG_API_KEY
    port: Port = 8000  # 0: a free one
    max_batch: Count = 32  # requests in one model call
    max_wait_ms: NotNegative = 2.0  # how long the first of a batch waits for company
    message_mib: Positive = 64.0  # of one request
    clients: Count = 256  # connections at once
    seed: Seed = 0  # of the noise of requests that bring none
    rtc: bool = (
        False  # requests may bring the chunk that is underway (real-time chunking); compiled before it is healthy
    )
    protocol: WireProtocol = "openpi"  # or vla_eval: allenai's harness, which executes eval.execute steps of a chunk
    cameras: dict[str, str] = field(default_factory=dict)  # vla_eval: a benchmark's name of a camera -> the role
