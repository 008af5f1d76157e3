"""`pirig weights`: fetch openpi's weights, check any checkpoint's tree, export ours for openpi."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from pirig.stages.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pirig.models.sizes import ModelConfig
    from pirig.weights.load import Stored

SHOWN = 20  # leaves named in a report
ABOUT = """\
Weights of pi0 and pi0.5, openpi's and pirig's.

  pirig weights fetch pi05_base            into the cache that all runs (and users) share; goes on where it stopped
  pirig weights verify FOLDER              is it a whole pi0 or pi0.5 of the right size, and are all numbers finite?
  pirig weights export RUN FOLDER          the newest checkpoint of a run as a folder that openpi serves and trains on

In a run: weights=pi05_base, or weights=local weights.path=FOLDER for any checkpoint."""
FETCH = """\
Fetches a checkpoint from a public Google bucket, without an account: several files at once, each checked by its md5
(or crc32c), resumed after a break or a kill. The optimizer's moments (train_state/) stay behind.

  PIRIG_CACHE=FOLDER          where weights are kept (default: ~/.cache/pirig/weights); may be shared by a group
  PIRIG_WEIGHTS_URL=URL       a mirror of https://storage.googleapis.com that answers the same requests; --url too

On a machine without network: fetch elsewhere, copy the folder, give weights.path=FOLDER."""
VERIFY = """\
Compares every path and shape with the model's, counts parameters by type, and reads all numbers once for NaN and
infinity (a GB at a time). Exit status 1, with the names, if anything is wrong.

The model: a checkpoint of pirig says itself what it is; for others the kind is seen from the leaves and the nearest
named size is taken, unless --model, --size or --lora say what is expected."""
EXPORT = """\
Writes params/ with openpi's paths, assets/<id>/norm_stats.json, openpi_config.py (the TrainConfig to paste) and a
README.md that says what openpi would do otherwise than pirig did."""


def main(arguments: list[str]) -> int:
    """0, 1 where verify found something, 2 on a wrong call. Raises ValueError or FileExistsError with the reason."""
    parser = _parser()
    try:
        options = parser.read(arguments)
    except SystemExit as stop:  # argparse has printed help (0) or what is wrong (2)
        return int(stop.code or 0)
    return options.action(options)


def _parser() -> Options:
    parser = Options("pirig weights", description=ABOUT)
    verbs = parser.add_subparsers(required=True, metavar="fetch | verify | export")
    fetch = verbs.add_parser("fetch", description=FETCH, help="from openpi's public bucket")
    fetch.add_argument("name", help="pi05_base, pi0_base, ... or gs://BUCKET/FOLDER")
    fetch.add_argument("--url", help="a mirror's address (goes before PIRIG_WEIGHTS_URL)")
    fetch.add_argument("--recheck", action="store_true", help="read what is in the cache and compare checksums")
    fetch.set_defaults(action=_fetch)
    verify = verbs.add_parser("verify", description=VERIFY, help="check a checkpoint's tree")
    verify.add_argument("path", type=Path, help="a checkpoint, its params/, or a run's folder")
    verify.add_argument("--model", choices=("pi0", "pi05"), help="the kind that is expected")
    verify.add_argument("--size", help="the size that is expected: full, small, tiny")
    verify.add_argument("--lora", action="store_true", help="low-rank leaves are expected (of the size's own rank)")
    verify.add_argument("--no-numbers", action="store_true", help="do not read the arrays, only names and shapes")
    verify.set_defaults(action=_verify)
    export = verbs.add_parser("export", description=EXPORT, help="a checkpoint for openpi")
    export.add_argument("source", type=Path, help="a run's folder (its newest checkpoint) or a checkpoint's")
    export.add_argument("folder", type=Path, help="a new folder; its name becomes the config's")
    export.add_argument("--asset-id", default="pirig", help="name of the statistics' folder (default: pirig)")
    export.add_argument("--dtype", choices=("float32", "bfloat16"), help="cast all weights (default: as saved)")
    export.set_defaults(action=_export)
    return parser


def _fetch(options: argparse.Namespace) -> int:
    from pirig.weights.fetch import fetch

    print(f"weights: {fetch(options.name, url=options.url, recheck=options.recheck)}")
    return 0


def _export(options: argparse.Namespace) -> int:
    from pirig.policies.for_openpi import caveats, export

    exported = export(options.source, options.folder, asset_id=options.asset_id, dtype=options.dtype)
    for text in caveats(exported):
        print(f"note: {text}")
    print(f"exported {exported.source} to {options.folder}; {options.folder / 'README.md'} says how to go on")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from pirig.weights.load import params_folder, stored_leaves
    from pirig.weights.match import differences, shapes_of

    folder = params_folder(options.path)
    stored = stored_leaves(folder)
    shapes = shapes_of(stored)
    label, config = _expected(options, folder, shapes)
    print(f"{folder}: {label}")
    print(_counts(stored))
    problems = differences(shapes, config) + _damaged_files(folder)
    if not problems and not options.no_numbers:
        problems = _bad_numbers(folder, stored)
    for line in problems[:SHOWN]:
        print(f"WRONG {line}")
    if len(problems) > SHOWN:
        print(f"WRONG and {len(problems) - SHOWN} more")
    if not problems:
        print(
            f"ok    all {len(stored)} leaves are as expected" + ("" if options.no_numbers else ", all numbers finite")
        )
    return 1 if problems else 0


def _expected(options: argparse.Namespace, folder: Path, shapes: dict) -> tuple[str, ModelConfig]:
    """In words, and as the config to compare with."""
    from dataclasses import replace

    from pirig.models.sizes import SIZES
    from pirig.policies.card import card_beside
    from pirig.weights.match import WeightsError, kind_of, named_config, size_of

    try:
        kind, size_name = kind_of(shapes), size_of(shapes)
    except WeightsError as error:
        raise WeightsError(f"{folder}: {error}") from error
    card = card_beside(folder)
    if card is not None and not (options.model or options.size or options.lora):
        return f"{kind} weights by pirig, {_size_words(size_name)}, compared with its own policy.json", card.model
    size = options.size or size_name
    if size not in SIZES:
        raise WeightsError(
            f"{folder}: {kind} weights of none of the named sizes ({', '.join(SIZES)}); say --size to see the differences"
            if not options.size
            else f"--size {size}: expected one of {', '.join(SIZES)}"
        )
    config = replace(named_config(shapes, size), pi05=(options.model or kind) == "pi05")
    if options.lora:
        base = SIZES[size]
        config = replace(
            config,
            vlm=replace(config.vlm, lora=base.vlm_lora),
            expert=replace(config.expert, lora=base.expert_lora),
        )
    expected = f"{options.model or kind}, size={size}" + (", LoRA" if config.vlm.lora or config.expert.lora else "")
    return f"{kind} weights, {_size_words(size_name)}, compared with {expected}", config


def _size_words(size: str) -> str:
    return f"size={size}" if size else "a size of their own"


def _counts(stored: Mapping[str, Stored]) -> str:
    import math

    count: Counter[str] = Counter()
    for leaf in stored.values():
        count[leaf.dtype] += math.prod(leaf.shape)
    kinds = ", ".join(f"{number:,} {dtype}" for dtype, number in count.most_common())
    return f"{sum(count.values()):,} parameters in {len(stored)} leaves: {kinds}"


def _damaged_files(params: Path) -> list[str]:
    """Of a fetched checkpoint: files that differ from what the bucket had, by their checksums."""
    from pirig.weights.fetch import RECORD, damaged

    for folder in (params, params.parent):
        if (folder / RECORD).is_file():
            return [f"{folder / path} {problem}; pirig weights fetch --recheck mends it"
                    for path, problem in damaged(folder).items()]  # fmt: skip
    return []


def _bad_numbers(folder: Path, stored: Mapping[str, Stored]) -> list[str]:
    """Leaves of another type than float, and leaves with NaN or infinity."""
    import numpy as np

    from pirig.weights.load import arrays_in_parts

    floats = ("float32", "bfloat16", "float16", "float64")
    wrong = [
        f"{path}: {leaf.dtype}, expected a float type" for path, leaf in stored.items() if leaf.dtype not in floats
    ]
    for part in arrays_in_parts(folder, stored):
        for path, array in part.items():
            bad = int(array.size - np.isfinite(array).sum())
            if bad:
                wrong.append(f"{path}: {bad:,} of {array.size:,} numbers are NaN or infinite")
    return wrong
