"""Stands in for demos: counts how often it was asked. Tasks called pull_cube fail."""

import os
import time

from pirig.config.places import places_of
from pirig.files.atomic import write_text


def make(config, places):
    with open(places.data / "asked.txt", "a") as file:
        file.write(f"{time.time()} {os.environ.get('CUDA_VISIBLE_DEVICES', '')}\n")
    if config.task.name == "pull_cube":
        raise ValueError("no demo of pull_cube succeeded")
    write_text(places.demos / "manifest.json", "{}")


def run(config):
    make(config, places_of(config))
    return 0
