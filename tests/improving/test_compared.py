"""All improvements of a base beside one another, from what rounds with made-up stages wrote."""

import dataclasses
import json
from types import SimpleNamespace

import pytest

from benchmarks import improving
from pirig.comparison.statistics import fisher_exact, holm, wilson
from pirig.comparison.success import SuccessRow
from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.evaluation.results import EpisodeResult, ResultsFile
from pirig.improving.compared import of_run
from pirig.improving.door import Made, Policy
from pirig.improving.rounds import Improvement, Stages
from pirig.improving.table import columns_of_all
from tests.improving.test_rounds import WORDS, Fake

RATES = {"best_of": 60, "residual": 45, "corrected": 55, "control": 42, "base": 40}
RANKING = {"ranking": {"auc": 0.8, "low": 0.7, "high": 0.9}}


class Makes:
    """A method whose policy acts otherwise (`trains` False) or trains on; `facts` of each round."""

    until_level = False

    def __init__(self, arm, trains, *facts):
        self.called, self.trains, self.facts = arm, trains, facts

    def arm(self, config):
        return self.called

    def settings(self, config):
        return dataclasses.asdict(config.improve)

    def make(self, round):
        eval_ = dataclasses.replace(round.policy.config.eval, head="" if self.trains else self.called)
        return Made(dataclasses.replace(round.policy.config, eval=eval_), self.facts[round.number - 1], self.trains)


def measure(config):
    name = config.run.name
    arm = "control" if "control" in name else "corrected" if "corrections" in name else config.eval.head or "base"
    return SuccessRow(RATES[arm], 100, *wilson(RATES[arm], 100), RATES[arm], max_steps=105)


def improved(root, method, *words):
    config = compose([*WORDS, "eval.episodes=100", *words, f"run.root={root}"])
    checkpoint = places_of(config).checkpoints / "1900" / "params"
    checkpoint.mkdir(parents=True, exist_ok=True)
    (checkpoint / "weights").write_text("w")
    base = Policy(config, checkpoint.parent, "0123456789abcdef")
    fake = Fake()
    stages = Stages(fake.train, measure)
    return Improvement(method, base, stages), places_of(config).run


@pytest.fixture
def run(tmp_path):
    """Best of 4 and of 16, and a residual, with one round each; two rounds of corrections, of which nobody counted the steps."""
    calql = {"rolled_out": 4, "environment_steps": 300, "calibration": RANKING}
    for use, samples in (("best_of", 4), ("best_of", 16), ("residual", 8)):
        words = ["improve=calql", f"improve.use={use}", f"improve.best_of.samples={samples}"]
        made, run = improved(tmp_path, Makes(use, False, calql), *words, "improve.rounds=1")
        made.run()
    made, _ = improved(tmp_path, Makes("corrected", True, *[{"rolled_out": 4, "corrections": 2}] * 2))
    made.run()
    for number in (1, 2):
        results = ResultsFile(made.folder / f"round-{number}" / "rollouts")
        results.add(EpisodeResult(1, False, False, -1, 50 * number, 0.1), SimpleNamespace(dtype=object, shape=()))
    return run


def test_a_line_for_each_policy_and_one_for_a_control_that_they_share(run):
    (compared,) = of_run(run)
    names = [line.policy for line in compared.lines]
    assert names == [
        "base",
        "best_of, samples 4",
        "best_of, samples 16",
        "residual, bound 0.2",
        "corrected, 2 corrections, 7 more steps",
        "corrected, 4 corrections, 14 more steps, round 2",
        "control, 7 more steps",
        "control, 14 more steps, round 2",
    ]
    assert [line.k for line in compared.lines] == [40, 60, 60, 45, 55, 55, 42, 42]
    assert [line.environment_steps for line in compared.lines] == [0, 300, 300, 300, 50, 150, 0, 0]
    assert [line.rolled_out for line in compared.lines] == [0, 4, 4, 4, 4, 8, 0, 0]
    assert compared.lines[1].auc == (0.8, 0.7, 0.9) and compared.lines[4].auc is None


def test_each_is_beside_base_control_and_as_many_roll_outs_corrections(run):
    (compared,) = of_run(run)
    base, best, *_ = compared.lines
    assert base.p_base is None and best.p_base == fisher_exact(60, 100, 40, 100)
    assert best.p_control == fisher_exact(60, 100, 42, 100) and best.p_corrections == fisher_exact(60, 100, 55, 100)
    ours = [line.p_base for line in compared.lines[1:]]
    assert [line.p_base_holm for line in compared.lines[1:]] == holm(ours)
    corrected = next(line for line in compared.lines if line.arm == "corrected")
    assert corrected.p_corrections is None and corrected.p_control == fisher_exact(55, 100, 42, 100)
    assert all(line.p_control is None for line in compared.lines if line.arm == "control")


def test_after_other_roll_outs_nothing_stands_beside_the_corrections(run, tmp_path):
    more = {"rolled_out": 9, "environment_steps": 900, "calibration": RANKING}
    words = [
        "improve=calql",
        "improve.use=residual",
        "improve.residual.bound=0.4",
        "improve.scenes=9",
        "improve.rounds=1",
    ]
    made, _ = improved(tmp_path, Makes("residual", False, more), *words)
    made.run()
    (compared,) = of_run(run)
    (other,) = (line for line in compared.lines if line.improvement == made.folder.name and line.arm == "residual")
    assert other.p_corrections is None and other.policy == "residual, bound 0.4" and other.p_base is not None


def test_lines_of_one_name_say_what_sets_them_apart(run, tmp_path):
    words = ["improve=calql", "improve.use=residual", "improve.critic.alpha=0.5", "improve.rounds=1"]
    made, _ = improved(tmp_path, Makes("residual", False, {"rolled_out": 4}), *words)
    made.run()
    (compared,) = of_run(run)
    names = [line.policy for line in compared.lines if line.arm == "residual"]
    assert {name.split(", ")[2] for name in names} == {"critic.alpha 0.1", "critic.alpha 0.5"}


def test_other_held_out_scenes_are_a_table_of_their_own(run, tmp_path):
    words = ["improve=calql", "improve.use=residual", "eval.first_seed=100200", "improve.rounds=1"]
    made, _ = improved(tmp_path, Makes("residual", False, {"rolled_out": 4}), *words)
    made.run()
    assert [[line.arm for line in one.lines] for one in of_run(run)][1] == ["base", "residual", "control"]


def test_the_benchmark_writes_json_and_markdown_and_replaces_what_it_wrote(run, tmp_path, monkeypatch, capsys):
    (run / "environment.json").write_text(json.dumps({"versions": {"jax": "1"}}))
    monkeypatch.setattr(improving, "FILE", tmp_path / "improving.json")
    for _ in range(2):
        monkeypatch.setattr("sys.argv", ["improving", str(run), "--device", "cpu"])
        improving.main()
    (table,) = json.loads((tmp_path / "improving.json").read_text())
    assert table["run"] == f"{run.parent.name}/one" and table["lines"][1]["k"] == 60
    text = (tmp_path / "improving.md").read_text()
    assert "| best_of, samples 4 | 60/100 | 50.2% to 69.1% |" in text and str(tmp_path) not in text
    assert text.count("| base |") == 1 and "held-out scenes 100000 to 100099" in text
    assert capsys.readouterr().out.count("best_of, samples 16") == 2
    assert len(columns_of_all(of_run(run)[0])[0].cells) == len(table["lines"])


def test_a_run_of_which_nothing_was_improved_is_said(tmp_path):
    with pytest.raises(ValueError, match="no round of an improvement was measured; expected one of `pirig improve"):
        improving.tables_of(tmp_path, "cpu")
