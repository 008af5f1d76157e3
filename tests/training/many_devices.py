"""Run as a script by test_many_devices.py: trains the small model, prints one JSON line. Arguments: folder, JSON options."""

import dataclasses
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def main() -> None:
    folder, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    from pirig.training import processes

    processes.join()
    import conftest
    import jax

    from pirig.config.schema import LossConfig, TrainConfig
    from pirig.training.loop import train
    from pirig.training.losses import auxiliary_losses
    from pirig.training.sharding import make_placement

    data, pipeline = conftest.SmallDataset(), conftest.small_pipeline()
    settings = TrainConfig(
        steps=6, batch_size=8, ema=0.9, save_every=3, shift_px=1,
        accumulate=options.get("accumulate", 1),
    )  # fmt: skip
    auxiliary = auxiliary_losses({"cube": LossConfig("labels", 0.5)} if options.get("labels") else {}, data.labels)
    schedule, split = dataclasses.replace(conftest.SCHEDULE, decay_steps=6), []
    for name, fsdp, steps, resume in options["runs"]:
        placement = make_placement(fsdp, min_bytes=64, batch_size=8, accumulate=settings.accumulate) if fsdp else None
        here = dataclasses.replace(settings, steps=steps)
        held_out = [1] if options.get("held_out") else []
        train(folder / name, here, pipeline, data, data.frames, schedule=schedule, resume=resume, model=conftest.MODEL,
              placement=placement, held_out=held_out, auxiliary=auxiliary)  # fmt: skip
        if placement:
            kernel = jax.ShapeDtypeStruct((213, 16), "float32")
            split.append(placement.tree({"in": {"kernel": kernel}})["in"]["kernel"].shard_shape(kernel.shape))
    print(json.dumps({"processes": jax.process_count(), "devices": len(jax.devices()), "split": split}))


if __name__ == "__main__":
    main()
