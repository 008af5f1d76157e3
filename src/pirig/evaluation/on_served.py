"""A policy server without a run of ours, measured in the simulator by the config's contract; where it says its own, that must be
the same."""

from __future__ import annotations

import dataclasses
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pirig.config.places import Places
from pirig.config.schema import Config, Mode
from pirig.evaluation.on_given import demos_of, limit_alone
from pirig.evaluation.target import Target, result_settings, results_folder
from pirig.runs.progress import newest_checkpoint

if TYPE_CHECKING:
    from pirig.evaluation.measured import Measured


def is_alone(config: Config, places: Places) -> bool:
    """A server is named, and neither a checkpoint of this config's run nor weights beside it."""
    asked = config.eval.server and not config.weights.path and not config.run.checkpoint
    return bool(asked) and newest_checkpoint(places.run) is None


def require_measurable(config: Config, places: Places) -> None:
    """Raises ValueError where no simulator can drive the server, or a mix is asked for."""
    if not config.robot.simulated:
        raise ValueError(
            f"eval.server={config.eval.server} with robot={config.robot.name}: no simulator has this arm; on recorded frames it "
            "is asked by `pirig client --from DATASET`."
        )
    if places.sources:
        raise ValueError(
            "eval.server without a run, with a mix: give one task, as in task=push_cube, for each evaluation."
        )


def as_run(config: Config, places: Places) -> tuple[Config, Places]:
    """A run folder of its own beside that of the config: <name>-served-<address>."""
    address = re.sub(r"\W+", "-", config.eval.server.partition("://")[2]).strip("-")
    name = f"{config.run.name}-served-{address}"
    run = dataclasses.replace(config.run, name=name, mode=Mode.resume)
    return dataclasses.replace(config, run=run), dataclasses.replace(places, run=places.run.with_name(name))


def target_of_server(config: Config, places: Places) -> Target:
    """Results are gone on with only where the server says which policy it serves. Raises ContractError where it says another
    contract, ServerError where nobody answers, ValueError where nothing says how long an episode may take."""
    from pirig.evaluation.closed_loop import served_at

    limit, settings = limit_alone(config, places), config.eval
    server = served_at(settings.server, places.contract, settings.layout, connections=1)
    told = identity_of(server.metadata)
    server.close()
    asked = result_settings(config, None, limit) | {"contract": places.contract.hash, "served": told}
    return Target(results_folder(places.evaluations, Path("-served"), asked), asked, limit)


def identity_of(metadata: dict[str, Any]) -> dict[str, Any]:
    """Which policy a server serves; one that does not say so may serve another tomorrow, so it is asked anew each time."""
    from pirig.policies.remote import served

    return dict(served(metadata)) or {"at": time.time()}


def measure(config: Config, places: Places, target: Target) -> Measured:
    """The server's row, and beside it the demos, where there are any."""
    from pirig.evaluation.closed_loop import ClosedLoop

    seeds, lengths = demos_of(places)
    return ClosedLoop(config, places, None, seeds, lengths, target).measure()
