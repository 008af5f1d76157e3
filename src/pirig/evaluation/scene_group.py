"""The episodes of many scenes that one environment steps together, and the three things that they are asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pirig.evaluation.workers import Progressed, side_by_side
from pirig.sim.door import Observation, Scenes, State


@dataclass(frozen=True)
class Start:
    """These places begin their `scenes` in their `states`."""

    scenes: Mapping[int, int]
    states: Mapping[int, State]
    look: bool = False


@dataclass(frozen=True)
class Run:
    """These places execute their actions [k, action_dim]; the others stand still."""

    actions: Mapping[int, np.ndarray]
    max_steps: int
    look: bool


@dataclass(frozen=True)
class Film:
    """These places begin, execute a whole episode [T, action_dim], and keep every n-th view and the last."""

    begin: Start
    actions: Mapping[int, np.ndarray]
    every: int


Answer = dict[int, Progressed]  # by place


@dataclass
class Group:
    """An episode a place, which goes no further than it is asked to, whatever the other places do meanwhile."""

    scenes: Scenes
    prompt: str = ""
    episodes: dict[int, Progressed] = field(default_factory=dict)
    stood_still: set[int] = field(default_factory=set)

    def answer(self, message: Start | Run | Film) -> Answer:
        """Where the episodes stand that the message is about."""
        if isinstance(message, Start):
            return self._start(message)
        return self._run(message) if isinstance(message, Run) else self._film(message)

    def _start(self, message: Start) -> Answer:
        """Places that have nothing to begin repeat another's scene; nobody reads them."""
        spare = next(iter(message.scenes))
        numbers = [place if place in message.scenes else spare for place in range(self.scenes.num_envs)]
        self.scenes.reset([message.scenes[place] for place in numbers], [message.states[place] for place in numbers])
        self.episodes = {place: Progressed(scene, self.prompt) for place, scene in message.scenes.items()}
        self.stood_still = set()
        return self._seen(list(message.scenes), message.look)

    def _run(self, message: Run) -> Answer:
        self._require_fresh(message.actions)
        for step in range(_longest(message.actions)):
            todo = {
                place: actions[step]
                for place, actions in message.actions.items()
                if step < len(actions) and not self.episodes[place].done
            }
            if not todo:
                break
            self._step(todo, message.max_steps)
        return self._seen(list(message.actions), message.look)

    def _film(self, message: Film) -> Answer:
        self._start(message.begin)
        longest = _longest(message.actions)
        for step in range(longest + 1):
            left = {place: len(actions) - step for place, actions in message.actions.items()}
            filmed = [place for place, steps in left.items() if steps == 0 or (steps > 0 and step % message.every == 0)]
            for place, view in self._views(filmed).items():
                self.episodes[place].frames.append(side_by_side(view))
            if step < longest:
                self._step({place: message.actions[place][step] for place in left if left[place] > 0}, longest)
        return {place: self.episodes[place] for place in message.actions}

    def _step(self, actions: Mapping[int, np.ndarray], max_steps: int) -> None:
        batch = np.zeros((self.scenes.num_envs, len(next(iter(actions.values())))), np.float32)
        for place, action in actions.items():
            batch[place] = action
        infos = self.scenes.step(batch)
        self.stood_still |= set(self.episodes) - set(actions)
        for place in actions:
            self.episodes[place].add(infos[place], max_steps)

    def _require_fresh(self, numbers: Mapping[int, np.ndarray]) -> None:
        """An episode that stood still while others went on is no longer where its driver believes it to be."""
        for place in numbers:
            if place in self.stood_still:
                raise RuntimeError(
                    f"place {place} (scene {self.episodes[place].scene}) stood still while others executed longer chunks, so it "
                    "cannot go on; a driver of many scenes gives all of them chunks of one length."
                )

    def _seen(self, numbers: list[int], look: bool) -> Answer:
        views = self._views([place for place in numbers if look and not self.episodes[place].done])
        for place in numbers:
            self.episodes[place].observation = views.get(place)
        return {place: self.episodes[place] for place in numbers}

    def _views(self, numbers: list[int]) -> dict[int, Observation]:
        """Renders all scenes once, if anybody wants to see."""
        views = self.scenes.observe() if numbers else []
        return {place: views[place] for place in numbers}


def _longest(actions: Mapping[int, np.ndarray]) -> int:
    return max(len(chunk) for chunk in actions.values())
