"""Rounds with a method and stages that only say what they were asked: order, names, results, and what a kill leaves."""

import dataclasses
import json

import pytest

from pirig.comparison.statistics import wilson
from pirig.comparison.success import SuccessRow
from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.improving.door import Made, Policy, method_named
from pirig.improving.rounds import Improvement, Stages
from pirig.improving.table import columns, lines
from pirig.stages import improve

WORDS = [
    "experiment=quickstart",
    "run.name=one",
    "improve.rounds=2",
    "improve.steps=7",
    "tower=keypoints",
    "tower.warm_up.steps=5",
]


class Method:
    def __init__(self, nothing_in=0, until_level=False, trains=True):
        self.nothing_in, self.until_level, self.trains, self.asked = nothing_in, until_level, trains, []

    def arm(self, config):
        return "corrected"

    def require(self, policy):
        pass

    def settings(self, config):
        return {}

    def make(self, round):
        self.asked.append((round.number, round.policy.checkpoint.parent.parent.name, round.name))
        facts = {"rolled_out": 4, "succeeded": 1, "lost": {"grasped late": 3}, "left_out_held": 0}
        if round.number == self.nothing_in:
            return Made(None, {**facts, "corrections": 0})
        demos = dataclasses.replace(round.policy.config.demos, corrected=round.name)
        return Made(dataclasses.replace(round.policy.config, demos=demos), {**facts, "corrections": 3}, self.trains)


class Fake:
    """A child's training leaves a checkpoint; rates are made up by arm."""

    def __init__(self, killed_at=""):
        self.killed_at, self.trained, self.measured = killed_at, [], []

    def train(self, config, lineage):
        folder = places_of(config).checkpoints / str(config.train.steps)
        if lineage.arm == self.killed_at:
            self.killed_at = ""
            raise KeyboardInterrupt
        if not folder.is_dir():
            self.trained.append(config)
            (folder / "params").mkdir(parents=True)
            (folder / "params" / "weights").write_text(config.run.name)
            lineage.save(places_of(config).run)
        return folder

    def measure(self, config):
        self.measured.append(config.run.checkpoint)
        name = config.run.name
        k = 40 if name == "one" else 44 if "control" in name else 70 if "r1" in name else 80
        return SuccessRow(k, 100, *wilson(k, 100), k, max_steps=105)


@pytest.fixture
def base(tmp_path):
    config = compose([*WORDS, f"run.root={tmp_path}"])
    checkpoint = places_of(config).checkpoints / "1900"
    (checkpoint / "params").mkdir(parents=True)
    (checkpoint / "params" / "weights").write_text("w")
    return Policy(config, checkpoint, "0123456789abcdef")


def improvement(base, method, fake):
    return Improvement(method, base, Stages(fake.train, fake.measure))


def test_each_round_trains_a_child_and_a_control_from_their_own_forerunners(base):
    method, fake = Method(), Fake()
    made = improvement(base, method, fake)
    result = made.run()
    names = [config.run.name for config in fake.trained]
    stem = f"one-corrections-{made.digest}"
    assert [names[0], names[2]] == [f"{stem}-r1", f"{stem}-r2"]
    assert names[1].startswith("one-control-") and names[3] == names[1].replace("-r1", "-r2")
    assert [source for _, source, _ in method.asked] == ["one", names[0]]
    first, control, second, last = fake.trained
    assert first.demos.corrected == f"corrections-{made.digest}-r1" and second.demos.corrected.endswith("-r2")
    assert control.demos.corrected == last.demos.corrected == ""
    assert [names[0] in second.weights.path, names[1] in last.weights.path] == [True, True]
    for config in fake.trained:
        assert (config.train.steps, config.tower.warm_up.steps, config.weights.kind) == (7, 0, "pi05")
        assert config.eval.oracle_episodes == config.eval.untrained_episodes == 0
    rates = result["rounds"][1]["rates"]
    assert (result["base"]["k"], rates["corrected"]["k"], rates["control"]["k"]) == (40, 80, 44)
    assert result["rounds"][0]["fisher"]["corrected and control"]["differ"]
    assert not result["rounds"][0]["fisher"]["base and control"]["differ"]
    assert json.loads((made.folder / "results.json").read_text()) == json.loads(json.dumps(result))
    assert set(result["rounds"][0]["minutes"]) == {
        "made",
        "train corrected",
        "train control",
        "eval corrected",
        "eval control",
    }


@pytest.mark.parametrize("killed_at", ["corrected", "control"])
def test_after_a_kill_only_what_is_missing_trains(base, killed_at):
    fake = Fake(killed_at)
    with pytest.raises(KeyboardInterrupt):
        improvement(base, Method(), fake).run()
    before = len(fake.trained)
    result = improvement(base, Method(), fake).run()
    assert len(fake.trained) == 4 and before == (0 if killed_at == "corrected" else 1)
    assert [told["rates"]["corrected"]["k"] for told in result["rounds"]] == [70, 80]


def test_methods_share_the_control_of_a_base(base):
    fake = Fake()
    improvement(base, Method(), fake).run()
    improve = dataclasses.replace(base.config.improve, name="calql", rounds=1)
    other = dataclasses.replace(base, config=dataclasses.replace(base.config, improve=improve))
    result = improvement(other, Method(), fake).run()
    assert len(fake.trained) == 5 and result["rounds"][0]["rates"]["control"]["k"] == 44
    assert result["rounds"][0]["runs"]["control"] == str(places_of(fake.trained[1]).run)
    faster = dataclasses.replace(other.config, schedule=dataclasses.replace(other.config.schedule, peak_lr=1e-5))
    improvement(dataclasses.replace(base, config=faster), Method(), fake).run()
    names = [config.run.name for config in fake.trained]
    assert len(set(names)) == len(names), "a control that trains otherwise is another one"


def test_a_round_without_corrections_is_the_last(base, capsys):
    result = improvement(base, Method(nothing_in=1), Fake()).run()
    assert len(result["rounds"]) == 1 and result["rounds"][0]["runs"] == {}
    assert "made nothing to train on" in capsys.readouterr().out
    assert len(columns(result)[0].cells) == 1


def test_the_table_has_a_line_for_each_policy(base):
    result = improvement(base, Method(), Fake()).run()
    names, success, _, beside_base, beside_control, _ = (column.cells for column in columns(result))
    assert names == ["base", "round 1 corrected", "round 1 control", "round 2 corrected", "round 2 control"]
    assert success == ["40/100", "70/100", "44/100", "80/100", "44/100"]
    assert beside_base[2].endswith("(not told apart)") and beside_control[0] == beside_control[2] == ""
    assert "3 corrections" in lines(result)[0] and "grasped late 3" in lines(result)[0]


def test_rounds_end_where_one_is_not_told_from_the_one_before(base, capsys):
    result = improvement(base, Method(until_level=True), Fake()).run()  # 40, 70, 80 of 100
    assert [told["rates"]["corrected"]["k"] for told in result["rounds"]] == [70, 80]
    asked = dataclasses.replace(base.config, improve=dataclasses.replace(base.config.improve, rounds=4))
    result = improvement(dataclasses.replace(base, config=asked), Method(until_level=True), Fake()).run()
    assert len(result["rounds"]) == 2
    assert "round 2 is not told from what was before it (70/100, then 80/100)" in capsys.readouterr().out


def test_what_only_acts_otherwise_is_not_trained(base):
    fake = Fake()
    result = improvement(base, Method(trains=False), fake).run()
    assert all("-control-" in config.run.name for config in fake.trained) and len(fake.trained) == 2
    told = result["rounds"][1]
    assert told["runs"]["corrected"] == str(base.places.run) and told["rates"]["corrected"]["digest"] == base.digest


def test_what_no_child_can_train_with_is_said_before_anything_starts(base, monkeypatch):
    monkeypatch.setattr("pirig.improving.door.method_named", lambda name: Method())
    monkeypatch.setattr(improve, "policy_of", lambda config: base)
    with pytest.raises(ValueError, match=r"the cosine ends at step 7, which includes the warm-up"):
        improve.make(base.config)
    assert not (base.places.run / "improve").exists()


def test_a_method_that_nobody_knows_is_named():
    assert method_named("corrections")
    with pytest.raises(ValueError, match=r"improve\.name=dreams: expected one of calql, corrections"):
        method_named("dreams")
