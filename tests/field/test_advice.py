"""A remedy that a message names works when typed: the verb, the option, the key and its value are there."""

import re
import typing

import pytest

from pirig.cli import CONFIG_FREE, VERBS
from pirig.config.checks import ConfigError
from pirig.config.domains import hints_of, leaves, unwrapped
from pirig.config.load import compose
from pirig.config.mistakes import groups
from pirig.config.schema import Config
from pirig.config.texts import type_of
from pirig.sweeps.settings import SlurmSettings
from tests.field import advice

OF_RETRY = {key for key, _, _ in leaves(SlurmSettings)}  # `pirig runs retry` changes the launcher
CODE = (
    "horizon=range",
    "model=model",
    "robot=kortex",
    "data=SimpleDataConfig",
)  # Hydra's function, Python, an arm's driver
PLACES = re.compile(r"X|FOLDER|FILE(\.\w+)?|NAME|KIND|N|\.\.\.|RUN.*|VALUE|")


def test_there_is_advice_to_read():
    assert (
        len(list(advice.commands())) > 30
        and len(list(advice.assignments())) > 100
        and len(list(advice.options())) > 100
    )


def test_every_verb_is_one():
    wrong = [f"{place}: pirig {' '.join(words)}" for place, words in advice.commands() if not known_verb(words)]
    assert not wrong


def known_verb(words):
    return all(name in VERBS or name in ("VERB", "-sc") or name.startswith("-") for name in words[0].split("|"))


SUBS = {
    "weights": ("fetch", "verify", "export"),
    "dataset": ("convert", "merge", "split", "filter", "edit"),
}


def test_every_option_is_one(capsys):
    """Of the verbs that read their own."""
    from pirig.cli import main

    helps = {}
    wrong = []
    for place, words in advice.commands():
        verb, asked = words[0], [word.split("=")[0] for word in words if re.fullmatch(r"--[a-z][\w-]+(=.*)?", word)]
        if verb not in CONFIG_FREE or not asked:
            continue
        if verb not in helps:
            for sub in SUBS.get(verb, ("",)):
                main([verb, *([sub] if sub else []), "--help"])
            helps[verb] = capsys.readouterr().out
        wrong += [f"{place}: {verb} {option}" for option in asked if option not in helps[verb]]
    assert not wrong


def test_every_key_is_one():
    wrong = [
        f"{place}: {key}={value}"
        for place, key, value in advice.assignments()
        if key not in OF_RETRY and not re.search(r"^hydra\.|^X\.|\.X$|^observation\.", key) and type_of(key) is None
    ]
    assert not wrong


def test_every_option_of_a_group_is_one():
    known = groups()
    numbered = re.compile(r"(h|fsdp)?\d+")
    wrong = [
        f"{place}: {group}={option}"
        for place, group, option in advice.options()
        if group in known
        and option not in known[group]
        and not re.search(r"X|[A-Z]{3}|\.\.\.", option)
        and not (group in ("horizon", "fsdp") and numbered.fullmatch(option))
        and option not in ("null", "base", "local", "N", "x", "")
        and f"{group}={option}" not in CODE
    ]
    assert not wrong


def domain_of(key):
    parent, _, name = key.rpartition(".")
    kind = type_of(parent)
    known = name in getattr(kind, "__dataclass_fields__", {})
    return unwrapped(hints_of(kind)[name]) if known else (None, [])


def test_every_advised_value_is_in_its_domain():
    """Where the message holds the value itself."""
    wrong = []
    for place, key, value in advice.assignments():
        kind, domains = domain_of(key)
        if PLACES.fullmatch(value) or "X" in value or kind not in (int, float, bool):
            continue
        try:
            number = {"true": True, "false": False}[value] if kind is bool else kind(float(value))
        except (ValueError, KeyError):
            wrong.append(f"{place}: {key}={value} is no {kind.__name__}")
            continue
        wrong += [f"{place}: {key}={value}" for domain in domains if not domain.holds(number)]
    assert not wrong


REFUSED = [
    ["fsdp=8", "train.batch_size=12"],
    ["horizon=50", "demos.count=4"],
    ["size=full", "model=pi05", "weights=pi0_base"],
    ["finetune=lora"],
    ["task=pick_cube", "state=joints"],
    ["task=pick_cube", "model=pi0"],
    ["eval.execute=17"],
    ["eval.first_seed=10"],
    ["demos.first_seed=500100"],
    ["size.image_px=130", "tower=siglip"],
    ["train.accumulate=64"],
    ["demos.max_tries=3"],
    ["control.control_hz=30"],
    ["losses=labels"],
    ["train.state_noise_on=[qpos9]"],
    ["camera.entries.base.width_px=0"],
    ["robot.uid=xarm6"],
    ["camera=wrist", "robot.wrist_uid=panda_stick"],
    ["weights=pi05_base"],
    ["weights=pi05_base", "size=full", "tower=keypoints"],
]


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_the_value_that_a_refusal_chooses_is_accepted(words):
    """In that very state: the same words and the advised one compose, or are refused for something else."""
    with pytest.raises(ConfigError) as refused:
        compose(words)
    said = str(refused.value)
    advised = re.findall(r"(?:choose|or|give) ((?:[a-z_]+\.)*[a-z_]+=[^\s,;]+)", said)
    advised = [word.rstrip(".") for word in advised]
    if not advised:
        (highest,) = re.findall(r"choose a horizon of at most (\d+)|between 1 and (\d+)", said)
        advised = [f"horizon={highest[0]}" if highest[0] else f"eval.execute={highest[1]}"]
    for word in advised:
        key = word.partition("=")[0]
        changed = [given for given in words if given.partition("=")[0] != key] + [word]
        try:
            compose(changed)
        except ConfigError as error:
            assert said.splitlines()[0] != str(error).splitlines()[0], f"{word} changes nothing"
            first = words[0].partition("=")[0]
            assert first not in str(error), f"{word}: {error}"


def test_the_schema_that_the_walk_knows_is_the_whole():
    assert set(typing.get_type_hints(Config)) == set(Config.__dataclass_fields__)
