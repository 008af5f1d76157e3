import functools
from types import SimpleNamespace

import pytest

from pirig.config.load import of_run
from pirig.config.places import places_of
from pirig.datasets.frame_cache import frame_cache
from pirig.datasets.lerobot.read import Dataset
from pirig.evaluation.workers import WorkerPool
from pirig.policies.card import PolicyCard
from pirig.policies.policy import load_pipeline, load_policy
from pirig.runs.progress import newest_checkpoint
from pirig.transforms.normalize import load_norm_stats


@pytest.fixture(scope="session")
def good(smoke_run):
    """The parts of a healthy run; a fault changes a copy of one of them."""
    config = of_run(smoke_run.folder, [])
    checkpoint = newest_checkpoint(smoke_run.folder)
    pipeline = load_pipeline(checkpoint)
    places = places_of(config, pipeline.contract)
    folder = places.data_set
    return SimpleNamespace(
        folder=smoke_run.folder,
        config=config,
        checkpoint=checkpoint,
        contract=pipeline.contract,
        pipeline=pipeline,
        card=PolicyCard.load(checkpoint),
        stats=load_norm_stats(places.norm_stats),
        open_dataset=lambda: Dataset(folder),
        open_images=lambda: frame_cache(Dataset(folder), pipeline.contract.image_px, places.frame_caches),
        policy=functools.cache(lambda: load_policy(checkpoint, flow_steps=2, batch_size=8)),
    )


@pytest.fixture(scope="session")
def pool(good):
    with WorkerPool(good.contract, 1) as pool:
        yield pool
