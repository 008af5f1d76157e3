"""The one typed schema. Every key that a YAML or a command line may set is declared here, with its unit and its domain.

Hydra checks types and names against these dataclasses; `load.py` turns the result into instances of them once, and asks
whether each value is in its domain (`domains.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from omegaconf import MISSING

from pirig.config.domains import (
    Allocator,
    Angle,
    Count,
    CountOrNone,
    EntryName,
    Finite,
    FloatType,
    GateName,
    Gripper,
    Long,
    Normalization,
    NotNegative,
    Pixels,
    PixelsOrNone,
    Positive,
    Processes,
    Remat,
    Role,
    Seed,
    Share,
    SharePart,
    Signed,
    Times,
    Trainer,
    Turn,
    WandbMode,
)
from pirig.config.keeping import DatasetConfig
from pirig.config.mapping import DataConfig
from pirig.config.measuring import EvalConfig, ImproveConfig, RolloutsConfig, ServeConfig


class Mode(StrEnum):
    """How an existing run folder is treated."""

    error = "error"
    resume = "resume"
    overwrite = "overwrite"


@dataclass
class RobotConfig:
    name: str = MISSING
    simulated: bool = MISSING  # a simulator has it
    uid: str = MISSING  # the simulator's name of it, without a wrist camera
    wrist_uid: str = MISSING  # and with one


@dataclass
class PointConfig:
    """A label beside those of a task's objects (`pirig.contract.Point`)."""

    pose: str = MISSING  # as the task's class calls it, such as box_hole_pose
    part_of: str = MISSING  # the object that shows where it is


@dataclass
class TaskConfig:
    name: str = MISSING
    env_id: str = MISSING
    prompt: str = MISSING  # "": the recorded data set's own (a robot that is not simulated)
    prompts: list[str] = field(default_factory=list)  # where its episodes have several; `prompt` wins
    goal_visible: bool = MISSING  # a camera can see the goal
    simulator: str = (
        "maniskill"  # a line of IMPLEMENTATIONS in pirig/sim/door.py; nothing to a robot that is not simulated
    )
    tasks: dict[str, str] = field(default_factory=dict)  # of a suite: the simulator's name of each task -> its sentence
    only: str = ""  # one task of the suite, by its number from 0 or its name; "": all of them
    settings: dict[str, Any] = field(default_factory=dict)  # of the simulator, as the contract holds them
    solver: str = ""  # function in ManiSkill's panda motion-planning solutions; "": demos.path is needed
    hold_steps: CountOrNone = 0  # steps to hold the last target after the planner stops
    min_episode_steps: CountOrNone = 0  # the shortest demo seen; 0: not known yet, the data set will tell
    turns: dict[str, Count] = field(default_factory=dict)  # whose yaw matters: in a turn a cube looks the same 4 times
    unseen: list[str] = field(default_factory=list)  # objects that no camera shows, such as a hidden goal
    alike: dict[str, list[str]] = field(default_factory=dict)  # by look, objects that no picture tells apart
    clearance_mm: Positive | None = None  # something fits by so little (a hole's radius above the peg's)
    points: dict[str, PointConfig] = field(default_factory=dict)  # ManiSkill: poses that are labels too (demos.labels)


@dataclass
class CameraEntry:
    role: Role = MISSING  # the model's name: base_0_rgb, left_wrist_0_rgb
    sensor: str = (
        MISSING  # ManiSkill: base_camera, hand_camera, or a new name with a place; recorded data: its image column
    )
    width_px: PixelsOrNone = 256  # 0: as recorded
    height_px: PixelsOrNone = 256
    fov_rad: Angle | None = None  # vertical
    eye_m: Annotated[list[Finite], Long(3)] | None = None  # world frame
    target_m: Annotated[list[Finite], Long(3)] | None = None  # what it looks at


@dataclass
class MixSource:
    """One task of a mix, under its name in conf/task; or a recorded data set, of a robot that is not simulated under any name."""

    weight: Positive = 1.0  # its share of what trains, beside the others'
    path: str | None = None  # a recorded data set, as demos.path; None: the task's demos are planned
    mapping: str = ""  # conf/data/NAME of it; "": what data=NAME says for all
    # filled in when the config is loaded:
    task: TaskConfig | None = None  # the task's own file
    data: DataConfig | None = None  # the mapping's
    cameras: dict[str, CameraEntry] = field(default_factory=dict)  # of a recording of a real arm, its own


@dataclass
class MixConfig:
    name: str = MISSING
    sources: dict[str, MixSource] = field(default_factory=dict)
    norm_stats: str = (
        "joint"  # of all sources' frames together; per_source: each source's numbers by its own, as openpi does
    )


@dataclass
class CameraConfig:
    name: str = MISSING
    entries: dict[str, CameraEntry] = field(default_factory=dict)
    resolution_px: Pixels = 256  # both sides of every entry
    show_goal: bool = False  # draw the goal site that ManiSkill hides from cameras


@dataclass
class StateConfig:
    name: str = MISSING
    entries: list[EntryName] = field(default_factory=list)  # see pirig/config/state_entries.py
    angle_center_rad: list[Turn] = field(default_factory=list)  # per joint of a real arm: angles are within pi of it


@dataclass
class ControlConfig:
    mode: str = MISSING
    action_dim: Count = MISSING
    layout: str = MISSING
    gripper_open: Gripper = 1.0
    relative_to_state: list[Signed] = field(
        default_factory=list
    )  # [7, -1]: seven numbers of an action are learned minus the state at the chunk's start, the next one as it is
    control_hz: CountOrNone = 20  # 0: as recorded
    sim_hz: CountOrNone = 100  # 0: nothing is simulated
    backend: str = "physx_cpu"
    shader: str = "default"


@dataclass
class HorizonConfig:
    steps: Count = MISSING


@dataclass
class ModelKindConfig:
    name: str = MISSING
    pi05: bool = MISSING
    normalization: Normalization = MISSING
    state_in_prompt: bool = MISSING  # pi0.5 reads its discretised state from the prompt


@dataclass
class SizeConfig:
    name: str = MISSING
    image_px: Pixels = MISSING
    patch_px: Count = MISSING
    action_dim: Count = MISSING  # padded
    max_token_len: Count = MISSING
    tokenizer: str = MISSING  # builtin, paligemma (its file is fetched once) or the path of a SentencePiece file
    compute_dtype: FloatType = "float32"
    resize: str = "pad"  # how a frame becomes image_px wide and high: transforms/images.py


@dataclass
class WarmUpConfig:
    """Before the training the tower learns where things are, on labelled scenes (`pirig scenes`); shared by every run that asks
    for the same."""

    steps: CountOrNone = 0  # 0: none
    batch_size: Count = 32
    peak_lr: Positive = 2.0e-3
    labels: list[str] = field(default_factory=list)  # which; none named: every position, and the yaw of task.turns
    turns: dict[str, Count] = field(default_factory=dict)  # as task.turns
    unseen: list[str] = field(default_factory=list)  # as task.unseen
    alike: dict[str, list[str]] = field(default_factory=dict)  # as task.alike
    places: NotNegative = 0.0  # weight of what teaches heat maps where in a picture each thing is; 0: not taught
    held_out: Count = 400  # scenes that it is measured on; at most a fifth of them
    seed: Seed = 0


@dataclass
class TowerConfig:
    name: str = "siglip"  # what looks at the images: a file of pirig/models/towers
    settings: dict[str, Any] = field(default_factory=dict)  # numbers of its own
    warm_up: WarmUpConfig = field(default_factory=WarmUpConfig)


@dataclass
class ScenesConfig:
    """Random scenes of the task with labels, rendered without a plan; the arm is near where demos had it."""

    count: Count = 6000  # at least 10
    first_seed: Seed = 800000
    joints_noise_rad: NotNegative = 0.03
    near_demos: Share = 0.0  # of them: a demo's moment, the arm a little elsewhere, what it holds with it; not a reset
    workers: Processes = 2  # processes


@dataclass
class FinetuneConfig:
    name: str = MISSING
    lora: bool = MISSING
    lora_expert: bool = True  # with lora: low-rank branches in the action expert too; false: all of the expert trains
    freeze_vision: bool = False  # the tower too; openpi's LoRA trains all of it (412 M of 468 M parameters)
    freeze_vlm: bool = False  # all of the language model; with the tower frozen too, a prefix stays as it was


@dataclass
class FsdpConfig:
    devices: Count = MISSING  # each large array is split over so many; the other devices hold copies
    min_mib: NotNegative = 4.0  # arrays below this are not split


@dataclass
class HabitsConfig:
    """How somebody else's checkpoint was trained, where that is not what is done here. Only `pirig eval` and `pirig verify` of
    weights that were not trained here ask for it."""

    black_camera_valid: bool = False  # a camera that is not there was a black picture, and counted


@dataclass
class WeightsConfig:
    name: str = MISSING
    path: str | None = None  # a checkpoint's folder, or gs://BUCKET/FOLDER; None: fetched by name
    url: str | None = None  # a mirror of https://storage.googleapis.com; None: $PIRIG_WEIGHTS_URL, else that address
    kind: str | None = None  # the model kind that the weights belong to; None: from scratch
    norm_stats: str | None = (
        None  # of given weights that are measured: a file, a data set, one of the assets; None: their own
    )
    habits: HabitsConfig = field(default_factory=HabitsConfig)  # likewise


@dataclass
class DemosConfig:
    path: str | None = (
        None  # a trajectory .h5, "download" for ManiSkill's own, a recorded LeRobot folder or npz episodes; None: plan them
    )
    count: Count = 64  # successful episodes wanted
    first_seed: Seed = 0
    max_tries: CountOrNone = 0  # 0: four times count
    max_steps: CountOrNone = 0  # LIBERO: longer demos are not kept; 0: any length
    workers: Processes = 2
    leave_out: list[CountOrNone] = field(default_factory=list)  # its episodes that are not used
    times: Times = "check"  # of its rows: check them against fps; ignore: frames are taken to be 1/fps apart
    labels: bool = False  # record where the task's objects are, beside what a policy may see
    start_spread_rad: NotNegative = 0.0  # standard deviation of a planned demo's first joints; 0: the task's own
    disturb: Share = 0.0  # share of planned demos before whose grasp the arm is pushed off its way; recorded from there
    disturb_rad: Positive = 0.15  # standard deviation of that push, per joint
    disturb_held: Share = (
        0.0  # share of the rest: pushed with something in the hand, goes back and on; recorded from there
    )
    disturb_held_rad: Positive = 0.05  # the most that the standard deviation of that push is, per joint
    corrected: str = ""  # the data set with corrections of this name, beside the run's own; `pirig improve` makes it
    leave_out_wandering: bool = False  # demos much longer than the others stay out of the data set, counted


@dataclass
class TrainConfig:
    steps: Count = 1000
    batch_size: Count = 32  # of all devices and processes together
    accumulate: Count = 1  # each batch goes through in so many parts: less memory, the same gradient
    remat: Remat = "size"  # compute layers again in the backward pass: size (only size=full does), always, never
    seed: Seed = 0
    clip_norm: Positive = 1.0
    weight_decay: NotNegative = 1e-10
    ema: SharePart = 0.99  # 0 switches it off
    flow_samples: Count = 1  # noise/time draws per observation, sharing one prefix pass
    corrections_share: SharePart = 0.0  # of the samples; 0: corrections are drawn as the other frames are
    sample_weights: str = (
        ""  # file of how much each frame counts in the flow loss (improve.use=weighted makes it); "": all alike
    )
    idle_steps: CountOrNone = 0  # frames after which nothing moves for so many steps are not trained on; 0: all are
    scenes_per_batch: CountOrNone = 0  # labelled scenes beside each batch, for the losses that learn labels; 0: none
    augment: bool = True
    shift_px: CountOrNone = 4  # augmentation: random shift of every image
    state_noise: NotNegative = (
        0.0  # augmentation: standard deviation of noise on the normalised state (data span -1 to 1)
    )
    state_noise_share: Share = 1.0  # of the samples that get it: the others see their state as it is
    state_noise_on: list[EntryName] = field(default_factory=list)  # on these entries of the state; []: on all
    corrective_noise_m: NotNegative = 0.0  # augmentation: noise on the hand's place (std) that the actions answer
    log_every: Count = 10
    save_every: Count = 500
    keep_every: CountOrNone = 0  # checkpoints at multiples of this are kept for ever; 0: newest only
    validation_share: SharePart = 0.0  # of the episodes, held out of training and of the norm stats; 0: none
    validate_every: Count = 500
    validation_frames: Count = 256  # spread over the held-out episodes
    memory_limit_gb: NotNegative = 0.0  # per device; 0: what the GPU, or the machine and its cgroup, have free
    memory_fraction: Share = 0.0  # of the device that XLA may take (XLA_PYTHON_CLIENT_MEM_FRACTION); 0: as set outside
    preallocate: bool = True  # false: take the device's memory as needed (XLA_PYTHON_CLIENT_PREALLOCATE)
    allocator: Allocator = "outside"  # XLA_PYTHON_CLIENT_ALLOCATOR; outside: as set there, else default
    wandb: WandbMode = "disabled"
    project: str = "pirig"


@dataclass
class LossConfig:
    """A loss beside the flow loss; its name is its key under `losses`."""

    kind: str = MISSING  # a file of pirig/training/auxiliary
    weight: Positive = MISSING
    labels: list[str] = field(
        default_factory=list
    )  # columns labels.<name> of the data set; what none means the kind says
    settings: dict[str, Any] = field(default_factory=dict)  # numbers of its own


@dataclass
class ScheduleConfig:
    """Of the learning rate: a straight line up to the peak, then a curve."""

    name: str = "cosine"  # the curve: a function of pirig/training/schedules.py
    peak_lr: Positive = 2.5e-5
    warmup_steps: CountOrNone = 100
    final_lr: NotNegative = 2.5e-6  # where a curve that has an end goes to
    decay_steps: CountOrNone = 0  # and where it ends, counted from step 0; 0: train.steps
    numbers: dict[str, Finite] = field(default_factory=dict)  # what a curve asks for beside these


@dataclass
class GatesConfig:
    skip: list[GateName] = field(default_factory=list)  # gates switched off, recorded with the results
    replay_episodes: Count = 5  # demos replayed before training


@dataclass
class RunConfig:
    root: str = "outputs"
    experiment: str = "default"
    name: str = MISSING
    mode: Mode = Mode.error
    checkpoint: str | None = (
        None  # eval: a checkpoint folder; all, or steps as 1000,2000: a curve over those of the run; None: its newest
    )


@dataclass
class SweepConfig:
    """Of `pirig VERB -m ...`; how jobs run is hydra.launcher."""

    dry_run: bool = False  # print the points, what each needs and what is done already; start nothing
    wait: bool = True  # until every job has ended; false: return after submission


@dataclass
class Config:
    robot: RobotConfig = field(default_factory=RobotConfig)
    task: TaskConfig = field(default_factory=TaskConfig)  # of a mix: what its tasks have in common
    mix: MixConfig | None = None
    camera: CameraConfig = field(default_factory=CameraConfig)
    state: StateConfig = field(default_factory=StateConfig)
    control: ControlConfig = field(default_factory=ControlConfig)
    horizon: HorizonConfig = field(default_factory=HorizonConfig)
    model: ModelKindConfig = field(default_factory=ModelKindConfig)
    size: SizeConfig = field(default_factory=SizeConfig)
    tower: TowerConfig = field(default_factory=TowerConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    fsdp: FsdpConfig = field(default_factory=FsdpConfig)
    weights: WeightsConfig = field(default_factory=WeightsConfig)
    demos: DemosConfig = field(default_factory=DemosConfig)
    data: DataConfig = field(default_factory=DataConfig)
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    scenes: ScenesConfig = field(default_factory=ScenesConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    losses: dict[str, LossConfig] = field(default_factory=dict)  # beside the flow loss, by name
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    gates: GatesConfig = field(default_factory=GatesConfig)
    run: RunConfig = field(default_factory=RunConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)
    improve: ImproveConfig = field(default_factory=ImproveConfig)
    rollouts: RolloutsConfig = field(default_factory=RolloutsConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)
    trainer: Trainer = "pirig"  # or openpi: an installed openpi trains on the same batches (a reference run)
    allow_unobservable_goal: bool = False
