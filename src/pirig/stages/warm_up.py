"""`pirig warm_up`: the tower learns where things are, on labelled scenes; `pirig train` starts from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pirig.config.places import Places, places_of
from pirig.config.schema import Config
from pirig.runs.stages import measured
from pirig.stages import scenes
from pirig.stages.entry import set_memory

if TYPE_CHECKING:
    from pirig.training.warmed import WarmedUp


def run(config: Config) -> int:
    places = places_of(config)
    set_memory(config)
    with measured(places.data, "warm_up"):
        warmed = make(config, places)
    print("nothing to do: tower.warm_up.steps=0" if warmed is None else f"{warmed.said()}: {warmed.folder}")
    return 0


def make(config: Config, places: Places) -> WarmedUp | None:
    """The tower that this config's training starts from: found, or made with the scenes that it needs.

    None where none is asked for, or where a recorded arm has no simulator, which is said.
    """
    if not config.tower.warm_up.steps or scenes.are_skipped(config, "warm-up"):
        return None
    from pirig.policies.build import model_of
    from pirig.policies.tokenizers import load_tokenizer
    from pirig.training.warm_up import require_heat_maps, warm_up

    tokenizer = load_tokenizer(config.size.tokenizer, config.size.max_token_len, config.weights.url)
    model = model_of(config, tokenizer.vocab_size)  # its tower's settings are asked before scenes are rendered
    require_heat_maps(model, config.tower.warm_up)
    sets = list(scenes.make(config, places).values())
    return warm_up(sets, model, config.tower.warm_up, lambda digest: places.warm_up(config.tower.name, digest))
