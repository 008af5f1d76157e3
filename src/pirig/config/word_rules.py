"""Rules about words that a type cannot ask: names of folders, and settings that would be passed over. As in `checks.py`, each
says value, reason and remedy."""

from __future__ import annotations

from dataclasses import fields
from pathlib import PurePath

from pirig.config.domains import LARGEST_SEED
from pirig.config.mapping import DataConfig
from pirig.config.mixes import configs_of
from pirig.config.recorded import takes_recording
from pirig.config.schema import Config, DemosConfig
from pirig.contract import MANISKILL

SHADERS = ("default", "minimal", "rt", "rt-fast", "rt-med")
BACKENDS = ("physx_cpu", "physx_cuda")
OF_RECORDINGS = ("leave_out", "times")  # of demos; and all of data
OPENPI_CURVES = ("cosine", "constant", "rsqrt")  # of its cosine and its rsqrt


def run_is_a_folder(config: Config) -> str | None:
    """Of its own: `run.mode=overwrite` moves aside what lies there."""
    name, experiment = config.run.name, config.run.experiment
    if name.strip() in ("", ".", "..") or "/" in name or not name.isprintable():
        return (
            f"run.name={name!r}: it names one folder inside the experiment's; choose run.name=trial, and another place by "
            "run.root=FOLDER or run.experiment=NAME."
        )
    parts = PurePath(experiment).parts
    if parts[:1] in (("/",), ("data",)) or ".." in parts or not experiment.isprintable():
        return (
            f"run.experiment={experiment!r}: it names a folder inside run.root, not data; choose run.experiment=trials, and "
            "another place by run.root=FOLDER."
        )
    return None


def simulator_has_words(config: Config) -> str | None:
    """Of ManiSkill's; another simulator has its own."""
    if config.task.simulator != MANISKILL or not config.robot.simulated:
        return None
    for key, value, known in (
        ("shader", config.control.shader, SHADERS),
        ("backend", config.control.backend, BACKENDS),
    ):
        if value not in known:
            named = f"control.{key}={value}: ManiSkill has no such {key}"
            return f"{named}; choose control.{key}={known[0]} (it has {', '.join(known)})."
    return None


def points_have_a_scene(config: Config) -> str | None:
    """Of ManiSkill's classes; another simulator would pass them over."""
    if not config.task.points or config.task.simulator == MANISKILL:
        return None
    return (
        f"task.points={', '.join(sorted(config.task.points))} with task.simulator={config.task.simulator}: points are poses of "
        "ManiSkill's tasks; leave them out (task.points={})."
    )


def recorded_words_have_a_recording(config: Config) -> str | None:
    if any(takes_recording(own) for own in configs_of(config).values()) or takes_recording(config):
        return None
    demos, data = DemosConfig(), DataConfig()
    given = [f"demos.{key}" for key in OF_RECORDINGS if getattr(config.demos, key) != getattr(demos, key)]
    given += [f"data.{one.name}" for one in fields(data) if getattr(config.data, one.name) != getattr(data, one.name)]
    if not given:
        return None
    return (
        f"{given[0]} with robot={config.robot.name}: it says how a recording of a real arm is read, and this one is "
        f"simulated, so it would be passed over; leave it out, or choose task=kinova demos.path=FOLDER, or data=NAME."
    )


def seeds_are_seeds(config: Config) -> str | None:
    """Every scene of a range is the seed of a reset."""
    if not config.robot.simulated:
        return None
    for key, first, count in (
        ("demos", config.demos.first_seed, config.demos.max_tries or 4 * config.demos.count),
        ("eval", config.eval.first_seed, config.eval.episodes),
    ):
        if first + count - 1 > LARGEST_SEED:
            return (
                f"{key}.first_seed={first}: its scenes may go up to {first + count - 1}, and a seed is at most {LARGEST_SEED}; "
                f"choose {key}.first_seed={max(LARGEST_SEED - count + 1, 0)} or less."
            )
    return None


def cameras_look_somewhere(config: Config) -> str | None:
    for name, entry in config.camera.entries.items():
        if entry.eye_m and entry.eye_m == entry.target_m:
            return (
                f"camera.entries.{name}.target_m is its eye_m, so it looks nowhere; choose a point before it, as in "
                f"camera.entries.{name}.target_m=[0,0,0.5]."
            )
    return None


def openpi_can_train(config: Config) -> str | None:
    """openpi has one size and no accumulation; what it lacks is refused, since another training would be compared."""
    if config.trainer != "openpi":
        return None
    train, frozen = config.train, config.finetune.freeze_vision or config.finetune.freeze_vlm
    lacking = {
        f"size={config.size.name}": (config.size.name != "full", "size=full"),
        f"tower={config.tower.name}": (config.tower.name != "siglip", "tower=siglip"),
        f"finetune={config.finetune.name}": (frozen, "finetune=lora"),
        f"train.accumulate={train.accumulate}": (train.accumulate != 1, "train.accumulate=1"),
        f"train.flow_samples={train.flow_samples}": (train.flow_samples != 1, "train.flow_samples=1"),
        f"size.image_px={config.size.image_px}": (config.size.image_px != 224, "size.image_px=224"),
        f"size.patch_px={config.size.patch_px}": (config.size.patch_px != 14, "size.patch_px=14"),
        f"train.sample_weights={train.sample_weights}": (bool(train.sample_weights), "train.sample_weights=''"),
        f"losses={','.join(config.losses)}": (bool(config.losses), "losses=null"),
        "train.augment=false": (not train.augment, "train.augment=true"),
    }
    lacking[f"schedule={config.schedule.name}"] = (config.schedule.name not in OPENPI_CURVES, "schedule=cosine")
    wrong = [
        f"trainer=openpi with {setting}: openpi has no such thing; choose {instead} or trainer=pirig."
        for setting, (lacks, instead) in lacking.items()
        if lacks
    ]
    return "\n".join(wrong) or None
