"""Where a measurement is written, and what is always said beside it: device, date, load of the machine and versions."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pirig.files.atomic import write_text

RESULTS = Path(__file__).parent / "results"
MACHINE = f"cpu-{os.cpu_count()}cores"  # what --device says where nobody says more
_load_at_start = os.getloadavg()


def accelerator() -> str:
    """The same for what JAX runs on: "NVIDIA-H100-80GB-HBM3-16cores"."""
    import jax

    return f"{jax.devices()[0].device_kind}-{os.cpu_count()}cores".replace(" ", "-")


def options_of_demos(about: str | None) -> argparse.Namespace:
    """Of a measurement on a folder of demos, from the command line: demos, episodes, repeats, device."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demos", type=Path)
    parser.add_argument("--episodes", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default=MACHINE)
    return parser.parse_args()


def show(row: dict[str, Any]) -> None:
    """One measurement on the screen, as soon as it is there."""
    print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)


def write(name: str, device: str, found: dict[str, Any], packages: tuple[str, ...], **versions: str) -> None:
    """Writes benchmarks/results/<name>-<device>-<date>.json. `found` starts with "what"; `versions` are those of no package."""
    date = datetime.date.today().isoformat()
    about = {
        "device": device,
        "date": date,
        "load_average": {"before": _load_at_start, "after": os.getloadavg()},  # above the cores: others were working
        "versions": {"python": platform.python_version(), **versions, **{name: version(name) for name in packages}},
    }
    path = RESULTS / f"{name}-{device}-{date}.json"
    write_text(path, json.dumps(found | about, indent=2) + "\n")
    print(f"-> benchmarks/results/{path.name}")
