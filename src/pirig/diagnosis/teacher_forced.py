"""Where does an episode break? Policy and demo share it: one acts for some steps, the other goes on."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pirig.diagnosis.evidence import HandOver, Late
from pirig.evaluation.drivers import PolicyDriver
from pirig.evaluation.results import EpisodeResult, ResultsFile, sub_goals
from pirig.evaluation.rollouts import Driver, Request, roll_out
from pirig.evaluation.workers import Pool
from pirig.sim.door import State

SHARES = (0.0, 0.25, 0.5, 0.75)  # of the demo's steps
LATE_FACTOR = 2  # times the evaluation's limit


class SharedDriver:
    """`first` acts up to step `switch[scene]`, the other from there on. A demo that has ended ends the episode."""

    looks = True

    def __init__(
        self, policy: PolicyDriver, demos: Mapping[int, np.ndarray], switch: Mapping[int, int], first: str
    ) -> None:
        self.policy, self.demos, self.switch, self.first = policy, demos, switch, first
        self.max_requests = policy.max_requests

    def act(self, requests: Sequence[Request]) -> list[np.ndarray]:
        asked = [request for request in requests if self._is_policys(request)]
        answers = dict(zip((request.scene for request in asked), self.policy.act(asked) if asked else [], strict=True))
        return [answers[request.scene] if request.scene in answers else self._demo(request) for request in requests]

    def _is_policys(self, request: Request) -> bool:
        switch = self.switch[request.scene]
        if self.first == "demo":
            return request.chunk > 0 or switch == 0
        return request.chunk * self.policy.execute < switch

    def _demo(self, request: Request) -> np.ndarray:
        self.policy.forget(request.scene)
        demo, switch = self.demos[request.scene], self.switch[request.scene]
        if self.first == "demo":
            return demo[:switch]
        return demo[switch:] if request.chunk * self.policy.execute == switch else demo[:0]


def hand_overs(
    pool: Pool,
    policy: PolicyDriver,
    demos: Mapping[int, np.ndarray],
    *,
    max_steps: int,
    starts: Mapping[int, State] | None = None,
) -> list[HandOver]:
    """Each share of SHARES, both ways, on the demos' own scenes. Share 0 is the other one alone. `starts`: of the demos that
    start elsewhere than a reset to their scene does."""
    hand_overs = []
    for first in ("policy", "demo"):
        for share in SHARES:
            switch = {scene: _rounded(share * len(demo), policy.execute) for scene, demo in demos.items()}
            driver = SharedDriver(policy, demos, switch, first)
            label = f"{first} for {share:.0%}"
            results = _run(pool, driver, list(demos), max_steps=max_steps, label=label, starts=starts)
            k = sum(result.success for result in results)
            hand_overs.append(HandOver(first, share, k, len(results), sub_goals(results)))
    return hand_overs


def late(pool: Pool, driver: Driver, failed_scenes: Sequence[int], limit: int) -> Late:
    """Failed episodes again, with LATE_FACTOR times the steps."""
    longer = LATE_FACTOR * limit
    results = _run(pool, driver, failed_scenes, max_steps=longer, label="failures, twice as long")
    return Late(sum(result.success for result in results), len(results), longer)


def _run(
    pool: Pool,
    driver: Driver,
    scenes: Sequence[int],
    *,
    max_steps: int,
    label: str,
    starts: Mapping[int, State] | None = None,
) -> list[EpisodeResult]:
    with tempfile.TemporaryDirectory() as folder:
        results = ResultsFile(Path(folder))
        roll_out(pool, driver, scenes, max_steps=max_steps, results=results, label=label, starts=starts)
        return results.results(list(scenes))


def _rounded(steps: float, multiple: int) -> int:
    return round(steps / multiple) * multiple
