"""A critic from experience, and whether it knows: the one way in for who wants to use one."""

from __future__ import annotations

from pathlib import Path

from pirig.config.critic import CriticConfig
from pirig.improving.critic import plot
from pirig.improving.critic.calibration import Calibration, calibrate
from pirig.improving.critic.experience import Experience
from pirig.improving.critic.fit import fit
from pirig.models.critic.learned import Critic


def learn(experience: Experience, settings: CriticConfig, folder: Path) -> tuple[Critic, Calibration]:
    """`folder` gets `critic.npz`, `calibration.json` and `calibration.png`, and holds the training: the same call goes on.

    Whether the critic may be used is for `require_calibrated`. Raises as `fit`.
    """
    critic = fit(experience, settings, folder)
    calibration = calibrate(critic, experience, settings.held_out, settings.seed)
    calibration.save(folder)
    note = "privileged: it looks at labels, so it is not deployable" if settings.privileged else ""
    plot.draw(calibration, folder / plot.FILE_NAME, note)
    print(f"critic: {plot.said_of(calibration.ranking)}; root mean square error {calibration.error:.3f}", flush=True)
    return critic, calibration
