"""metrics.jsonl, thinned: nothing that matters is lost, and files that a kill or a NaN spoilt are read."""

import json

import numpy as np
import pytest

from pirig.comparison.collect import collect
from pirig.comparison.compare import Comparison
from pirig.comparison.curves import BUCKETS, coarser, read_columns, read_training, thin
from pirig.comparison.page.build import write_page
from tests.comparison.run_folders import RunFolders, metrics


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_a_spike_survives_thinning():
    rows = list(metrics(5000, 0))
    rows[3210]["grad_norm"] = 777.0
    curve = thin(read_columns(lines(rows)), "grad_norm")
    assert len(curve.step) == BUCKETS and curve.step[-1] == 5000
    assert curve.high.max() == 777.0 and coarser(curve, 100).high.max() == 777.0
    assert len(coarser(curve, 100).step) == 100 and coarser(curve, 100).step[-1] == 5000
    values = np.array([row["grad_norm"] for row in rows])
    assert curve.low.min() == values.min()
    assert curve.mean[1] == pytest.approx(values[12:25].mean()) and curve.step[1] == 25


def test_few_steps_are_kept_as_they_are():
    rows = list(metrics(30, 0))
    curve = thin(read_columns(lines(rows)), "loss")
    assert curve.mean.tolist() == [row["loss"] for row in rows] and curve.step.tolist() == list(range(1, 31))


def test_a_torn_last_line_is_left_out():
    whole = lines(metrics(30, 0))
    assert read_columns(whole + b'{"step": 31, "lo')["step"].tolist() == list(range(1, 31))
    assert read_columns(b'{"st') == {}


def test_auxiliary_losses_and_what_they_measure_are_curves_of_the_page(tmp_path):
    names = ["total_loss", "labels_loss", "validation_labels_loss", "validation_labels_cube_position_mm"]
    names.append("validation_labels_cube_deg")
    folders = RunFolders(tmp_path)
    folders.write("labelled", {"horizon.steps": 20}, policy=(3, 40), steps=60)
    folders.write("plain", {"horizon.steps": 10}, policy=(3, 40), steps=60)
    path = tmp_path / "sweep" / "labelled" / "metrics.jsonl"
    rows = [json.loads(line) | dict.fromkeys(names, 0.25) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    runs = collect([tmp_path])
    drawn = {run.folder.name: set(run.training.curves) for run in runs}
    assert drawn["labelled"] - drawn["plain"] == set(names)
    page = tmp_path / "page.html"
    write_page(Comparison(runs), page)
    assert all(f'"{name}"' in page.read_text() for name in names)


def test_nan_is_no_point_of_a_curve():
    rows = list(metrics(30, 0))
    rows[4]["loss"] = float("nan")
    columns = read_columns(lines(rows))
    assert len(columns["step"]) == 30 and np.isnan(columns["loss"][4])
    assert len(thin(columns, "loss").step) == 29


def test_sparse_validation_loss_is_a_curve_of_its_own(tmp_path):
    rows = list(metrics(100, 0))
    for step in (50, 100):
        rows[step - 1]["validation_loss"] = 0.1 * step
    (tmp_path / "metrics.jsonl").write_bytes(lines(rows))
    training = read_training(tmp_path)
    assert training.curves["validation_loss"].step.tolist() == [50, 100]
    assert training.validation_loss == 10.0
    assert training.curves["loss"].step[-1] == 100


def test_milestones(tmp_path):
    rows = list(metrics(1200, 0))
    (tmp_path / "metrics.jsonl").write_bytes(lines(rows))
    found = read_training(tmp_path).milestones
    assert list(found) == [1, 500, 1000, 1200]
    assert found[1] == rows[0]["loss"]
    assert found[500] == pytest.approx(np.mean([row["loss"] for row in rows[480:500]]))


def test_no_metrics_yet(tmp_path):
    assert read_training(tmp_path).step == 0
    (tmp_path / "metrics.jsonl").write_text("")
    assert read_training(tmp_path).loss is None
