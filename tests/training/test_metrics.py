"""The metrics file after a kill, the table, the picture sheets, and wandb without an account."""

import json

import numpy as np

from pirig.training.curve import draw_curve, smooth
from pirig.training.metrics import MetricsFile, Screen, read_rows, sample_sheet


def row(step):
    timing = {"samples_per_s": 10.0, "step_s": 0.5, "loader_s": 0.1, "elapsed_s": step * 0.5}
    return {"step": step, "loss": 1.0 / step, "grad_norm": 1.0, "param_norm": 2.0, "lr": 1e-4, **timing}


def test_rows_after_the_checkpoint_and_a_torn_line_are_left_out(tmp_path):
    file = MetricsFile(tmp_path, 0)
    for step in range(1, 8):
        file.add(row(step))
    file.close()
    with open(file.path, "a") as handle:
        handle.write('{"step": 8, "lo')
    again = MetricsFile(tmp_path, 5)
    again.add(row(6))
    again.close()
    assert [entry["step"] for entry in read_rows(file.path)] == [1, 2, 3, 4, 5, 6]


def test_table_shows_mean_loss_loader_share_and_eta(capsys):
    screen = Screen(steps=40, log_every=10)
    for step in range(1, 21):
        screen.add(row(step))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and "ETA" in lines[0]
    assert lines[2].split() == ["20/40", "0.0669", "1.000", "1.00e-04", "10.0", "20.0%", "0:10", "0:10"]


def test_curve_and_smoothing(tmp_path):
    np.testing.assert_allclose(smooth(np.array([1.0, 2.0, 3.0, 4.0]), 2), [1.0, 1.5, 2.5, 3.5])
    draw_curve([row(step) for step in range(1, 100)], tmp_path / "loss.png", "push_cube")
    assert [path.name for path in tmp_path.iterdir()] == ["loss.png"]


def test_sheet_has_images_above_and_augmented_below():
    images = np.arange(3 * 4 * 4 * 3, dtype=np.uint8).reshape(3, 4, 4, 3)
    sheet = sample_sheet(images, images / 127.5 - 1.0)
    assert sheet.shape == (8, 12, 3)
    np.testing.assert_array_equal(sheet[:4], sheet[4:])


def test_wandb_offline_needs_no_account(small, tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    small.train(tmp_path, wandb="offline")
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    images = list(tmp_path.glob("wandb/offline-run-*/files/media/images/samples/*.png"))
    assert any("base_0_rgb" in path.name for path in images)
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])["step"] == 1
