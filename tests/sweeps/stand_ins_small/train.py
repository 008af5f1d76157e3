"""The real training loop with a model that compiles in a second; 20 ms a step, so that it can be cut off in the middle."""

import time

from pirig.runs.record import set_status


def make(config, places):
    from pirig.stages.small_model import MODEL, SmallDataset, small_pipeline

    from pirig.training.loop import train

    def slow():
        time.sleep(0.02)
        return False

    data = SmallDataset()
    options = {"resume": True, "model": MODEL, "should_stop": slow, "schedule": config.schedule}
    result = train(places.run, config.train, small_pipeline(), data, data.frames, **options)
    set_status(places.run, "train", "stopped" if result.stopped else "done", by=result.stopped)
    return result
