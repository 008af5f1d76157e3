"""Holds our model to numbers recorded from openpi.

    python -m tests.golden.check --config VARIANT.json --inputs I.npz --params P.npz --outputs O.npz

Prints each recorded array's largest difference and its tolerance; exits 1 where one is over. The tolerances:
loss and samples 5e-5, as it stands; activations (and sums of a cache) 2e-5 times max(1, the array's largest recorded
magnitude); with bfloat16 compute or parameters 3e-2 instead of either. Norms of gradients 1e-3 of the recorded norm
(3e-2 with bfloat16 parameters) and 1e-6 of the global norm, since some true gradients are 0. Whole numbers and masks
must be equal. A recorded array that is not known here is listed as "not checked".
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from pirig.models.layout import Tree
from tests.golden.ours import SAMPLE, Ours
from tests.golden.variant import bf16_paths, image_size_px, read_arrays, read_batch, read_config, read_params

ACTIVATION, RESULT, HALF, GRADIENT = 2e-5, 5e-5, 3e-2, 1e-3
GRADIENT_FLOOR = 1e-6  # of the global norm
BF16_PREFIXES = {"bf16compute_": False, "bf16params_": True}  # whether the parameters are bfloat16, too
GLOBAL_NORM = "grad_global_norm"
WHY_NOT = {"prefix_only_out_absdiff": "about openpi's padding rows, whose output nobody reads"}


@dataclass(frozen=True)
class Difference:
    """`largest` is None where nothing of ours answers to the name; inf for other shapes or NaN."""

    name: str
    largest: float | None
    tolerance: float = 0.0
    note: str = ""

    @property
    def failed(self) -> bool:
        return self.largest is not None and not self.largest <= self.tolerance

    def __str__(self) -> str:
        if self.largest is None:
            return f"{self.name:75} not checked  {self.note}"
        verdict = "OVER" if self.failed else "ok"
        return f"{self.name:75} {self.largest:9.2e}  tolerance {self.tolerance:9.2e}  {verdict}  {self.note}".rstrip()


def compare_all(ours: Ours, recorded: dict[str, np.ndarray], half: list[str]) -> Iterator[Difference]:
    """One difference per recorded array; `half` are the paths of bfloat16 parameters."""
    asked = {prefix for prefix in BF16_PREFIXES if any(name.startswith(prefix) for name in recorded)}
    models = {"": ours} | {prefix: ours.in_bf16(params=BF16_PREFIXES[prefix]) for prefix in asked}
    for name, expected in recorded.items():
        prefix = next((prefix for prefix in BF16_PREFIXES if name.startswith(prefix)), "")
        if name == GLOBAL_NORM or name.startswith("gradnorm/"):
            yield _compare_gradient(ours, recorded, name, half)
        else:
            yield _compare(models[prefix], name, prefix, expected, in_half=bool(prefix or half))


def _compare(ours: Ours, name: str, prefix: str, expected: np.ndarray, *, in_half: bool) -> Difference:
    plain = name.removeprefix(prefix)
    got = ours.value(plain)
    if got is None:
        return Difference(name, None, note=WHY_NOT.get(name, "unknown name"))
    if got.shape != expected.shape:
        return Difference(name, np.inf, note=f"shape: expected {expected.shape}, got {got.shape}")
    got, expected, note = got.astype(np.float64), expected.astype(np.float64), ""
    rows = ours.valid_rows(plain)
    if rows is not None:
        got, expected, note = got[rows], expected[rows], f"{rows.sum()} valid rows of {rows.size}"
    return Difference(name, largest(got, expected), tolerance(plain, expected, in_half=in_half), note)


def _compare_gradient(ours: Ours, recorded: dict[str, np.ndarray], name: str, half: list[str]) -> Difference:
    """A leaf's norm, or the norm over all recorded leaves."""
    paths = [other.removeprefix("gradnorm/") for other in recorded if other.startswith("gradnorm/")]
    known = [path for path in paths if path in ours.grad_norms]
    whole = ours.global_norm(known)
    got = whole if name == GLOBAL_NORM else ours.value(name)
    if got is None:
        return Difference(name, None, note="no such parameter")
    expected = float(recorded[name])
    allowed = (HALF if half else GRADIENT) * expected + GRADIENT_FLOOR * float(whole)
    return Difference(name, largest(got, np.asarray(expected)), allowed)


def largest(got: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference; inf for NaN."""
    difference = float(np.abs(got - expected).max(initial=0.0))
    return np.inf if np.isnan(difference) else difference


def tolerance(name: str, expected: np.ndarray, *, in_half: bool) -> float:
    if name.endswith(("mask", "positions", "rowsum", "shape")):
        return 0.0
    if name.endswith("loss") or SAMPLE.fullmatch(name):
        return HALF if in_half else RESULT
    return (HALF if in_half else ACTIVATION) * max(1.0, float(np.abs(expected).max(initial=0.0)))


def check(config: Path, inputs: Path, params: Path, outputs: Path) -> list[Difference]:
    """The differences of one recorded variant."""
    arrays = read_arrays(inputs)
    model = read_config(config, image_size_px(arrays))
    tree: Tree = read_params(params, model)
    with jax.default_matmul_precision("highest"):  # accelerators shorten float32 products otherwise
        ours = Ours(tree, model, read_batch(arrays, model))
        return list(compare_all(ours, read_arrays(outputs), bf16_paths(tree)))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("config", "inputs", "params", "outputs"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    differences = check(**vars(parser.parse_args(arguments)))
    for difference in differences:
        print(difference)
    checked = [difference for difference in differences if difference.largest is not None]
    over = [difference for difference in checked if difference.failed]
    skipped = len(differences) - len(checked)
    print(f"{len(checked)} checked, {len(over)} over the tolerance, {skipped} not checked")
    return 1 if over or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
