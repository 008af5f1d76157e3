"""policy.json: what a checkpoint says of its policy beside the weights, as one typed value. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pirig.config.arguments import meant_run
from pirig.config.mixes import JOINT
from pirig.config.places import ASSETS, POLICY_FILE
from pirig.contract import source_of

if TYPE_CHECKING:
    from pirig.models.sizes import ModelConfig


@dataclass(frozen=True)
class PolicyCard:
    """`model_plain`: the model's config as plain values. `tokenizer`: the name of its class.

    `demo_lengths` and `demo_seeds`: steps and scenes of the data set's episodes, of which `held_out_episodes` did not train;
    `demo_tasks`: of a mix, the task of each, by the names of the contract's scenes. `corrections`: so many of the last episodes
    are no demos but corrections of a policy (`demos.origins`). `norm_stats`: of a mix, "joint" or
    "per_source".
    `probe`: one frame's numbers on every side of the pipeline (`Pipeline.probe`); the oldest checkpoints have none.
    """

    model_plain: dict[str, Any]
    normalization: str
    state_in_prompt: bool
    tokenizer: str
    relative_to_state: tuple[int, ...] = ()
    demo_lengths: tuple[int, ...] = ()
    demo_seeds: tuple[int, ...] = ()
    held_out_episodes: tuple[int, ...] = ()
    demo_tasks: tuple[str, ...] = ()
    corrections: int = 0
    norm_stats: str = JOINT
    probe: dict[str, Any] | None = None

    @property
    def model(self) -> ModelConfig:
        from pirig.models.sizes import ModelConfig

        return ModelConfig.from_plain(self.model_plain)

    @property
    def horizon(self) -> int:
        """Steps of a chunk."""
        return int(self.model_plain["action_horizon"])

    @property
    def usual_lengths(self) -> tuple[int, ...]:
        """Of the demos alone: what a step limit follows."""
        return self.demo_lengths[: len(self.demo_lengths) - self.corrections]

    def of_task(self, task: str) -> PolicyCard:
        """What the card says of one task's demos; `task` "": of all of them. Episodes keep no number of the mix."""
        if not task:
            return self
        chosen = [episode for episode, name in enumerate(self.demo_tasks) if task in (name, source_of(name))]
        place = {episode: number for number, episode in enumerate(chosen)}
        return dataclasses.replace(
            self,
            demo_lengths=tuple(self.demo_lengths[episode] for episode in chosen),
            demo_seeds=tuple(self.demo_seeds[episode] for episode in chosen),
            held_out_episodes=tuple(place[episode] for episode in self.held_out_episodes if episode in place),
            demo_tasks=(),
        )

    def to_json(self) -> str:
        plain = dataclasses.asdict(self)
        plain |= {"model_config": plain.pop("model_plain"), "horizon": self.horizon}
        for key in ("held_out_episodes", "demo_tasks"):
            if not plain[key]:
                del plain[key]  # as in the cards of older versions
        if self.norm_stats == JOINT:
            del plain["norm_stats"]
        if not self.corrections:
            del plain["corrections"]
        return json.dumps(plain, indent=2) + "\n"

    @staticmethod
    def from_json(text: str, source: str = POLICY_FILE) -> PolicyCard:
        """Keys that are not known are passed over: a newer version wrote them. Raises ValueError for what is no card."""
        try:
            plain: dict[str, Any] = json.loads(text)
            plain["model_plain"] = plain.pop("model_config")
            known = {field.name for field in dataclasses.fields(PolicyCard)}
            values: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()
            }
            kept: dict[str, Any] = {key: value for key, value in values.items() if key in known}
            return PolicyCard(**kept)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{source}: not the record of a policy ({error}); train again, or copy the file again"
            ) from error

    def save(self, assets: Path) -> None:
        (assets / POLICY_FILE).write_text(self.to_json())

    @staticmethod
    def load(checkpoint: Path) -> PolicyCard:
        """Of a checkpoint folder. Raises ValueError where it has none."""
        path = checkpoint / ASSETS / POLICY_FILE
        if not path.is_file():
            raise ValueError(
                f"{checkpoint}: expected {ASSETS}/{POLICY_FILE}, found none; was this checkpoint made by pirig?"
                + meant_run(checkpoint)
            )
        return PolicyCard.from_json(path.read_text(), str(path))


def has_card(checkpoint: Path) -> bool:
    return (checkpoint / ASSETS / POLICY_FILE).is_file()


def assets_beside(params: Path) -> Path | None:
    """The folder of the card beside an Orbax folder of ours (<step>/assets/*/), or None: openpi's have no card."""
    return next((path.parent for path in sorted(params.parent.glob(f"assets/*/{POLICY_FILE}"))), None)


def card_beside(params: Path) -> PolicyCard | None:
    assets = assets_beside(params)
    return PolicyCard.from_json((assets / POLICY_FILE).read_text(), str(assets / POLICY_FILE)) if assets else None


SERVED_ALIKE = ("horizon", "relative_to_state", "normalization", "state_in_prompt", "tokenizer", "norm_stats")


def differences(ours: PolicyCard, theirs: PolicyCard) -> list[str]:
    """Each thing that no parameter's shape tells and that differs, as ``name: ours != theirs``."""
    pairs = {name: (getattr(ours, name), getattr(theirs, name)) for name in SERVED_ALIKE}
    return [f"{name}: {our!r} != {their!r}" for name, (our, their) in pairs.items() if our != their]


def require_alike(ours: PolicyCard, theirs: PolicyCard, *, our_name: str, their_name: str) -> None:
    """Raises ValueError that lists what differs with both values."""
    if unequal := differences(ours, theirs):
        listed = "\n  ".join(unequal)
        raise ValueError(
            f"{our_name} and {their_name} disagree:\n  {listed}\ngive the settings that made {their_name}, or start another run"
        )
