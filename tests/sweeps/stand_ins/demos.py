"""Stands in for demos: counts how often it was asked. Tasks called pull_cube fail."""

import os
import time

from pirig.config.agreement import contract_of
from pirig.files.atomic import write_text
from pirig.runs.record import data_folder


def make(config):
    folder = data_folder(config, contract_of(config))
    with open(folder / "asked.txt", "a") as file:
        file.write(f"{time.time()} {os.environ.get('CUDA_VISIBLE_DEVICES', '')}\n")
    if config.task.name == "pull_cube":
        raise ValueError("no demo of pull_cube succeeded")
    write_text(folder / "demos" / "manifest.json", "{}")


def run(config):
    make(config)
    return 0
