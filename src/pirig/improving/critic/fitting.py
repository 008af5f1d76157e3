"""The loop that a critic and the heads share: many small steps in one compiled program, kept whole, resumed to the same bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pirig.files import identity
from pirig.files.atomic import clear_leftovers, replacing
from pirig.files.identity import Identity
from pirig.files.progress import Progress
from pirig.training.metrics import MetricsFile

STATE = "state.npz"
BLOCK = 100  # steps of a compiled call, and of a line of metrics

State = Any  # a tree of arrays: parameters, target, optimiser
Advance = Callable[[State, Any, jax.Array], tuple[State, dict[str, jax.Array]]]  # (state, data, the step's key)


@dataclass(frozen=True)
class Fitting:
    """`made`: what the result depends on; `folder` holds what is learned, and nothing else. `label`: of the progress line."""

    label: str
    folder: Path
    made: Identity
    steps: int
    save_every: int
    seed: int

    def run(self, start: State, data: Any, advance: Advance) -> State:
        """The state after all steps; from what is kept in the folder where that is a part of them.

        Raises IdentityError where something else is kept there, and ValueError where a number is not finite: what was kept
        before stays.
        """
        self._open()
        step, state = self._kept(start)
        if step == self.steps:
            print(f"{self.label}: has learned already, in {self.folder}", flush=True)
        metrics, program = MetricsFile(self.folder, step), cache(partial(_program, advance))
        try:
            with Progress(self.label, self.steps, step) as progress:
                for first, last in self._blocks(step):
                    state, numbers = self._advanced(program(last - first), state, data, first, last)
                    metrics.add({"step": last, **numbers})
                    if last % self.save_every == 0 or last == self.steps:
                        metrics.flush()
                        self._keep(last, state)
                    progress.advance(last - first, note=_note(numbers))
        finally:
            metrics.close()
        return state

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        clear_leftovers(self.folder)
        file = self.folder / identity.FILE_NAME
        there = identity.load(file)
        if there is not None:
            identity.require(self.made, there, self.folder, identity.move_away(self.folder))
        else:
            self.made.save(file)

    def _blocks(self, step: int) -> Iterator[tuple[int, int]]:
        """The same cuts whether or not a call was killed: what is kept ends at one of them."""
        while step < self.steps:
            kept = min(step - step % self.save_every + self.save_every, self.steps)
            last = min(step + BLOCK, kept)
            yield step, last
            step = last

    def _advanced(self, program: Any, state: State, data: Any, first: int, last: int) -> tuple[State, dict[str, float]]:
        state, told = program(state, data, jax.random.key(self.seed), first)
        numbers = {name: float(value) for name, value in told.items()}
        bad = [name for name, value in numbers.items() if not math.isfinite(value)]
        if bad:
            raise ValueError(
                f"{self.label}: {bad[0]} is not finite in the steps {first + 1} to {last}; expected a number. Look for what "
                "is not finite in the data, or lower the learning rate"
            )
        return state, numbers

    def _kept(self, start: State) -> tuple[int, State]:
        file = self.folder / STATE
        if not file.is_file():
            return 0, start
        with np.load(file) as arrays:
            leaves = {_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(start)}
            wrong = [name for name, leaf in leaves.items() if name not in arrays or arrays[name].shape != leaf.shape]
            if wrong:
                raise ValueError(f"{file}: {wrong[0]} is not what is trained here; {identity.move_away(self.folder)}")
            state = jax.tree_util.tree_map_with_path(lambda path, _: jnp.asarray(arrays[_name(path)]), start)
            return int(arrays["step"]), state

    def _keep(self, step: int, state: State) -> None:
        leaves = {_name(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(state)}
        with replacing(self.folder / STATE) as file:
            np.savez(file, step=np.int64(step), **leaves)


def drawn(key: jax.Array, count: int, *below: int) -> list[jax.Array]:
    """For each of `below`, at most 2^24, `count` whole numbers from 0 on, of one draw: several compile for longer."""
    shares = jax.random.uniform(key, (len(below), count))
    return [jnp.minimum((share * most).astype(jnp.int32), most - 1) for share, most in zip(shares, below, strict=True)]


def _program(advance: Advance, count: int) -> Any:
    def block(state: State, data: Any, key: jax.Array, first: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        def one(state: State, step: jax.Array) -> tuple[State, dict[str, jax.Array]]:
            return advance(state, data, jax.random.fold_in(key, step))

        state, told = jax.lax.scan(one, state, first + jnp.arange(count))
        return state, jax.tree.map(jnp.mean, told)

    return jax.jit(block)


def _name(path: tuple) -> str:
    return "state" + jax.tree_util.keystr(path)


def _note(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in list(numbers.items())[:3])
