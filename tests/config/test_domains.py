"""Every number of the schema has a domain, and a config outside of one is refused before anything starts."""

import math
import re
from pathlib import Path

import pytest

from pirig.config.checks import ConfigError
from pirig.config.domains import Between, OneOf, leaves, outside
from pirig.config.load import compose, of_run
from pirig.config.names import GATES, near
from pirig.config.places import places_of
from pirig.config.schema import Config
from pirig.runs.record import open_run
from pirig.sweeps.settings import LocalSettings, SlurmSettings

NUMBERS = [(key, kind, domains) for key, kind, domains in leaves(Config) if kind in (int, float)]


def test_the_walk_reaches_every_corner():
    keys = {key for key, _, _ in leaves(Config)}
    assert {
        "camera.entries.<name>.eye_m",
        "mix.sources.<name>.task.hold_steps",
        "schedule.numbers.<name>",
        "demos.leave_out",
        "losses.<name>.weight",
    } <= keys
    assert len(NUMBERS) >= 70


@pytest.mark.parametrize("schema", [Config, SlurmSettings, LocalSettings])
def test_every_number_has_a_domain(schema):
    nowhere = [key for key, kind, domains in leaves(schema) if kind in (int, float) and not domains]
    assert not nowhere, f"give these a domain of pirig/config/domains.py: {', '.join(nowhere)}"


@pytest.mark.parametrize(("key", "kind", "domains"), NUMBERS, ids=[key for key, _, _ in NUMBERS])
def test_what_lies_outside_is_named_with_its_key(key, kind, domains):
    """One value below or beyond each number's domain, put into a config as a command line would."""
    (domain,) = domains
    assert isinstance(domain, Between)
    bounds = [bound for bound in (domain.least, domain.above) if bound is not None]
    beyond = [min(bounds) - 1] if bounds else [math.nan]
    assert not any(domain.holds(value) for value in beyond)
    for number in (math.nan, math.inf, -math.inf):
        assert kind is int or not domain.holds(number)


def plain_keys():
    return [(key, domain) for key, _, (domain,) in NUMBERS if "<" not in key and not key.startswith("task.")]


def test_the_command_line_is_refused_for_each_plain_number():
    """All at once: every broken key has its line."""
    lists = (
        "control.relative_to_state",
        "state.angle_center_rad",
        "demos.leave_out",
        "improve.critic.widths",
        "improve.head.widths",
    )
    asked = {key: domain for key, domain in plain_keys() if key not in lists}
    below = {key: (domain.least if domain.least is not None else domain.above) - 1 for key, domain in asked.items()}
    with pytest.raises(ConfigError) as refused:
        compose([f"{key}={value:g}" for key, value in below.items()])
    lines = str(refused.value).splitlines()
    assert [line.split("=")[0] for line in lines] and {line.split("=")[0] for line in lines} == set(asked)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("eval.flow_steps=0", "eval.flow_steps=0: expected a whole number of at least 1"),
        ("eval.first_seed=-100", "a whole number of at least 0"),
        ("eval.seed=4294967296", "at least 0 and at most 4,294,967,295"),
        ("train.ema=1", "train.ema=1.0: expected a number of at least 0 and below 1"),
        (
            "state.entries=[qpos9,qpos9]",
            "state.entries has qpos9 twice: the model would read the same numbers; give state.entries=[qpos9]",
        ),
        ("demos.workers=100000", "demos.workers=100000: expected a whole number of at least 1 and at most 1,024"),
        ("camera.resolution_px=100000", "at least 1 and at most 8,192"),
        ("train.clip_norm=nan", "expected a finite number above 0"),
        ("train.clip_norm=inf", "expected a finite number above 0"),
        ("control.relative_to_state=[7,0]", r"relative_to_state[1]=0: expected a whole number of at least -"),
        ("gates.skip=[act]", "gates.skip[0]=act: expected one of finite"),
        ("gates.skip=[act]", "Did you mean acts?"),
        ("train.wandb=offlin", "train.wandb=offlin: expected one of disabled, offline, online. Did you mean offline?"),
        ("train.state_noise_on=[qpos]", "Did you mean qpos9?"),
        ("train.state_noise_on=[qpos9]", "the state has no such entry; it has qpos8"),
        ("camera.entries.base.role=base_0_rbg", "Did you mean base_0_rgb?"),
        ("camera.entries.base.eye_m=[1,2]", "eye_m=[1.0,2.0]: expected 3 numbers"),
        ("camera.entries.base.fov_rad=4", "fov_rad=4.0: expected a number above 0 and below 3.142"),
        ("camera.resolution_px=0", "camera.resolution_px=0: expected a whole number of at least 1"),
        ("camera.entries.base.width_px=0", "choose camera.entries.base.width_px=256"),
        ("control.control_hz=30", "control.control_hz=30 with control.sim_hz=100"),
        ("demos.max_tries=3", "demos.max_tries=3 with demos.count=64"),
        ("train.accumulate=64", "choose train.accumulate=32 or less"),
        ("losses=labels", "choose demos.labels=true"),
    ],
)
def test_the_sentence_says_what_is_expected(word, expected):
    with pytest.raises(ConfigError, match=re.escape(expected)):
        compose([word])


@pytest.mark.parametrize("word", ["eval.batch_size=0", "eval.untrained_episodes=-1", "train.log_every=0"])
def test_a_run_that_is_there_asks_the_same(tmp_path, word):
    config = compose([f"run.root={tmp_path}", "run.name=one"])
    folder = open_run(config, places_of(config))
    with pytest.raises(ConfigError, match=f"{word}: expected a whole number"):
        of_run(folder, [word])


def test_no_baseline_is_a_number_of_them():
    config = compose(["eval.oracle_episodes=0", "eval.untrained_episodes=0"])
    assert not outside(config) and config.eval.oracle_episodes == 0


def test_the_gates_that_can_be_skipped_are_those_that_are_asked():
    """The names stand below the rooms that ask them."""
    from pirig.gates import ask, data, policy

    source = "".join(Path(module.__file__).read_text() for module in (ask, data, policy))
    asked = re.findall(r'"(\w+)": lambda: ', source) + re.findall(r'gates\["(\w+)"\] = ', source)
    assert set(asked) == set(GATES)


def test_the_nearest_name():
    assert near("stack_cub", ["push_cube", "stack_cube"]) == "stack_cube" and near("zzz", ["push_cube"]) == ""
    assert OneOf(["a"]).expected() == "one of a"
