"""Where the results of an evaluation lie, and whether they are complete; imports nothing heavy."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pirig.comparison.delays import DELAYED, UNSAID
from pirig.config.measuring import SimBackend
from pirig.config.places import ASSETS, POLICY_FILE, STATS_FILE, TOKENIZER_FILE, Places
from pirig.config.scenes import CHOICE, RANGES
from pirig.config.schema import Config, EvalConfig, Mode
from pirig.contract import FILE_NAME as CONTRACT_FILE
from pirig.evaluation.measured import load
from pirig.evaluation.seeds import step_limit
from pirig.files import identity
from pirig.files.atomic import move_aside, write_text
from pirig.files.identity import Identity
from pirig.files.records import read_record
from pirig.models.critic import CRITIC_FILE, HEAD_FILE
from pirig.policies.card import PolicyCard, has_card
from pirig.policies.critic_card import CARD, CriticCard
from pirig.runs.progress import is_trained, newest_checkpoint

if TYPE_CHECKING:
    from pirig.datasets.lerobot.read import Dataset

COUNT_KEYS = (
    "episodes",
    "oracle_episodes",
    "untrained_episodes",
    "workers",
    "videos",
    "video_every",
)  # change no episode
CHOSEN = ("best_of", "critic", "head", "exchange_prompts")  # critic and head by their digests
OF_THE_GPU = ("sim_backend", "num_envs")
SETTINGS, DIGEST = "settings.json", "checkpoint_digest"
SERVED = (POLICY_FILE, STATS_FILE, TOKENIZER_FILE, CONTRACT_FILE)  # of a checkpoint's assets
KIND = "evaluation"


@dataclass(frozen=True)
class Target:
    """Where an evaluation's results lie. Closed loop: `settings` is what every episode's outcome depends on, `limit` the
    steps of one. Open loop there is no episode, so no limit, and results are measured anew."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    limit: int = 0

    def enter(self, mode: Mode) -> None:
        """Older episodes stay, to be gone on with; `overwrite` moves them aside."""
        if self.folder.exists() and self.limit and mode == Mode.overwrite:
            print(f"moved the older results to {move_aside(self.folder)}", file=sys.stderr)
        elif self.folder.exists() and self.limit:
            print(
                f"eval: {self.folder} holds episodes of this checkpoint with these settings; they stay", file=sys.stderr
            )
        write_text(self.folder / SETTINGS, json.dumps(self.settings, indent=2) + "\n")


def target_of(config: Config, places: Places, checkpoint: Path, demo_lengths: Sequence[int]) -> Target:
    """Raises ValueError where eval.max_steps is shorter than the demos."""
    if not config.robot.simulated:
        made = {"checkpoint": str(checkpoint), DIGEST: digest_of(checkpoint)}
        return Target(recorded_folder(places.evaluations, checkpoint, config.eval.flow_steps), made)
    limit = step_limit(config.eval.max_steps, config.eval.step_margin, demo_lengths)
    settings = result_settings(config, checkpoint, limit)
    chosen_on = config.eval.first_seed in RANGES[CHOICE]
    folder = results_folder(places.choice if chosen_on else places.evaluations, checkpoint, settings)
    return Target(folder if folder.exists() else _older(folder, checkpoint, settings) or folder, settings, limit)


def digest_of(checkpoint: Path) -> str:
    """Of its weights and of what serves them, wherever it lies. What it was trained on is in there already."""
    served = {f"assets {file.name}": file for file in (checkpoint / ASSETS).glob("*") if file.name in SERVED}
    weights = {str(file.relative_to(checkpoint)): file for file in (checkpoint / "params").rglob("*") if file.is_file()}
    return identity.digest_of_tree(checkpoint, served | weights)


def digest_of_critic(folder: Path) -> str:
    """Or of a head, wherever it lies. Raises ValueError where there is none."""
    CriticCard.load(folder)
    there = {name: folder / name for name in (CARD, CRITIC_FILE, HEAD_FILE) if (folder / name).is_file()}
    return identity.digest_of_tree(folder, there)


def require_trained_on(checkpoint: Path, dataset: Dataset) -> None:
    """Raises IdentityError where a checkpoint says that it was made from other data sets than this one."""
    made = identity.load(checkpoint / ASSETS / identity.FILE_NAME)
    digests = {name: digest for name, digest in made.made_from.items() if name.startswith("data set")} if made else {}
    if made and digests and dataset.content_hash[:16] not in digests.values():
        then = ", ".join(f"{digest} ({made.places.get(name, '')})" for name, digest in digests.items())
        raise identity.IdentityError(
            f"{dataset.folder}: {checkpoint} was not trained on this data set: {then} then, {dataset.content_hash[:16]} now. Put "
            "back the data that it was made from, or train a run on this one (run.name=...)."
        )


def _older(folder: Path, checkpoint: Path, settings: dict[str, Any]) -> Path | None:
    """Results of the same checkpoint and settings under a name of an older version, which held the checkpoint's path."""
    named = {key: value for key, value in settings.items() if key != DIGEST}
    if (older := _named(folder.parent, checkpoint, named)).is_dir() and _made_of(older, checkpoint, settings):
        return older
    others = sorted(path.parent for path in folder.parent.glob(f"step{checkpoint.name}-*/{SETTINGS}"))
    return next(
        (other for other in others if ".old-" not in other.name and _made_of(other, checkpoint, settings)), None
    )


def _made_of(folder: Path, checkpoint: Path, settings: dict[str, Any]) -> bool:
    """Whether results are of this checkpoint and these settings, as far as an older version wrote them down."""
    try:
        there = read_record(folder / SETTINGS)
    except FileNotFoundError:
        return True  # the name says it
    if DIGEST not in there and not _was(Path(str(there.get("checkpoint", ""))), checkpoint):
        return False
    usual = {name: value for name, value in dataclasses.asdict(EvalConfig()).items() if name not in COUNT_KEYS}
    known = (usual.keys() | settings.keys()) - {"checkpoint"}
    then = {DIGEST: settings[DIGEST]} | {name: value for name, value in there.items() if name in known}
    asked, kept = (
        Identity(KIND, settings=_whole({name: said.get(name, usual.get(name)) for name in known}))
        for said in (settings, then)
    )
    return identity.compare(asked, kept) == identity.Same()


def _whole(said: Mapping[str, Any]) -> dict[str, Any]:
    """Without what changes nothing beside the others."""
    idle = {"num_envs": said["sim_backend"] == SimBackend.cpu, "layout": not said["server"]}
    return {name: value for name, value in said.items() if not idle.get(name)}


def _was(path: Path, checkpoint: Path) -> bool:
    """Whether a checkpoint's path of another time was this one: nothing lies there now, or the same."""
    if path.name != checkpoint.name:
        return False
    return not path.is_dir() or path.resolve() == checkpoint.resolve() or digest_of(path) == digest_of(checkpoint)


def of_task(target: Target, task: str, config: Config, demos: PolicyCard) -> Target:
    """One task's part of the results of a mix, with the step limit of its own demos."""
    limit = step_limit(config.eval.max_steps, config.eval.step_margin, demos.usual_lengths)
    return Target(target.folder / task, {**target.settings, "limit": limit}, limit)


def result_settings(config: Config, checkpoint: Path | None, limit: int) -> dict[str, Any]:
    """What every episode's outcome depends on; `checkpoint` None: a server's policy. On the CPU nothing is said of a GPU."""
    left_out = COUNT_KEYS + (OF_THE_GPU if config.eval.sim_backend == SimBackend.cpu else ())
    left_out += () if config.eval.ensemble else ("ensemble",)  # younger than results that lie there, as what follows
    left_out += () if config.eval.server else ("server", "layout")
    left_out += tuple(name for name in (*DELAYED, *CHOSEN) if getattr(config.eval, name) == UNSAID[name])
    settings = {name: value for name, value in dataclasses.asdict(config.eval).items() if name not in left_out}
    lying = {"critic": config.eval.critic, "head": config.eval.head}
    settings |= {name: digest_of_critic(Path(folder)) for name, folder in lying.items() if folder}
    told = {"checkpoint": str(checkpoint), DIGEST: digest_of(checkpoint)} if checkpoint else {}
    return {**told, "limit": limit, "train_seed": config.train.seed, **settings}


def results_folder(evaluations: Path, checkpoint: Path, settings: dict[str, Any]) -> Path:
    """`<evaluations>/step<N>-<settings>`: one folder for what must not be mixed in one rate, wherever the checkpoint lies."""
    return _named(evaluations, checkpoint, {key: value for key, value in settings.items() if key != "checkpoint"})


def _named(evaluations: Path, checkpoint: Path, settings: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:6]
    return evaluations / f"step{checkpoint.name}-{digest}"


def recorded_folder(evaluations: Path, checkpoint: Path, flow_steps: int) -> Path:
    """Where the open-loop action error of a checkpoint lies."""
    return evaluations / f"step{checkpoint.name}-open-loop-{flow_steps}"


def is_measured(config: Config, places: Places) -> bool:
    """Every row of this config's evaluation of the finished checkpoint is there, with at least the episodes asked for."""
    if not config.run.checkpoint and not is_trained(config, places):
        return False
    target = _target_there(config, places)
    earlier = load(target.folder) if target else None
    return earlier is not None and earlier.covers(config)


def evaluation_folder(config: Config, places: Places) -> Path | None:
    """Where this config's evaluation of its checkpoint lies, None where there is none."""
    target = _target_there(config, places)
    return target.folder if target and target.folder.is_dir() else None


def _target_there(config: Config, places: Places) -> Target | None:
    checkpoint = Path(config.run.checkpoint) if config.run.checkpoint else newest_checkpoint(places.run)
    if checkpoint is None or not has_card(checkpoint) or not places.evaluations.is_dir():
        return None
    target = target_of(config, places, checkpoint, PolicyCard.load(checkpoint).usual_lengths)
    return target if _made_of(target.folder, checkpoint, target.settings) else None
