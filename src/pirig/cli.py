"""`pirig VERB [group=option] [key=value]`: one way in. Imports nothing heavy; a stage is imported when it runs."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pirig.config.command_line import completes_verb, rewrite
from pirig.config.load import of_run, register_schema, typed

if TYPE_CHECKING:
    from omegaconf import DictConfig

VERBS = {
    "demos": "plan demonstrations and replay them with cameras",
    "convert": "turn demos into a LeRobot data set",
    "scenes": "render random scenes of the task with labels",
    "warm_up": "teach the tower where things are, on such scenes",
    "stats": "compute normalisation statistics",
    "train": "train on the data set",
    "eval": "how often does a checkpoint succeed?",
    "pipeline": "demos, convert, stats, train, eval, summary",
    "serve": "a policy behind a websocket, in openpi's protocol",
    "collect": "record episodes on an arm",
    "robot": "a served policy moves an arm, under rules that stop it",
    "client": "what does a policy server give, and how fast?",
    "weights": "fetch, verify or export openpi weights",
    "runs": "how does a sweep do? cancel, retry",
    "compare": "do runs differ? table, page, report",
    "inspect": "what is in a file, a data set, a run or a checkpoint?",
    "doctor": "what would waste your time? every gate of this machine or of a path",
    "verify": "what does a run's newest checkpoint give, and how fast?",
    "diagnose": "why does a run not succeed? a page with ranked causes",
}
CONFIG_FREE = (
    "client",
    "collect",
    "robot",
    "weights",
    "runs",
    "compare",
    "inspect",
    "doctor",
    "verify",
    "diagnose",
)  # verbs that take paths instead of a config
RUN_VERBS = ("eval", "serve")  # verbs that take a run's folder, a checkpoint's, or a config


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 on success, 1 on a user's error (one message, no traceback), 2 on a wrong call."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["-sc"] and arguments[1:] == ["query=bash"]:
        verbs = completes_verb(os.environ, VERBS)
        if verbs:
            print("\n".join(verbs))
            return 0
    verb = next((word for word in arguments if word in VERBS), None)
    if verb is None:
        wants_help = not arguments or arguments[0] in ("-h", "--help", "help")
        if not wants_help and not arguments[0].startswith("-"):
            print(f"pirig: no verb {arguments[0]!r}", file=sys.stderr)
        if wants_help or not arguments[0].startswith("-"):
            print(usage())
            return 0 if wants_help else 2
    else:
        arguments.remove(verb)
    if verb in CONFIG_FREE:
        return _guarded(lambda: _stage_of(verb).main(arguments))
    if verb in RUN_VERBS and arguments and Path(arguments[0]).is_dir():
        return _guarded(lambda: _of_folder(verb, Path(arguments[0]), arguments[1:]))
    return _guarded(lambda: _run_hydra(verb or "pipeline", rewrite(arguments)))


def usage() -> str:
    lines = ["pirig: from robot demonstrations to a pi0 / pi0.5 policy with a measured success rate", ""]
    lines += ["  pirig VERB [group=option ...] [key=value ...]", ""]
    lines += [f"  {verb:9} {text}" for verb, text in VERBS.items()]
    lines += ["", "  pirig pipeline experiment=quickstart     the whole chain on push_cube, on a CPU"]
    lines += ["  pirig eval RUN_FOLDER eval.episodes=100  more episodes of a run that is there"]
    lines += ["  pirig train --help                       every group, option and key"]
    lines += ['  eval "$(pirig -sc install=bash)"         TAB completion']
    return "\n".join(lines)


def _run_hydra(verb: str, arguments: list[str]) -> int:
    import hydra

    register_schema()
    status = 0

    def task(composed: DictConfig) -> None:
        nonlocal status
        status = max(status, _guarded(lambda: _stage(verb, composed)))

    def launched(action: Callable[[str], int]) -> None:
        nonlocal status
        status = max(status, _guarded(lambda: action(verb)))

    task.launched = launched  # type: ignore[attr-defined]
    sys.argv = ["pirig", *arguments]
    hydra.main(version_base="1.3", config_path="pkg://pirig.conf", config_name="config")(task)()
    return status


def _of_folder(verb: str, folder: Path, overrides: list[str]) -> int:
    """A run, or a checkpoint with its run around it; a checkpoint alone where the stage can do with it."""
    from pirig.config.places import CHECKPOINTS

    stage, around = _stage_of(verb), folder.absolute().parent.parent
    if folder.absolute().parent.name == CHECKPOINTS and (around / "config.yaml").is_file():
        folder, overrides = around, [f"run.checkpoint={folder}", *overrides]
    elif hasattr(stage, "alone") and not (folder / "config.yaml").is_file():
        return stage.alone(folder, overrides)
    return stage.run(of_run(folder, ["run.mode=resume", *overrides]))


def _stage(verb: str, composed: DictConfig) -> int | None:
    config = typed(composed)
    if config.sweep.dry_run:
        raise ValueError("sweep.dry_run=true shows the points of a sweep: give -m and values to sweep over.")
    return _stage_of(verb).run(config)


def _stage_of(verb: str) -> Any:
    return importlib.import_module(f"pirig.stages.{verb}")


def _guarded(action: Callable[[], int | None]) -> int:
    try:
        return int(action() or 0)
    except (ValueError, FileExistsError, FileNotFoundError) as error:
        print(f"pirig: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"pirig: the disk is full ({error}); make room and run the same command again to go on", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("pirig: stopped; run the same command again to go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
