"""Recording of episodes at a fixed rate, driven by keys: Enter begins and keeps, d throws away, r begins again, q ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pirig.robots.clock import Clock, Jitter
from pirig.robots.door import Reading, Robot
from pirig.robots.episode import LEAST_FRAMES, Episode
from pirig.robots.keys import ENTER, Keys

DISCARD, REDO, QUIT = "d", "r", "q"


@dataclass
class Recorder:
    """`say` is told what happens. An episode that is open when recording ends is kept as Enter keeps it."""

    robot: Robot
    keys: Keys
    clock: Clock
    data: Path
    task: str
    frequency_hz: float
    say: Callable[[str], None] = print
    saved: list[Path] = field(default_factory=list)
    _open: Episode | None = None
    _unsaved: Episode | None = None
    _before: Reading | None = None

    def run(self, most: int = 0) -> Jitter:
        """Until q is pressed, or `most` episodes are saved (0: no limit); returns how steady the rate was."""
        jitter, started_s = Jitter(1 / self.frequency_hz), self.clock.now_s()
        self.say(f"Enter begins an episode of {self.task!r}, q ends")
        try:
            self._record(most, jitter, started_s)
        except BaseException as error:
            if self._open is not None and not isinstance(error, KeyboardInterrupt):
                self.say(f"the episode of {len(self._open)} frames that was open ends here: {error}")
            self._end()
            raise
        self._end()
        return jitter

    def _record(self, most: int, jitter: Jitter, started_s: float) -> None:
        tick = 0
        while not most or len(self.saved) < most:
            planned_s = started_s + tick / self.frequency_hz
            self.clock.sleep_until(planned_s)
            if not self._key(self.keys.pressed()):
                break
            if self._open is not None:
                jitter.tick(planned_s, self.clock.now_s())
                self._frame(self._open)
            tick += 1

    def _key(self, key: str) -> bool:
        """False where recording ends."""
        if key == QUIT:
            return False
        if key == ENTER and self._episode() is not None:
            self._keep()
        elif key in (ENTER, REDO):
            if self._open is not None:
                self.say(f"thrown away: {len(self._open)} frames; begun again")
            self._open, self._before = Episode(self.task, self.frequency_hz), None
            if key == ENTER:
                self.say(f"episode {len(self.saved) + 1}: Enter keeps it, d throws it away, r begins it again")
        elif key == DISCARD and (episode := self._episode()) is not None:
            self.say(f"thrown away: {len(episode)} frames")
            self._open = self._unsaved = None
        return True

    def _frame(self, episode: Episode) -> None:
        """A frame is complete once it is known what was told next: the command, or where the arm was a frame later."""
        reading = self.robot.read()
        before, self._before = self._before, reading
        if before is not None:
            episode.add(before.images, before.state, _action(before, reading))

    def _episode(self) -> Episode | None:
        return self._unsaved if self._open is None else self._open

    def _keep(self) -> None:
        """An episode that could not be written stays in memory for a second try. Raises OSError where that fails too."""
        episode, self._open = self._episode(), None
        if episode is None:
            return
        try:
            path = episode.save(self.data, f"episode_{len(self.saved) + 1:04d}")
        except OSError as error:
            if self._unsaved is not None:
                raise
            self._unsaved = episode
            self.say(f"NOT saved: {len(episode)} frames ({error.strerror}); Enter tries again, d throws them away")
            return
        self._unsaved = None
        if path:
            self.saved.append(path)
            self.say(f"saved {path.name}: {len(episode)} frames")
        else:
            self.say(f"thrown away: {len(episode)} frames, at least {LEAST_FRAMES} are needed")

    def _end(self) -> None:
        self._keep()
        if self._unsaved is not None:
            self._keep()


def _action(reading: Reading, later: Reading) -> np.ndarray:
    return later.state if reading.commanded is None else np.asarray(reading.commanded, np.float32)
