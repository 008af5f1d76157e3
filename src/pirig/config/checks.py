"""Rules across groups. Each finds all it can before anything starts and says value, reason and remedy."""

from __future__ import annotations

from pirig.config import number_rules, scenes, word_rules
from pirig.config.agreement import contract_of, targets_of
from pirig.config.domains import outside
from pirig.config.keeping import IN_PLACE
from pirig.config.mapping import key_of
from pirig.config.mixes import mix_is_whole
from pirig.config.recorded import takes_recording
from pirig.config.schema import CameraEntry, Config
from pirig.config.state_entries import ROBOTS, STATE_ENTRIES, Owner, columns_of, holds_goal, state_numbers
from pirig.config.suites import sentences_can_be_exchanged, task_of_suite_is_there
from pirig.contract import MANISKILL


class ConfigError(ValueError):
    """The resolved config contradicts itself."""


def check(config: Config) -> None:
    """Raises ConfigError that lists every value outside its domain, or else every broken rule: a rule reckons with values."""
    broken = outside(config) or [message for rule in RULES if (message := rule(config))]
    if broken:
        raise ConfigError("\n".join(broken))


def robot_is_simulated(config: Config) -> str | None:
    if not config.robot.simulated and config.task.env_id:
        return (
            f"robot={config.robot.name} with task={config.task.name}: ManiSkill has no {config.robot.name}; "
            "choose robot=panda, or task=kinova, which brings the arm's cameras, state and control."
        )
    if config.robot.simulated and not config.task.env_id:
        return (
            f"robot={config.robot.name} with task={config.task.name}: this task has no simulator; choose the robot that it was "
            "recorded on (robot=kinova), or a task of ManiSkill."
        )
    return None


def robot_is_known(config: Config) -> str | None:
    """Of a real arm the data set tells; a simulated one is planned for and read by name."""
    if not config.robot.simulated or config.task.simulator != MANISKILL:
        return None
    uids = {"robot.uid": config.robot.uid, "robot.wrist_uid": config.robot.wrist_uid}
    unknown = [f"{key}={uid}" for key, uid in uids.items() if uid not in ROBOTS]
    if not unknown:
        return None
    usual = {"robot.uid": "panda", "robot.wrist_uid": "panda_wristcam"}
    instead = " ".join(f"{key}={usual[key]}" for key, uid in uids.items() if uid not in ROBOTS)
    return (
        f"{' '.join(unknown)}: known are {', '.join(ROBOTS)}; choose {instead}. For another robot, ROBOTS and STATE_ENTRIES in "
        "src/pirig/config/state_entries.py need its name and its joints, and src/pirig/demos/maniskill/planner.py its planner."
    )


def cameras_are_distinct(config: Config) -> str | None:
    """The model has one image for a role, and a simulator one set-up for a sensor."""
    wrong = []
    names: dict[str, str] = {}
    for name, entry in config.camera.entries.items():
        other = names.setdefault(entry.role, name)
        if other != name:
            wrong.append(
                f"camera.entries.{other} and camera.entries.{name} both have role={entry.role}: the model would see one of "
                "them; choose another role, or leave one out."
            )
    mountings: dict[str, str] = {}
    for name, entry in config.camera.entries.items() if config.robot.simulated else ():
        other = mountings.setdefault(entry.sensor, name)
        if _mounting(entry) != _mounting(config.camera.entries[other]):
            wrong.append(
                f"camera.entries.{other} and camera.entries.{name} are one sensor, {entry.sensor}, with two sizes or poses; give "
                "both the same, or choose another sensor."
            )
    return "\n".join(wrong) or None


def _mounting(entry: CameraEntry) -> tuple:
    return entry.width_px, entry.height_px, entry.fov_rad, entry.eye_m, entry.target_m


def robot_has_what_is_read(config: Config) -> str | None:
    """State and control are the simulator's, or a real arm's."""
    simulated, robot = config.robot.simulated, f"robot={config.robot.name}"
    if simulated != bool(config.task.env_id):
        return None  # said by robot_is_simulated
    own, other = (Owner.simulator, Owner.arm) if simulated else (Owner.arm, Owner.simulator)
    wrong = []
    foreign = [name for name in config.state.entries if name in STATE_ENTRIES and STATE_ENTRIES[name].owner != own]
    if foreign:
        instead = "state=joints" if simulated else "state=kinova_joints"
        wrong.append(f"state={config.state.name} with {robot}: {foreign[0]} is a number of {other}; choose {instead}.")
    twice = [name for number, name in enumerate(config.state.entries) if name in config.state.entries[:number]]
    if simulated and twice:
        once = ",".join(dict.fromkeys(config.state.entries))
        wrong.append(
            f"state.entries has {twice[0]} twice: the model would read the same numbers; give state.entries=[{once}]."
        )
    if simulated != (config.control.sim_hz > 0):
        instead = "control=pd_ee_delta_pose" if simulated else "control=kinova_joints"
        wrong.append(f"control.mode={config.control.mode} with {robot}: it is a mode of {other}; choose {instead}.")
    centers = len(config.state.angle_center_rad)
    joints = len(columns_of((name for name in config.state.entries if name in STATE_ENTRIES), "joint_position"))
    if centers and (simulated or centers != joints):
        wrong.append(
            f"state.angle_center_rad has {centers} numbers with {robot}: expected one for each of the "
            f"{joints} joints of a real arm, or none."
        )
    return "\n".join(wrong) or None


def differences_mean_something(config: Config) -> str | None:
    """An action minus the state, number by number, where both are the same joint in the same unit."""
    counts, control = list(config.control.relative_to_state), config.control
    if not counts:
        return None
    setting = f"control.relative_to_state={counts}".replace(" ", "")
    targets = targets_of(control.mode, control.layout)
    if not targets:
        return (
            f"{setting} with control.mode={control.mode}: its actions are no targets for the numbers of the state, so their "
            "difference means nothing; leave control.relative_to_state out, or choose control=kinova_joints."
        )
    mask = [count > 0 for count in counts for _ in range(abs(count))]
    if not any(mask) or len(mask) > control.action_dim:
        return (
            f"{setting} with actions of {control.action_dim} numbers: expected so many relative ones (7), then so many absolute "
            "ones (-1), at least one relative and not more in all; choose control.relative_to_state=[7,-1]."
        )
    wanted, state = state_numbers(targets), state_numbers(config.state.entries)
    wrong = [
        number
        for number, is_relative in enumerate(mask)
        if is_relative and state[number : number + 1] != wanted[number : number + 1]
    ]
    if wrong:
        there = (state[wrong[0] : wrong[0] + 1] or ["nothing"])[0]
        return (
            f"{setting} with state={config.state.name}: number {wrong[0] + 1} of an action is a target for {wanted[wrong[0]]}, "
            f"and number {wrong[0] + 1} of the state is {there}; choose state=kinova_joints, or leave the key out."
        )
    return None


def recorded_data_is_named(config: Config) -> str | None:
    if not takes_recording(config) or config.mix is not None or config.robot.simulated != bool(config.task.env_id):
        return None
    path = config.demos.path
    if path and path != "download" and not path.endswith((".h5", ".hdf5")):
        return None
    if config.robot.simulated:
        return (
            f"demos.path={config.demos.path} with data={config.data.name}: that is a recorded data set's mapping; give "
            "demos.path=FOLDER of the LeRobot data set, or leave data out and demos are planned."
        )
    return (
        f"demos.path={config.demos.path} with robot={config.robot.name}: nothing can be planned or downloaded without a "
        "simulator; give demos.path=FOLDER, a LeRobot data set or npz episodes recorded on the arm."
    )


def mapping_is_whole(config: Config) -> str | None:
    """Every role that the model is to see has a column, and a rate to resample to is said."""
    if config.mix is not None or not config.data.name:
        return None
    data, wrong = config.data, []
    if config.robot.simulated:
        missing = [entry.role for entry in config.camera.entries.values() if not data.column_of(entry.role)]
        wrong += [f"data.{key_of(role)}= with camera={config.camera.name}: {role} has no column" for role in missing]
    if data.resample and not config.control.control_hz:
        wrong.append("data.resample=true with control.control_hz=0 (as recorded): there is no rate to resample to")
    if not data.state or not data.actions:
        wrong.append("data.state and data.actions: one of them names no column")
    return "\n".join(f"{text}; give it, or another data=..." for text in wrong) or None


def source_is_recorded(config: Config) -> str | None:
    """Nothing to read in place where demos are planned."""
    if config.dataset.format != IN_PLACE or config.mix is not None or takes_recording(config):
        return None
    return (
        f"dataset.format={IN_PLACE} with task={config.task.name}: that trains on somebody's data set as it lies, and demos are "
        "planned here; leave it out, or give data=NAME demos.path=FOLDER."
    )


def labels_are_simulated(config: Config) -> str | None:
    if config.demos.labels and config.data.name:
        return (
            f"demos.labels=true with data={config.data.name}: a recorded data set has no labels of ours; leave it out."
        )
    if config.demos.labels and not config.robot.simulated:
        return f"demos.labels=true with robot={config.robot.name}: only a simulator knows where its objects are; leave it out."
    return None


def horizon_fits(config: Config) -> str | None:
    steps, shortest = config.horizon.steps, config.task.min_episode_steps
    if 0 < shortest < steps:
        return (
            f"horizon={steps} with task={config.task.name}: its shortest demos have {shortest} steps, so a chunk would be "
            f"mostly padding; choose a horizon of at most {shortest}."
        )
    return None


def executed_fits(config: Config) -> str | None:
    if not 1 <= config.eval.execute <= config.horizon.steps:
        return (
            f"eval.execute={config.eval.execute} with horizon={config.horizon.steps}: a chunk has that many actions; "
            f"choose eval.execute between 1 and {config.horizon.steps}."
        )
    return None


def weights_match_model(config: Config) -> str | None:
    kind = config.weights.kind
    if kind and kind != config.model.name:
        return (
            f"weights={config.weights.name} with model={config.model.name}: these are {kind} weights and the two models "
            f"have different parameters; choose model={kind} or weights={config.model.name}_base."
        )
    return None


def weights_match_size(config: Config) -> str | None:
    if config.weights.kind and config.weights.path is None and config.size.name != "full":
        return (
            f"weights={config.weights.name} with size={config.size.name}: openpi's weights have the full size; "
            "choose size=full or weights=scratch."
        )
    return None


def weights_match_tower(config: Config) -> str | None:
    asked = (
        config.weights.kind and config.weights.path is None and config.size.name == "full"
    )  # else weights_match_size speaks
    if asked and config.tower.name != "siglip":
        return (
            f"weights={config.weights.name} with tower={config.tower.name}: openpi's weights have SigLIP for a tower; "
            "choose tower=siglip or weights=scratch."
        )
    return None


def lora_needs_weights(config: Config) -> str | None:
    if config.finetune.lora and not config.weights.kind:
        return (
            "finetune=lora with weights=scratch: LoRA freezes the base, and a random base learns nothing; "
            f"choose weights={config.model.name}_base or finetune=full."
        )
    return None


def goal_is_seen(config: Config) -> bool:
    return config.task.goal_visible or config.camera.show_goal or holds_goal(config.state.entries)


def goal_is_observable(config: Config, allowed: bool | None = None) -> str | None:
    """`allowed` replaces `allow_unobservable_goal`: `pirig doctor` says what is wrong with a run that was forced."""
    forced = config.allow_unobservable_goal
    if goal_is_seen(config) or (forced if allowed is None else allowed):
        return None
    last = "this run was forced by" if forced else "to go on nonetheless and mark every result give"
    return (
        f"state={config.state.name} with task={config.task.name}: no camera shows this task's goal and the state does not "
        "hold it, so no policy can succeed; choose state=joints_goal, or camera.show_goal=true for pixels alone; "
        f"{last} allow_unobservable_goal=true."
    )


def sizes_fit(config: Config) -> str | None:
    if config.tower.name == "siglip" and config.size.image_px % config.size.patch_px:
        return (
            f"size.image_px={config.size.image_px} with size.patch_px={config.size.patch_px}: an image is cut into whole "
            f"patches; choose size.image_px={config.size.image_px // config.size.patch_px * config.size.patch_px}."
        )
    if config.control.action_dim > config.size.action_dim:
        return (
            f"control={config.control.mode} has {config.control.action_dim} numbers and size={config.size.name} has room "
            f"for {config.size.action_dim}; choose size.action_dim={config.control.action_dim} or more."
        )
    state_dim = contract_of(config).state_dim
    if not config.model.pi05 and state_dim > config.size.action_dim:
        return (
            f"state={config.state.name} has {state_dim} numbers and size={config.size.name} has room for "
            f"{config.size.action_dim} in pi0's state token; choose size.action_dim={state_dim} or more, or model=pi05, "
            "which reads the state in its prompt."
        )
    return None


def tokenizer_known(config: Config) -> str | None:
    name = config.size.tokenizer
    if name in ("builtin", "paligemma") or "/" in name or name.endswith(".model"):
        return None
    return f"size.tokenizer={name}: expected builtin, paligemma (fetched once) or the path of PaliGemma's .model file."


def starts_are_planned(config: Config) -> str | None:
    """Where demos start is a planner's to choose."""
    demos = config.demos
    if demos.disturb_held and config.task.simulator != MANISKILL:
        return (
            f"demos.disturb_held with the simulator {config.task.simulator}: only ManiSkill's planners go back to their way; "
            "choose demos.disturb, which pushes the arm before it grasps."
        )
    asked = [key for key in ("start_spread_rad", "disturb", "disturb_held") if getattr(demos, key)]
    if not demos.path or not asked:
        return None
    key = f"demos.{asked[0]}"
    return f"{key} with demos.path={demos.path}: these demos have their starts already; leave one of them out."


def warm_up_is_possible(config: Config) -> str | None:
    settings, wrong = config.tower.warm_up, []
    asked, usual = scenes.labelled(config), scenes.RANGES[scenes.LABELLED]
    if config.scenes.count < 10:
        wrong.append(f"scenes.count={config.scenes.count}: some are held out; choose 10 or more.")
    if config.robot.simulated and not (usual.start <= asked.start and asked.stop <= usual.stop):
        wrong.append(
            f"scenes.first_seed={asked.start} with scenes.count={config.scenes.count}: labelled scenes are {usual.start} to "
            f"{usual.stop - 1}; choose scenes.first_seed={usual.start} scenes.count={min(config.scenes.count, len(usual))}."
        )
    if settings.steps and config.weights.kind:
        wrong.append(
            f"tower.warm_up.steps={settings.steps} with weights={config.weights.name}: these weights bring a tower that has "
            "learned; leave one of them out."
        )
    return "\n".join(wrong) or None


def given_data_is_of_one_task(config: Config) -> str | None:
    if config.mix is None or not config.dataset.path:
        return None
    return (
        f"dataset.path={config.dataset.path} with a mix: each of its tasks has a data set of its own; leave dataset.path out, or "
        "train on one task."
    )


RULES = (
    word_rules.run_is_a_folder,
    word_rules.simulator_has_words,
    word_rules.points_have_a_scene,
    word_rules.recorded_words_have_a_recording,
    word_rules.seeds_are_seeds,
    word_rules.cameras_look_somewhere,
    number_rules.rates_divide,
    number_rules.cameras_have_sizes,
    number_rules.cameras_are_placed,
    number_rules.prompt_is_said,
    number_rules.server_is_an_address,
    number_rules.tries_suffice,
    number_rules.noise_is_on_the_state,
    number_rules.corrective_noise_has_a_hand_to_move,
    tokenizer_known,
    word_rules.openpi_can_train,
    mix_is_whole,
    task_of_suite_is_there,
    sentences_can_be_exchanged,
    given_data_is_of_one_task,
    robot_is_simulated,
    robot_is_known,
    cameras_are_distinct,
    robot_has_what_is_read,
    differences_mean_something,
    recorded_data_is_named,
    mapping_is_whole,
    source_is_recorded,
    labels_are_simulated,
    number_rules.labels_are_recorded,
    starts_are_planned,
    warm_up_is_possible,
    number_rules.batch_divides,
    number_rules.scenes_have_a_loss,
    horizon_fits,
    executed_fits,
    number_rules.delay_is_possible,
    number_rules.critic_is_there,
    weights_match_model,
    weights_match_size,
    weights_match_tower,
    lora_needs_weights,
    goal_is_observable,
    sizes_fit,
    number_rules.scenes_are_apart,
    number_rules.policies_have_their_scenes,
)
