"""Whether a critic knows: on held-out episodes, what it predicted beside what happened; and who may not use it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from pirig.comparison.statistics import Z_95
from pirig.files.atomic import write_text
from pirig.files.records import read_record
from pirig.improving.critic.experience import Experience, held_out_episodes
from pirig.models.critic.learned import Critic
from pirig.models.critic.network import Seen

FILE_NAME = "calibration.json"
BINS = 10


@dataclass(frozen=True)
class Bin:
    """Rows whose predicted value is from `low` on; means of what was predicted and of what the episode brought."""

    low: float
    n: int
    predicted: float
    happened: float


@dataclass(frozen=True)
class Ranking:
    """How often a success is valued above a failure, of all pairs of episodes (equal ones count half), with a 95 % interval."""

    auc: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """Of held-out episodes. `ranking`: of episodes by the mean value of their rows, `at_start`: by that of their first row; None
    without both a success and a failure. `correlation`: over rows, of prediction and return; None where one does not vary."""

    rows: int
    successes: int
    failures: int
    correlation: float | None
    error: float  # root of the mean square of prediction minus return
    ranking: Ranking | None
    at_start: Ranking | None
    bins: list[Bin] = field(default_factory=list)

    @property
    def skilled(self) -> bool:
        return self.ranking is not None and self.ranking.low > 0.5

    def save(self, folder: Path) -> None:
        write_text(folder / FILE_NAME, json.dumps(dataclasses.asdict(self), indent=1) + "\n")


def load(folder: Path) -> Calibration:
    """Raises FileNotFoundError, and ValueError where the file is another."""
    told = read_record(folder / FILE_NAME, *(one.name for one in dataclasses.fields(Calibration)))
    rankings = {name: told[name] and Ranking(**told[name]) for name in ("ranking", "at_start")}
    return Calibration(**{**told, **rankings, "bins": [Bin(**one) for one in told["bins"]]})


def calibrate(critic: Critic, experience: Experience, share: float, seed: int) -> Calibration:
    """On the episodes that `fit` held out with the same share and seed."""
    episodes = held_out_episodes(experience.succeeded, experience.own, share, seed)
    rows = np.flatnonzero(np.isin(experience.episode, episodes))
    told = experience.transitions
    seen = Seen(told.features[rows], told.state[rows])
    predicted = critic.of_rows(seen, told.chunk[rows][:, None])[:, 0].astype(float)
    happened = told.return_to_go[rows].astype(float)
    of_row, succeeded = experience.episode[rows], experience.succeeded[episodes]
    means = np.array([predicted[of_row == one].mean() for one in episodes])
    firsts = np.array([predicted[of_row == one][0] for one in episodes])
    return Calibration(
        len(rows),
        int(succeeded.sum()),
        int((~succeeded).sum()),
        _correlation(predicted, happened),
        math.sqrt(float(np.square(predicted - happened).mean())) if len(rows) else math.nan,
        ranking(means, succeeded),
        ranking(firsts, succeeded),
        bins(predicted, happened),
    )


def require_calibrated(calibration: Calibration, unskilled: bool) -> None:
    """Raises ValueError where the critic does not tell success from failure on held-out episodes; not where `unskilled` says that
    it may be used all the same."""
    if calibration.skilled or unskilled:
        return
    counts = f"{calibration.successes} successes and {calibration.failures} failures held out"
    if calibration.ranking is None:
        what = f"{counts}: without both nothing says whether the critic tells one from the other"
    else:
        rank = calibration.ranking
        what = (
            f"the critic values a success above a failure in {rank.auc:.0%} of the pairs of {counts} (95 % interval "
            f"{rank.low:.0%} to {rank.high:.0%}), so it may know nothing; expected an interval above 50 %"
        )
    raise ValueError(
        f"{what}. Roll the policy out on more scenes, train the critic longer (improve.critic.steps), or use it all the same "
        "with improve.critic.unskilled=true."
    )


def bins(predicted: Float[np.ndarray, " rows"], happened: Float[np.ndarray, " rows"]) -> list[Bin]:
    """Of equal width between 0 and 1, those that hold a row; what is predicted beyond counts to the outermost."""
    place = np.clip((predicted * BINS).astype(int), 0, BINS - 1)
    return [
        Bin(one / BINS, int(inside.sum()), float(predicted[inside].mean()), float(happened[inside].mean()))
        for one in range(BINS)
        if (inside := place == one).any()
    ]


def ranking(scores: Float[np.ndarray, " episodes"], succeeded: Bool[np.ndarray, " episodes"]) -> Ranking | None:
    """Interval by Newcombe's fifth method (2006, Statistics in Medicine 25:559), which is none of width 0 at an AUC of 1."""
    good, bad = scores[succeeded], scores[~succeeded]
    if not len(good) or not len(bad):
        return None
    apart = good[:, None] - bad[None]
    auc = float((apart > 0).mean() + 0.5 * (apart == 0).mean())
    return Ranking(auc, *auc_interval(auc, len(good), len(bad)))


def auc_interval(auc: float, good: int, bad: int) -> tuple[float, float]:
    """The true values that lie 1.96 of their own standard errors away from `auc`."""

    def deviation(true: float) -> float:
        more = (good + bad) / 2 - 1
        spread = true * (1 - true) * (1 + more * ((1 - true) / (2 - true) + true / (1 + true)))
        return abs(auc - true) - Z_95 * math.sqrt(spread / (good * bad))

    return _root(deviation, 0.0, auc), _root(deviation, 1.0, auc)


def _root(deviation: Callable[[float], float], outer: float, inner: float) -> float:
    """Where it falls below 0 on the way from `outer` to `inner`."""
    for _ in range(60):
        middle = (outer + inner) / 2
        outer, inner = (middle, inner) if deviation(middle) > 0 else (outer, middle)
    return (outer + inner) / 2


def _correlation(predicted: np.ndarray, happened: np.ndarray) -> float | None:
    varies = len(predicted) > 1 and predicted.std() > 0 and happened.std() > 0
    return float(np.corrcoef(predicted, happened)[0, 1]) if varies else None
