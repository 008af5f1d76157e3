"""Which task and which initial state a scene is. Neighbouring scenes are of different tasks, so that any number of them is
spread over a suite: of ten tasks, 500 scenes are 50 initial states of each."""

from __future__ import annotations

from dataclasses import dataclass

from pirig.config.scenes import HELD_OUT, RANGES

STORED = 50  # initial states that LIBERO has of each task


@dataclass(frozen=True)
class Place:
    """`state`: which of LIBERO's stored initial states; None: the environment draws one, from `seed`."""

    task: int
    state: int | None
    seed: int


def place_of(scene: int, tasks: int) -> Place:
    """Stored initial states are for what is measured (the range of held-out scenes); in every other range they are drawn.

    Raises ValueError where a task has no so many.
    """
    held_out = RANGES[HELD_OUT]
    if scene not in held_out:
        return Place(scene % tasks, None, scene)
    task, state = (scene - held_out.start) % tasks, (scene - held_out.start) // tasks
    if state >= STORED:
        raise ValueError(
            f"scene {scene}: LIBERO has {STORED} initial states of each task, scenes {held_out.start} to "
            f"{held_out.start + STORED * tasks - 1} with {tasks} tasks; choose eval.first_seed={held_out.start} and at most "
            f"eval.episodes={STORED * tasks}."
        )
    return Place(task, state, scene)
