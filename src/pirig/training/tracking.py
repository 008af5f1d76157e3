"""wandb beside metrics.jsonl: asked before anything starts, offline where it does not answer, and never what ends a training.

The run's id stands in RUN/wandb.json, so that a resumed training is the same run there.
"""

from __future__ import annotations

import base64
import functools
import importlib.util
import json
import netrc
import os
import secrets
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from pirig.files.atomic import write_text

FILE_NAME = "wandb.json"
MODES = ("disabled", "offline", "online")
PUBLIC = "https://api.wandb.ai"
ANSWER_S = 10.0  # a server that takes longer is not waited for
START_S = 60.0
END_S = 120.0  # for the rows that are still on their way
QUESTION = "query Asked($name: String!) { viewer { username } entity(name: $name) { name } }"


def require_wandb(mode: str) -> None:
    """Raises ValueError where the mode is none or its package is not installed; warns, once, where online will be offline."""
    if mode not in MODES:
        raise ValueError(f"train.wandb is {mode!r}; expected one of {', '.join(MODES)}")
    if mode != "disabled" and importlib.util.find_spec("wandb") is None:
        raise ValueError(
            f"train.wandb={mode} needs the wandb package: pip install 'pirig[wandb]', or train.wandb=disabled (metrics.jsonl has "
            "every number)"
        )
    usable_mode(mode)


def usable_mode(mode: str) -> str:
    """`mode`, but offline in place of online where key, network or entity are missing: said once in a process."""
    return "offline" if mode == "online" and _why_not_online() else mode


@functools.cache
def _why_not_online() -> str:
    """Of this process's key, server and entity; "" where all three are there."""
    server = os.environ.get("WANDB_BASE_URL", PUBLIC).rstrip("/")
    reason = _refusal(server, _key(server), os.environ.get("WANDB_ENTITY", ""))
    if reason:
        _warn(f"{reason}; this training is logged offline (wandb sync RUN/wandb/offline-run-* sends it later)")
    return reason


def _key(server: str) -> str:
    """As wandb finds it: WANDB_API_KEY, else the line of the server's host in .netrc."""
    if key := os.environ.get("WANDB_API_KEY", "").strip():
        return key
    for name in (os.environ.get("NETRC"), "~/.netrc", "~/_netrc"):
        path = Path(os.path.expanduser(name)) if name else None
        if path is None or not path.is_file():
            continue
        try:
            known = netrc.netrc(path).authenticators(urlsplit(server).hostname or "")
        except (netrc.NetrcParseError, OSError):
            continue
        if known and known[2]:
            return known[2]
    return ""


def _refusal(server: str, key: str, entity: str) -> str:
    if not key:
        return "no key: `wandb login`, or WANDB_API_KEY"
    body = json.dumps({"query": QUESTION, "variables": {"name": entity}}).encode()
    basic = base64.b64encode(f"api:{key}".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {basic}"}
    try:
        asked = urllib.request.Request(f"{server}/graphql", body, headers)
        with urllib.request.urlopen(asked, timeout=ANSWER_S) as answer:
            data = json.loads(answer.read()).get("data") or {}
    except urllib.error.HTTPError as error:
        refused = "refuses the key" if error.code in (401, 403) else f"answers {error.code}"
        return f"{server} {refused}"
    except (
        OSError,
        ValueError,
        AttributeError,
    ) as error:  # no route, no name, no answer in time, or one that is not JSON
        return f"{server} does not answer ({getattr(error, 'reason', error)})"
    if not data.get("viewer"):
        return f"{server} knows no user of this key"
    return f"{server} knows no entity {entity!r} (WANDB_ENTITY)" if entity and not data.get("entity") else ""


def run_id(folder: Path) -> str:
    """The id of the run's folder; drawn, and written there, where it has none."""
    path = folder / FILE_NAME
    try:
        return str(json.loads(path.read_text())["id"])
    except (OSError, ValueError, KeyError, TypeError):
        drawn = secrets.token_hex(4)
        write_text(path, json.dumps({"id": drawn}) + "\n")
        return drawn


class Tracker:
    """A wandb run if `mode` is offline or online; nothing where it is disabled, or from the first failure on."""

    def __init__(self, mode: str, project: str, folder: Path, config: dict[str, Any]):
        require_wandb(mode)
        self._run: Any = None
        mode = usable_mode(mode)
        if mode == "disabled":
            return
        options = {"project": project, "dir": str(folder), "name": "-".join(folder.parts[-2:]), "config": config}
        options |= {"id": run_id(folder), "resume": "allow"}
        for tried in dict.fromkeys((mode, "offline")):
            try:
                self._run = _started(tried, options)
                return
            except Exception as error:  # wandb raises its own, the system's and pydantic's
                _warn(f"{tried} did not start ({_line(error)})")

    def log(self, row: Mapping[str, Any]) -> None:
        numbers = {key: value for key, value in row.items() if key != "step"}
        self._guarded(lambda run: run.log(numbers, step=row["step"]))

    def log_images(self, sheets: Mapping[str, np.ndarray], step: int = 0) -> None:
        def send(run: Any) -> None:
            import wandb

            run.log({f"samples/{role}": wandb.Image(sheet) for role, sheet in sheets.items()}, step=step)

        self._guarded(send)

    def close(self) -> None:
        """Waits END_S at most: what was not sent by then lies in RUN/wandb."""
        finishing = threading.Thread(target=self._guarded, args=(lambda run: run.finish(),), daemon=True)
        finishing.start()
        finishing.join(END_S)
        if finishing.is_alive():
            _warn(f"the last rows were not taken in {END_S:.0f} s; `wandb sync RUN/wandb/run-*` sends them")

    def _guarded(self, action: Callable[[Any], None]) -> None:
        if self._run is None:
            return
        try:
            action(self._run)
        except Exception as error:
            self._run = None
            _warn(f"logging ended ({_line(error)}); the training goes on, metrics.jsonl has every number")


def _started(mode: str, options: dict[str, Any]) -> Any:
    import wandb

    known: Any = mode
    return wandb.init(mode=known, settings=wandb.Settings(silent=True, init_timeout=START_S), **options)


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _warn(text: str) -> None:
    print(f"warning: wandb: {text}", file=sys.stderr, flush=True)
