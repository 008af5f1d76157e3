"""What the label losses of a run measured last, read from its metrics."""

import json

from pirig.diagnosis.outcome import label_errors


def test_the_newest_numbers_up_to_the_checkpoint_are_read(tmp_path):
    rows = [
        {"step": 10, "loss": 1.0, "validation_labels_loss": 0.5, "validation_labels_cubeA_position_mm": 31.0},
        {"step": 11, "loss": 0.9},
        {"step": 20, "loss": 0.8, "validation_labels_cubeA_position_mm": 12.0, "validation_labels_peg_yaw_deg": 9.0},
        {"step": 30, "loss": 0.7, "validation_labels_cubeA_position_mm": 4.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert label_errors(tmp_path, ["labels"], 20) == {"cubeA_position_mm": 12.0, "peg_yaw_deg": 9.0}
    assert label_errors(tmp_path, [], 20) == {} and label_errors(tmp_path / "none", ["labels"], 20) == {}
