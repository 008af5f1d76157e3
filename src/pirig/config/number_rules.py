"""Rules across groups that reckon: what divides, what suffices, which scenes meet. As in `checks.py`, each says value, reason
and remedy."""

from __future__ import annotations

import re

from pirig.config import scenes
from pirig.config.deltas import PLACES, UNIT_M, place_columns
from pirig.config.measuring import MEASURED
from pirig.config.recorded import takes_recording
from pirig.config.schema import Config


def rates_divide(config: Config) -> str | None:
    control_hz, sim_hz = config.control.control_hz, config.control.sim_hz
    if not control_hz and not takes_recording(config):
        return (
            f"control.control_hz=0: that is the rate of recorded data, and robot={config.robot.name} is simulated; choose "
            "control.control_hz=20."
        )
    if not control_hz or sim_hz % control_hz == 0:
        return None
    return (
        f"control.control_hz={control_hz} with control.sim_hz={sim_hz}: the simulator makes a whole number of steps for each "
        f"action; choose control.sim_hz={max(round(sim_hz / control_hz), 1) * control_hz}."
    )


def cameras_have_sizes(config: Config) -> str | None:
    """0 px is the recording's own size: a simulator has none."""
    if not config.robot.simulated:
        return None
    sizeless = [name for name, entry in config.camera.entries.items() if not (entry.width_px and entry.height_px)]
    if not sizeless:
        return None
    side = "height_px" if config.camera.entries[sizeless[0]].width_px else "width_px"
    return (
        f"camera.entries.{sizeless[0]} has a side of 0 px: that is the size of recorded data, and robot={config.robot.name} is "
        f"simulated; choose camera.entries.{sizeless[0]}.{side}=256."
    )


def cameras_are_placed(config: Config) -> str | None:
    """A place and what is looked at go together: one alone would be passed over, or look at the world's origin."""
    for name, entry in config.camera.entries.items():
        if config.robot.simulated and bool(entry.eye_m) != bool(entry.target_m):
            given, missing = ("eye_m", "target_m") if entry.eye_m else ("target_m", "eye_m")
            return (
                f"camera.entries.{name}.{given} without {missing}: a camera is placed by both; give "
                f"camera.entries.{name}.{missing}=[0,0,0.5] too, or leave both out."
            )
    return None


def prompt_is_said(config: Config) -> str | None:
    """Of what is planned; a recording says its own."""
    sources = config.mix.sources.values() if config.mix else ()
    tasks = [source.task for source in sources if source.task] or [config.task]
    blank = [task.name for task in tasks if not (task.prompt.strip() or task.prompts or task.tasks)]
    if not config.robot.simulated or not blank:
        return None
    said = f"task.prompt={config.task.prompt!r} with task={blank[0]}"
    return f"{said}: a policy is told what to do; give task.prompt='Push the cube.'"


def server_is_an_address(config: Config) -> str | None:
    server = config.eval.server
    if not server or re.match(r"wss?://[^/:\s]", server):
        return None
    return f"eval.server={server}: expected the address of a policy server; give eval.server=ws://127.0.0.1:8000."


def tries_suffice(config: Config) -> str | None:
    count, tries = config.demos.count, config.demos.max_tries
    if config.demos.path or not 0 < tries < count:
        return None
    return (
        f"demos.max_tries={tries} with demos.count={count}: so few tries cannot give so many demos; leave demos.max_tries out "
        f"(four times demos.count), or choose demos.max_tries={count} or more."
    )


def noise_is_on_the_state(config: Config) -> str | None:
    missing = [name for name in config.train.state_noise_on if name not in config.state.entries]
    if not missing:
        return None
    return (
        f"train.state_noise_on={','.join(missing)} with state={config.state.name}: the state has no such entry; it has "
        f"{', '.join(config.state.entries) or 'none'}; choose train.state_noise_on=[{','.join(config.state.entries)}]."
    )


def corrective_noise_has_a_hand_to_move(config: Config) -> str | None:
    if not config.train.corrective_noise_m:
        return None
    mode, state = config.control.mode, config.state
    if mode in UNIT_M and place_columns(state.entries):
        return None
    return (
        f"train.corrective_noise_m={config.train.corrective_noise_m:g} with control_mode {mode} and state={state.name}: the "
        f"actions are to bring the hand back to its place; expected a control_mode of {', '.join(UNIT_M)} and a state with "
        f"{' or '.join(PLACES)} (state=tcp has it); choose train.corrective_noise_m=0."
    )


def labels_are_recorded(config: Config) -> str | None:
    """Of planned demos; what a file or a data set holds is asked once it is read."""
    asking = [name for name, loss in config.losses.items() if loss.kind == "labels" or loss.labels]
    if not asking or config.demos.labels or config.demos.path or not config.robot.simulated:
        return None
    return (
        f"losses.{asking[0]} with demos.labels=false: it learns where the task's objects are, and the planned demos would not "
        "say; choose demos.labels=true, or leave the loss out."
    )


def batch_divides(config: Config) -> str | None:
    batch, devices, parts = config.train.batch_size, config.fsdp.devices, config.train.accumulate
    if parts > batch:
        return (
            f"train.accumulate={parts} with train.batch_size={batch}: a batch goes through in so many parts, and it has fewer "
            f"samples; choose train.accumulate={batch} or less."
        )
    if batch % devices:
        return (
            f"train.batch_size={batch} with fsdp={devices}: each device gets an equal part, and {batch} does not divide "
            f"by {devices}; choose train.batch_size={max(batch // devices, 1) * devices}."
        )
    return None


def scenes_have_a_loss(config: Config) -> str | None:
    if not config.train.scenes_per_batch or config.losses:
        return None
    return (
        f"train.scenes_per_batch={config.train.scenes_per_batch} without losses: labelled scenes beside a batch are for a loss "
        "that learns labels; choose losses=labels, or train.scenes_per_batch=0."
    )


def policies_have_their_scenes(config: Config) -> str | None:
    """Where they are rolled out to learn from."""
    wrong = (
        _own_range(scenes.corrections(config), scenes.CORRECTIONS, "improve.corrections.first_seed", "improve.scenes"),
        _own_range(scenes.rollouts(config), scenes.ROLLOUTS, "rollouts.first_seed", "rollouts.scenes"),
    )
    return "\n".join(sentence for sentence in wrong if sentence) or None


def _own_range(asked: range, use: str, key: str, count_key: str) -> str | None:
    usual = scenes.RANGES[use]
    if usual.start <= asked.start and asked.stop <= usual.stop:
        return None
    return (
        f"{key}={asked.start}: the scenes {asked.start} to {asked.stop - 1} are not all among {usual.start} to {usual.stop - 1}, "
        f"which are for {use}; choose {key}={usual.start}, or fewer {count_key}."
    )


def scenes_are_apart(config: Config) -> str | None:
    """Of what is simulated. The scenes of a file of demos are compared once they are known (`evaluation/seeds.py`)."""
    if not config.robot.simulated:
        return None
    held_out = scenes.held_out(config)
    demos = range(0) if config.demos.path else scenes.of_demos(config)
    wrong = []
    if scenes.meet(demos, held_out):
        wrong.append(
            f"eval.first_seed={held_out.start} with demos.first_seed={demos.start}: the evaluation's scenes {held_out.start} to "
            f"{held_out.stop - 1} meet {demos.start} to {demos.stop - 1}, which the demos may use, so success would be measured "
            f"on training scenes; choose eval.first_seed={max(demos.stop, scenes.RANGES[scenes.HELD_OUT].start)}."
        )
    for key, asked, usual in (
        ("demos.first_seed", demos, scenes.DEMOS),
        ("eval.first_seed", held_out, scenes.HELD_OUT),
    ):
        for use, reserved in scenes.RESERVED.items():
            if scenes.meet(asked, reserved):
                wrong.append(
                    f"{key}={asked.start}: the scenes {asked.start} to {asked.stop - 1} meet {reserved.start} to "
                    f"{reserved.stop - 1}, which are reserved ({use}); choose {key}={scenes.RANGES[usual].start}, or fewer."
                )
    return "\n".join(wrong) or None


def delay_is_possible(config: Config) -> str | None:
    """The arm goes on with one chunk until the next is there, and one is computed at a time."""
    asked, horizon = config.eval, config.horizon.steps
    late, left = asked.delay != "0", horizon - asked.execute
    setting = f"eval.delay={asked.delay}" if late else "eval.rtc=true"
    if not late and not asked.rtc:
        return None
    if not config.robot.simulated:
        return (
            f"{setting} with robot={config.robot.name}: recorded frames are answered one by one, so nothing comes late; leave it "
            "out. `pirig robot` says how late chunks come on the arm."
        )
    if asked.ensemble:
        return f"{setting} with eval.ensemble={asked.ensemble:g}: both say what is executed where chunks overlap; leave one out."
    if asked.rtc and left < 1:
        return (
            f"eval.rtc=true with eval.execute={asked.execute}: chunks of {horizon} steps do not overlap then; choose "
            f"eval.execute={max(horizon // 2, 1)}."
        )
    if asked.rtc and asked.server and asked.layout != "ours":
        return (
            f"eval.rtc=true with eval.layout={asked.layout}: such a request has no place for the chunk that is underway; choose "
            "eval.layout=ours and a server of `pirig serve` with serve.rtc=true, or leave eval.rtc out."
        )
    return None if asked.delay == MEASURED else too_late(int(asked.delay), asked.execute, horizon)


def critic_is_there(config: Config) -> str | None:
    asked = config.eval
    if (asked.best_of > 1) != bool(asked.critic):
        return (
            f"eval.best_of={asked.best_of} with eval.critic={asked.critic or 'none'}: a critic chooses among several chunks; "
            "give both eval.best_of=4 and eval.critic=FOLDER, or neither."
        )
    if asked.best_of > 1 and asked.head:
        return f"eval.best_of={asked.best_of} with eval.head={asked.head}: both say which chunk is executed; leave one out."
    chosen = f"eval.head={asked.head}" if asked.head else f"eval.best_of={asked.best_of}"
    for key, value in (("eval.server", asked.server), ("eval.rtc", asked.rtc), ("mix", config.mix and config.mix.name)):
        if (asked.best_of > 1 or asked.head) and value:
            return (
                f"{chosen} with {key}={str(value).lower()}: a critic and a head know chunks of this run's own policy of one "
                f"task, which begin with a look; leave {key} out, or {chosen.split('=')[0]}."
            )
    return None


def too_late(delay: int, execute: int, horizon: int) -> str | None:
    """Why an arm cannot go on with a chunk until the next one is there; all in control steps."""
    left, most = horizon - execute, horizon // 2
    if delay <= min(execute, left):
        return None
    remedy = (
        f"choose eval.execute={delay}" + (f" to eval.execute={horizon - delay}" if horizon > 2 * delay else "")
        if delay <= most
        else f"at most eval.execute={most} eval.delay={most} is possible"
    )
    return (
        f"eval.delay={delay} with eval.execute={execute}: a chunk of {horizon} lasts {left} steps beyond the next look, and "
        f"one chunk is computed at a time; {remedy}."
    )
