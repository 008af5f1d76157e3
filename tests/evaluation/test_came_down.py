"""How far off the hand first comes down: once an episode, kept with it, and its median in the row."""

import json

from pirig.evaluation.measured import SuccessRow
from pirig.evaluation.results import EpisodeResult, came_down_mm
from pirig.evaluation.workers import Progressed
from pirig.sim.door import StepInfo


def test_the_first_time_below_the_height_counts():
    episode = Progressed(7)
    for step, (across, above) in enumerate([(0.2, 0.3), (0.12, 0.06), (0.031, 0.049), (0.001, 0.01)], 1):
        episode.add(StepInfo(False, {}, step, (across, above)), max_steps=10)
    assert episode.came_down_m == 0.031
    silent = Progressed(8)
    silent.add(StepInfo(False, {}, 1), max_steps=10)
    assert silent.came_down_m is None


def test_it_is_kept_and_older_lines_are_read():
    result = EpisodeResult(7, False, False, -1, 40, 1.0, {}, 0.031)
    assert EpisodeResult.from_plain(json.loads(result.to_line())) == result
    older = json.loads(result.to_line())
    del older["came_down_m"]
    never = EpisodeResult.from_plain(older)
    assert never.came_down_m is None and came_down_mm([never]) is None
    near = EpisodeResult(8, True, True, 30, 40, 1.0, {}, 0.004)
    assert came_down_mm([result, never, near]) == 17.5
    row = SuccessRow(1, 3, 0.0, 0.8, 1, came_down_mm=17.5)
    assert row.lines("policy") == ["policy     1/3  0.0% to 80.0% (Wilson 95 %), hand comes down 18 mm off (median)"]
