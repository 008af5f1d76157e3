"""What every layout asks of a picture, a state and a sentence, with one sentence for each thing that does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pirig.contract import Camera, Contract
from pirig.policies.layouts import DELAY, NOISE, PROMPT, UNDERWAY, Request, Shown
from pirig.policies.underway import Underway

BASE, WRIST, SECOND_WRIST = "base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb"  # openpi's roles
MAX_PROMPT = 2000  # characters


def shown(
    request: Request,
    contract: Contract,
    pictures: Mapping[str, str],
    state_keys: Sequence[str],
    *,
    channels_first: bool,
) -> Shown:
    """`pictures`: the key of each role ("images.cam_high" is a key in a map). `state_keys`: joined in this order.

    Cameras that the policy does not look at may be there. Raises ValueError.
    """
    images = {}
    for camera in contract.cameras:
        if camera.role not in pictures:
            known = ", ".join(pictures.values())
            raise ValueError(f"the policy looks at {camera.role}, for which this layout has no key (it has {known})")
        key = pictures[camera.role]
        images[camera.role] = picture(value_at(request, key), camera, contract, key, channels_first=channels_first)
    parts = [numbers(value_at(request, key), key) for key in state_keys]
    return Shown(images, state(parts, state_keys, contract), prompt(request), noise(request), underway(request))


def value_at(request: Mapping[str, Any], dotted: str) -> Any:
    """Raises ValueError where the request lacks it."""
    if dotted in request:
        return request[dotted]
    key, _, rest = dotted.partition(".")
    if rest and isinstance(request.get(key), Mapping):
        return value_at(request[key], rest)
    raise ValueError(f"the request lacks {dotted}")


def picture(value: Any, camera: Camera, contract: Contract, key: str, *, channels_first: bool) -> np.ndarray:
    """u8 [H, W, 3] of the contract's camera, or already as wide and high as the model takes it. Raises ValueError."""
    own, model = (camera.height_px, camera.width_px, 3), (contract.image_px, contract.image_px, 3)
    wanted = dict.fromkeys((own[2:] + own[:2], model[2:] + model[:2]) if channels_first else (own, model))
    sizes = " or ".join(str(list(size)) for size in wanted)
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.shape not in wanted:
        raise ValueError(f"{key} is {described(value)}, expected uint8 {sizes}")
    return value.transpose(1, 2, 0) if channels_first else value


def numbers(value: Any, key: str) -> np.ndarray:
    """A vector f32 [n]; a single number is one of length 1. Raises ValueError for NaN and for what is no number."""
    array = (
        np.atleast_1d(np.asarray(value)) if isinstance(value, np.ndarray | np.generic | float | int | list) else None
    )
    if array is None or array.dtype.kind not in "iuf" or array.ndim != 1:
        raise ValueError(f"{key} is {described(value)}, expected a vector of numbers")
    if not np.isfinite(array).all():
        raise ValueError(f"{key} holds NaN or infinity")
    return array.astype(np.float32)


def state(parts: Sequence[np.ndarray], keys: Sequence[str], contract: Contract) -> np.ndarray:
    joined = np.concatenate(parts)
    if len(joined) != contract.state_dim:
        entries = " + ".join(contract.state)
        raise ValueError(
            f"{' + '.join(keys)} has {len(joined)} numbers, the policy reads {contract.state_dim} ({entries}); "
            "padding is the server's work"
        )
    return joined


def prompt(request: Request) -> str | None:
    told = request.get(PROMPT)
    if isinstance(told, np.ndarray | np.generic):
        raise ValueError(f"{PROMPT} is {described(told)}, expected text")
    if told is not None and not (isinstance(told, str) and told.strip() and len(told) <= MAX_PROMPT):
        raise ValueError(f"{PROMPT} is {str(told)[:40]!r}, expected text of 1 to {MAX_PROMPT} characters")
    return told


def noise(request: Request) -> np.ndarray | None:
    value = request.get(NOISE)
    if value is None:
        return None
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or not np.isfinite(value).all():
        raise ValueError(
            f"{NOISE} is {described(value)}, expected finite float32 numbers [horizon, padded action width]"
        )
    return value.astype(np.float32)


def underway(request: Request) -> Underway | None:
    """Of which the shape is asked once the horizon is known (`Underway.require_fits`)."""
    value, delay = request.get(UNDERWAY), request.get(DELAY, 0)
    if value is None:
        return None
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        raise ValueError(f"{UNDERWAY} is {described(value)}, expected float32 actions [steps, action width]")
    if isinstance(delay, bool) or not isinstance(delay, int | np.integer):
        raise ValueError(f"{DELAY} is {described(delay)}, expected a whole number of steps")
    return Underway(value.astype(np.float32), int(delay))


def described(value: Any) -> str:
    if isinstance(value, np.ndarray | np.generic):
        return f"{value.dtype} {list(value.shape)}"
    return f"a {type(value).__name__}"
