"""What is submitted together, what waits for what, and what is left out. No SLURM is asked."""

import dataclasses
from pathlib import Path

import pytest

from pirig.config.load import compose
from pirig.runs.identity import named_by_id
from pirig.sweeps.plan import make_plan
from pirig.sweeps.points import Point
from pirig.sweeps.settings import SlurmSettings, check, read, resources
from pirig.sweeps.submit import Submitted, groups


@pytest.fixture(scope="module")
def base():
    return compose(["train.batch_size=8", "task=push_cube"])


@pytest.fixture(scope="module")
def other_task():
    return compose(["train.batch_size=8", "task=pull_cube"])


def point(config, tmp_path, seed, devices=1):
    changes = {
        "run": dataclasses.replace(config.run, root=str(tmp_path)),
        "train": dataclasses.replace(config.train, seed=seed),
        "fsdp": dataclasses.replace(config.fsdp, devices=devices),
    }
    return Point(named_by_id(dataclasses.replace(config, **changes)), (f"seed={seed}",))


def nobody(folder, stage):
    return None


def placed(plan, stage, array):
    """The tasks of a stage as one array."""
    tasks = [task for task in plan.tasks.values() if task.stage == stage]
    return {task.key: Submitted(task, f"{array}_{n}", str(array), Path("log")) for n, task in enumerate(tasks)}


def test_a_pipeline_makes_a_shared_data_set_once(base, other_task, tmp_path):
    points = [point(base, tmp_path, 1), point(base, tmp_path, 2), point(other_task, tmp_path, 1)]
    plan = make_plan("pipeline", points, nobody)
    stages = [task.stage for task in plan.tasks.values()]
    assert {stage: stages.count(stage) for stage in stages} == {"data": 2, "train": 3, "report": 3}
    assert plan.states == ["start"] * 3 and plan.stages[1] == ("data", "train", "report")


def test_one_array_per_resource_class_and_data_set(base, other_task, tmp_path):
    points = [point(task, tmp_path, seed, n) for task in (base, other_task) for seed in (1, 2) for n in (1, 8)]
    plan, settings = make_plan("pipeline", points, nobody), SlurmSettings()
    (data,) = groups("data", plan.tasks.values(), settings, {})
    assert data.resources.gpus_per_node == 0 and data.after == ""
    arrays = groups("train", plan.tasks.values(), settings, placed(plan, "data", 7))
    found = {(group.resources.gpus_per_node, group.after): len(tasks) for group, tasks in arrays.items()}
    assert found == {(n, f"afterok:7_{d}"): 2 for n in (1, 8) for d in (0, 1)}
    (report,) = groups("report", plan.tasks.values(), settings, placed(plan, "train", 9))
    assert report.after == "aftercorr:9" and report.resources.gpus_per_node == 1


def test_a_sweep_of_one_stage_has_one_array_per_class(base, tmp_path):
    points = [point(base, tmp_path, seed, devices) for seed in (1, 2, 3) for devices in (1, 8)]
    plan = make_plan("train", points, nobody)
    arrays = groups("train", plan.tasks.values(), SlurmSettings(), {})
    assert sorted((str(group.resources), len(tasks)) for group, tasks in arrays.items()) == [("gpu1", 3), ("gpu8", 3)]


def test_what_is_done_is_left_out_and_what_was_cut_is_resumed(base, tmp_path):
    points = [point(base, tmp_path, seed) for seed in (1, 2, 3)]
    for one, step in ((points[0], base.train.steps), (points[1], 10)):
        (one.places.checkpoints / str(step)).mkdir(parents=True)
    plan = make_plan("train", points, nobody)
    assert plan.states == ["done", "resume", "start"] and len(plan.tasks) == 2


def test_jobs_of_an_earlier_launch_are_waited_for(base, tmp_path):
    one = point(base, tmp_path, 1)
    train = {one.places.run: "31_4"}
    plan = make_plan("pipeline", [one], lambda folder, stage: train.get(folder) if stage == "train" else None)
    (report,) = groups("report", plan.tasks.values(), SlurmSettings(), {})
    assert report.after == "afterok:31_4" and "train" not in {task.stage for task in plan.tasks.values()}


def test_a_run_that_another_process_writes_is_left_alone(base, tmp_path):
    plan = make_plan("train", [point(base, tmp_path, 1)], lambda folder, stage: "")
    assert plan.states == ["running"] and not plan.tasks


def test_resources_grow_with_the_gpus(base):
    config = dataclasses.replace(base, fsdp=dataclasses.replace(base.fsdp, devices=16))
    found = resources(config, "train", SlurmSettings())
    assert (found.nodes, found.gpus_per_node, found.cpus, found.memory_gb) == (2, 8, 32, 128)
    assert str(found) == "2x8gpu"
    with pytest.raises(ValueError, match="several nodes are used whole"):
        resources(config, "train", SlurmSettings(gpus_per_node=6))


def test_the_yaml_holds_every_key_and_no_other():
    import yaml

    given = yaml.safe_load(Path("conf/hydra/launcher/slurm.yaml").read_text())
    del given["_target_"]
    assert dataclasses.asdict(read(SlurmSettings, given)) == given
    with pytest.raises(ValueError, match="walltime"):
        read(SlurmSettings, {"walltime": 3})


def test_a_limit_below_the_warning_is_refused():
    settings = SlurmSettings()
    settings.eval.time_min = 5
    with pytest.raises(ValueError, match=r"hydra\.launcher\.eval\.time_min=5"):
        check(settings)
