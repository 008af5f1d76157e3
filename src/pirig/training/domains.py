"""What the numbers of a training may be, wherever it is called from."""

from __future__ import annotations

from pirig.config.schema import TrainConfig


def require_domains(settings: TrainConfig, device_count: int = 1) -> None:
    """Raises ValueError where a number is out of its domain, or the scenes of a batch do not divide."""
    for name, least in (
        ("steps", 1),
        ("batch_size", 1),
        ("flow_samples", 1),
        ("save_every", 1),
        ("shift_px", 0),
        ("state_noise", 0),
        ("corrective_noise_m", 0),
        ("accumulate", 1),
        ("validate_every", 1),
        ("validation_frames", 1),
        ("scenes_per_batch", 0),
        ("idle_steps", 0),
    ):
        if getattr(settings, name) < least:
            raise ValueError(f"train.{name} is {getattr(settings, name)}; expected at least {least}")
    if settings.batch_size % settings.accumulate:
        raise ValueError(
            f"train.batch_size={settings.batch_size} does not divide into train.accumulate={settings.accumulate} parts; "
            f"choose train.batch_size={max(settings.batch_size // settings.accumulate, 1) * settings.accumulate}"
        )
    if not 0 <= settings.state_noise_share <= 1:
        raise ValueError(f"train.state_noise_share is {settings.state_noise_share}; expected a share, 0 to 1")
    if not 0 <= settings.ema < 1:
        raise ValueError(f"train.ema is {settings.ema}; expected 0 (off) or a decay below 1, such as 0.99")
    parts = device_count * settings.accumulate
    if settings.scenes_per_batch % parts:
        raise ValueError(
            f"train.scenes_per_batch={settings.scenes_per_batch} with {device_count} devices and train.accumulate="
            f"{settings.accumulate}: each part takes as many; choose a multiple of {parts}, or 0"
        )
