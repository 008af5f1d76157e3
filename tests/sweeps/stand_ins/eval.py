import json
import time

from pirig.comparison.success import SuccessRow
from pirig.evaluation.measured import Measured
from pirig.evaluation.seeds import step_limit
from pirig.evaluation.target import result_settings, results_folder
from pirig.files.atomic import write_text
from pirig.runs.progress import newest_checkpoint


def make(config, places):
    checkpoint = newest_checkpoint(places.run)
    limit = step_limit(config.eval.max_steps, config.eval.step_margin, [10, 12])
    target = results_folder(places.evaluations, checkpoint, result_settings(config, checkpoint, limit))
    row = SuccessRow(k=1, n=40, low=0.0, high=0.2, k_at_end=1)
    measured = Measured({name: row for name in ("policy", "oracle", "untrained")})
    measured.save(target)
    write_text(places.run / "measured.json", json.dumps({"time": time.time()}))
    return measured
