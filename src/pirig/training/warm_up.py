"""A tower that learns where things are before any policy: labels of random scenes, read off its tokens.

What it has learned from is in its folder's name, so every run of the same cameras, tower and scenes starts from the same one.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pirig.config.schema import WarmUpConfig
from pirig.files.atomic import staging_folder
from pirig.files.identity import FILE_NAME
from pirig.models.layout import flatten
from pirig.models.leaves import Tree, draw, nest
from pirig.models.sizes import ModelConfig
from pirig.models.towers.door import tower_named
from pirig.runs.lock import held_in_turn
from pirig.scenes.labelled import METRES, LabelledScenes
from pirig.training.augment import augment
from pirig.training.auxiliary.labels import SCALE_M, LabelLoss, of_labels
from pirig.training.heat import off_place
from pirig.training.scene_rows import SceneRows
from pirig.training.warmed import RECORD, WEIGHTS, WarmedUp, identity_of, load, made_from, name_of, said_of, take

RISE_STEPS, FINAL_LR, CLIP_NORM, WEIGHT_DECAY = 100, 1e-5, 1.0, 1e-4
MEASURED = 8  # times in a warm-up
MEASURE_ROWS = 64


def warm_up(
    sets: Sequence[LabelledScenes],
    model: ModelConfig,
    settings: WarmUpConfig,
    place: Callable[[str], Path],
) -> WarmedUp:
    """The tower of `model`, warmed up on `sets` (one of each task) and kept in `place(digest)`; found there if it is made.

    Raises ValueError where a label is unknown, a loss is not finite or what lies there is torn, IdentityError where it was made
    from something else.
    """
    loss = _loss(sets, settings)
    made = made_from(sets, model, settings, loss.labels, loss.turns, loss.alike)
    folder, asked = place(name_of(made)), identity_of(made, sets)
    with held_in_turn(folder.with_name(f".{folder.name}.making")):
        if folder.is_dir():
            warmed = take(folder, asked)
        else:
            tower, heads, record = _Fit(sets, model, settings, loss).run()
            with staging_folder(folder) as staging:
                flat = flatten({"tower": tower, "heads": heads})
                np.savez(staging / WEIGHTS, **{name: np.asarray(leaf) for name, leaf in flat.items()})
                (staging / RECORD).write_text(json.dumps({**record, "made_from": made}, indent=2) + "\n")
                asked.save(staging / FILE_NAME)
            warmed = load(folder)
    print(f"{warmed.said()} ({folder.name})", flush=True)
    return warmed


def require_heat_maps(model: ModelConfig, settings: WarmUpConfig) -> None:
    """Raises ValueError where heat maps are to be taught that the tower does not have."""
    if settings.places and tower_named(model.tower).encode_with_heat is None:
        raise ValueError(
            f"tower.warm_up.places={settings.places:g}: tower={model.tower} has no heat maps that could learn where things are "
            "in a picture; choose tower=keypoints, or tower.warm_up.places=0"
        )


def started_from(params: Tree, model: ModelConfig, warmed: WarmedUp) -> Tree:
    """The model's parameters with the tower that has been warmed up. Raises ValueError where it is another one's."""
    tower = tower_named(model.tower)
    ours, theirs = (
        {path: np.shape(leaf) for path, leaf in flatten(tree).items()} for tree in (tower.of(params), warmed.tower)
    )
    wrong = [path for path in ours | theirs if ours.get(path) != theirs.get(path)]
    if wrong:
        raise ValueError(f"{warmed.folder}: its {wrong[0]} is not that of tower={model.tower}; warm it up again")
    return tower.put(params, jax.tree.map(jnp.asarray, warmed.tower))


def heads_started_from(heads: Tree, losses: Mapping[str, Any], warmed: WarmedUp) -> Tree:
    """The heads of label losses with what the warm-up learned for labels of the same name, number and scale."""

    def of_label(label: str, fresh: Tree) -> Tree:
        known = warmed.heads.get(label)
        fits = known is not None and jax.tree.map(jnp.shape, known) == jax.tree.map(jnp.shape, fresh)
        return jax.tree.map(jnp.asarray, known) if fits else fresh

    def of_loss(name: str, head: Tree) -> Tree:
        loss = losses[name].loss
        same = isinstance(loss, LabelLoss) and loss.scale_m == SCALE_M and _same_turns(loss, warmed)
        return {label: of_label(label, fresh) for label, fresh in head.items()} if same else head

    return {name: of_loss(name, head) for name, head in heads.items()}


def _same_turns(loss: LabelLoss, warmed: WarmedUp) -> bool:
    learned = warmed.record["made_from"]["turns"]
    return all(learned.get(name, count) == count for name, count in loss.turns.items())


def _loss(sets: Sequence[LabelledScenes], settings: WarmUpConfig) -> LabelLoss:
    known = sorted({name for scenes in sets for name, rows in scenes.labels.items() if np.isfinite(rows).any()})
    unknown = sorted(set(settings.labels) - set(known))
    if unknown:
        raise ValueError(f"tower.warm_up.labels: the scenes show no {unknown[0]}; they show {', '.join(known)}")
    try:
        loss = of_labels(known, settings.labels, turns=settings.turns, unseen=settings.unseen, alike=settings.alike)
    except ValueError as error:
        raise ValueError(f"tower.warm_up.{error}") from error
    if not loss.labels:
        raise ValueError(
            f"{sets[0].folder}: no thing of the task is in sight in any scene; choose another camera=, or tower.warm_up.steps=0"
        )
    return loss


class _Fit:
    """Steps on all scenes but the held-out ones, measured on those."""

    def __init__(
        self, sets: Sequence[LabelledScenes], model: ModelConfig, settings: WarmUpConfig, loss: LabelLoss
    ) -> None:
        self.tower, self.model, self.settings, self.loss = tower_named(model.tower), model, settings, loss
        self.see = self.tower.encode_with_heat if settings.places else None
        self.scenes = SceneRows(sets, loss.labels, held_out=settings.held_out, seed=settings.seed)
        self.shown = _orders_of_points(loss)

    def run(self) -> tuple[Tree, Tree, dict[str, Any]]:
        settings, started_s, curve = self.settings, time.monotonic(), []
        rise = min(RISE_STEPS, settings.steps // 5)
        rate = optax.warmup_cosine_decay_schedule(0.0, settings.peak_lr, rise, settings.steps, FINAL_LR)
        self.optimizer = optax.chain(optax.clip_by_global_norm(CLIP_NORM), optax.adamw(rate, weight_decay=WEIGHT_DECAY))
        tree = self._fresh()
        state = self.optimizer.init(tree)
        step, measure = jax.jit(self._step, donate_argnums=(0, 1)), jax.jit(self._wrong_mm)
        guess = {name: error["median"] for name, error in self._errors(_blind(tree), measure).items()}
        every = max(1, settings.steps // MEASURED)
        for number in range(settings.steps):
            rows = self.scenes.draw(settings.batch_size, number)
            batch = (*self.scenes.gather(rows), self.scenes.places[rows])
            tree, state, loss = step(tree, state, *batch, jax.random.key(number))
            if (number + 1) % every == 0 or number + 1 == settings.steps:
                errors = self._errors(tree, measure)
                curve.append({"step": number + 1, "loss": float(loss), "errors": errors})
                spent = f"{time.monotonic() - started_s:.0f} s"
                print(
                    f"warm-up: step {number + 1}, loss {float(loss):.4f}, {spent}: {said_of(errors)}", file=sys.stderr
                )
                if not np.isfinite(float(loss)):
                    raise ValueError(
                        f"warm-up: the loss at step {number + 1} is not finite; lower tower.warm_up.peak_lr"
                    )
        seconds = round(time.monotonic() - started_s, 1)
        held_out = len(self.scenes.held_out)
        known = {"errors": curve[-1]["errors"], "guess": guess}
        return tree["tower"], tree["heads"], {**known, "seconds": seconds, "held_out": held_out, "curve": curve}

    def _fresh(self) -> Tree:
        key, config = jax.random.key(self.settings.seed), self.model.image
        specs = self.tower.leaves(config, self.model.vlm.width)
        drawn = nest({path: draw(key, f"{self.tower.root}/{path}", leaf) for path, leaf in specs.items()})
        tower = self.tower.fresh(key, config, drawn)
        images, _ = self.scenes.gather(self.scenes.rows[:1])
        features = jax.eval_shape(self._tokens, tower, images)
        return {"tower": tower, "heads": self.loss.init(jax.random.fold_in(key, 1), features, self.scenes.labels)}

    def _tokens(self, tower: Tree, images: Mapping[str, jax.Array]) -> jax.Array:
        dtype = jnp.dtype(self.model.compute_dtype)
        return self.tower.encode(tower, self.model.image, images, dtype=dtype, remat=False)

    def _step(
        self,
        tree: Tree,
        state: Any,
        images: Mapping[str, jax.Array],
        labels: Mapping[str, jax.Array],
        places: jax.Array,
        key: jax.Array,
    ) -> tuple[Tree, Any, jax.Array]:
        seen = augment(key, images, 0)  # colours only: a shift would make the labels wrong

        def total(tree: Tree) -> jax.Array:
            tokens, missed = self._taught(tree["tower"], seen, places)
            return self.loss.measure(tree["heads"], tokens, labels, missed)[0].mean()

        loss, gradient = jax.value_and_grad(total)(tree)
        updates, state = self.optimizer.update(gradient, state, tree)
        return optax.apply_updates(tree, updates), state, loss

    def _taught(self, tower: Tree, images: Mapping[str, jax.Array], places: jax.Array) -> tuple[jax.Array, Any]:
        """Tokens, and what its heat maps miss where things are given to them in each order, [orders, B]."""
        if self.see is None:
            return self._tokens(tower, images), 0.0
        dtype = jnp.dtype(self.model.compute_dtype)
        tokens, log_heat = self.see(tower, self.model.image, images, dtype=dtype, remat=False)
        missed = [off_place(log_heat, places[:, order]) for order in self.shown]
        return tokens, self.settings.places * jnp.stack(missed)

    def _wrong_mm(
        self, tree: Tree, images: Mapping[str, jax.Array], labels: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        return self.loss.measure(tree["heads"], self._tokens(tree["tower"], images), labels)[1]

    def _errors(self, tree: Tree, measure: Callable[..., dict[str, jax.Array]]) -> dict[str, dict[str, float]]:
        """Median and 90th percentile by label on the held-out scenes, in the unit of its name (mm, deg)."""
        found: dict[str, list[np.ndarray]] = {}
        for start in range(0, len(self.scenes.held_out), MEASURE_ROWS):
            rows = self.scenes.held_out[start : start + MEASURE_ROWS]
            padded = np.concatenate([rows, np.repeat(rows[-1:], MEASURE_ROWS - len(rows))])
            for name, wrong in measure(tree, *self.scenes.gather(padded)).items():
                found.setdefault(name, []).append(np.asarray(wrong)[: len(rows)])
        whole = {name: np.concatenate(parts) for name, parts in found.items()}
        known = {name: wrong[np.isfinite(wrong)] for name, wrong in whole.items()}
        return {
            name: {"median": float(np.median(wrong)), "p90": float(np.quantile(wrong, 0.9))}
            for name, wrong in known.items()
            if len(wrong)
        }


def _orders_of_points(loss: LabelLoss) -> list[np.ndarray]:
    """In each order of the labels, which of their points each heat map is to show, [points]."""
    points = [at for at, name in enumerate(loss.labels) if name.endswith(METRES)]
    number = {at: point for point, at in enumerate(points)}
    return [np.argsort([number[order[at]] for at in points]) for order in loss.orders]


def _blind(tree: Tree) -> Tree:
    """With heads that give the mean of what they learn, whatever is seen."""
    heads = {name: {**head, "kernel": jnp.zeros_like(head["kernel"])} for name, head in tree["heads"].items()}
    return {**tree, "heads": heads}
