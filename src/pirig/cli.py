"""`pirig VERB [group=option] [key=value]`: one way in. Imports nothing heavy; a stage is imported when it runs."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pirig.config.arguments import HELP, folder_of, nearest_folder, options_first, require_option, verb_of
from pirig.config.command_line import completes_verb, rewrite
from pirig.config.load import of_run, register_schema, typed
from pirig.config.mistakes import no_assignment, sentence
from pirig.config.names import near
from pirig.files import trouble
from pirig.runs.stopping import Terminated, stop_on_sigterm

if TYPE_CHECKING:
    from omegaconf import DictConfig

VERBS = {
    "demos": "plan demonstrations and replay them with cameras",
    "convert": "turn demos into a LeRobot data set",
    "dataset": "LeRobot data sets into another one: convert, merge, split, filter, edit",
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
    "rollouts": "the policy's own episodes, successes and failures, as a data set",
    "improve": "what an evaluated policy teaches goes back to training: corrections from the planner, a critic",
    "diagnose": "why does a run not succeed? a page with ranked causes",
}
CONFIG_FREE = (
    "client",
    "dataset",
    "collect",
    "robot",
    "weights",
    "runs",
    "compare",
    "inspect",
    "doctor",
    "verify",
    "diagnose",
    "improve",
    "rollouts",
)  # verbs that take paths instead of a config
OWN_OPTIONS = ("client", "dataset", "collect", "robot", "weights", "compare", "inspect")  # read by argparse
AGAIN = "the same command goes on; a run that has a checkpoint asks for run.mode=resume besides"
RUN_VERBS = ("eval", "serve")  # verbs that take a run's folder, a checkpoint's, or a config
NEEDS_BACKEND = ("eval", "serve", "verify", "diagnose")  # an absent one is said before a checkpoint is looked at
TRAINS = ("warm_up", "train", "pipeline")  # these set their memory and join other processes first: asked beside them
GO_ON = (
    "demos",
    "convert",
    "scenes",
    "warm_up",
    "stats",
    "train",
    "eval",
    "pipeline",
    "weights",
)  # the same command again
RENDERS = ("demos", "scenes", "eval", "pipeline")
FULL_ERROR = "HYDRA_FULL_ERROR"
LOST_WORKER = (
    "a worker process was ended from outside: by the system where memory ran out (then fewer demos.workers or eval.workers), or "
    "by its graphics driver (`pirig doctor` says whether this machine renders); run the same command again with run.mode=resume"
)


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 on success, 1 on a user's error (one message, no traceback), 2 on a wrong call, 3 where all is done but
    without some bad episodes of a recording."""
    stop_on_sigterm()
    arguments = list(sys.argv[1:] if argv is None else argv)
    trouble.write_any_letter()
    with trouble.outlived_readers():
        again = AGAIN if verb_of(arguments, VERBS) in GO_ON else ""
        return guarded(lambda: _call(arguments), again)


def _call(arguments: list[str]) -> int | None:
    if arguments[:1] == ["-sc"] and arguments[1:] == ["query=bash"]:
        verbs = completes_verb(os.environ, VERBS)
        if verbs:
            print("\n".join(verbs))
            return 0
    verb = verb_of(arguments, VERBS)
    if verb is None:
        return _without_verb(arguments)
    arguments.remove(verb)
    if verb in CONFIG_FREE:
        return _config_free(verb, arguments)
    if verb in RUN_VERBS and (folder := folder_of(arguments)):
        return _of_folder(verb, folder, arguments)
    return _run_hydra(verb, rewrite(options_first(arguments)))


def _without_verb(arguments: list[str]) -> int | None:
    if not arguments or arguments[0] == "help" or set(HELP) & set(arguments):
        print(usage())
        return 0
    word = next((word for word in arguments if not word.startswith("-")), "")
    if arguments[0].startswith("-") and not (word and "=" not in word and near(word, VERBS)):
        return _run_hydra("pipeline", rewrite(options_first(arguments)))
    meant = near(word, VERBS)
    first = f"give a verb first, as in pirig train {word}" if "=" in word else f"no verb {word!r}"
    print(f"pirig: {first}" + (f"; did you mean {meant}?" if meant else ""), file=sys.stderr)
    print(usage())
    return 2


def _config_free(verb: str, arguments: list[str]) -> int | None:
    if verb not in OWN_OPTIONS:
        arguments = ["--help"] if set(HELP) & set(arguments) else arguments
        for word in arguments:
            if word.startswith("-") and not Path(word).exists():
                require_option(word, HELP)
    if verb in NEEDS_BACKEND and not set(HELP) & set(arguments) and arguments:
        _require_backend()
    return _stage_of(verb).main(arguments)


def _of_folder(verb: str, folder: str, arguments: list[str]) -> int | None:
    arguments.remove(folder)
    if set(HELP) & set(arguments):
        print(f"pirig {verb} RUN_FOLDER [key=value ...]     keys change the config that the run was made with:\n")
        return _run_hydra(verb, ["--help"])
    if not Path(folder).is_dir():
        nearest = nearest_folder(folder)
        meant = f"; did you mean {nearest}?" if nearest else no_assignment(folder).removeprefix(folder)
        raise ValueError(f"{folder}: there is no such folder{meant}")
    _require_backend()
    return _in_folder(verb, Path(folder), arguments)


def _in_folder(verb: str, folder: Path, overrides: list[str]) -> int:
    """A run, or a checkpoint with its run around it; a checkpoint alone where the stage can do with it."""
    from pirig.config.places import CHECKPOINTS

    stage, around = _stage_of(verb), folder.absolute().parent.parent
    if folder.absolute().parent.name == CHECKPOINTS and (around / "config.yaml").is_file():
        folder, overrides = around, [f"run.checkpoint={folder}", *overrides]
    elif hasattr(stage, "alone") and not (folder / "config.yaml").is_file():
        return stage.alone(folder, overrides)
    return stage.run(of_run(folder, ["run.mode=resume", *overrides]))


def usage() -> str:
    lines = ["pirig: from robot demonstrations to a pi0 / pi0.5 policy with a measured success rate", ""]
    lines += ["  pirig VERB [group=option ...] [key=value ...]", ""]
    lines += [f"  {verb:9} {text}" for verb, text in VERBS.items()]
    lines += ["", "  pirig pipeline experiment=quickstart_eyes  the whole chain on push_cube, on a CPU"]
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
        status = max(status, guarded(lambda: _stage(verb, composed)))

    def launched(action: Callable[[str], int]) -> None:
        nonlocal status
        os.environ.pop(FULL_ERROR, None)
        status = max(status, guarded(lambda: action(verb)))

    task.launched = launched  # type: ignore[attr-defined]
    sys.argv = ["pirig", *arguments]
    with _raising():
        hydra.main(version_base="1.3", config_path="pkg://pirig.conf", config_name="config")(task)()
    return status


@contextmanager
def _raising() -> Iterator[None]:
    """Hydra raises its errors, for us to say, where it would print them and exit."""
    before = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"
    try:
        yield
    finally:
        os.environ.pop(FULL_ERROR, None)
        if before is not None:
            os.environ[FULL_ERROR] = before


def _stage(verb: str, composed: DictConfig) -> int | None:
    os.environ.pop(FULL_ERROR, None)  # what the stage starts is not told of it
    config = typed(composed)
    if config.sweep.dry_run:
        raise ValueError("sweep.dry_run=true shows the points of a sweep: give -m and values to sweep over.")
    if verb in NEEDS_BACKEND:
        _require_backend()
    if verb in TRAINS:
        _require_platforms()
    if verb in RENDERS and config.robot.simulated:
        _require_driver()
    return _stage_of(verb).run(config)


def _stage_of(verb: str) -> Any:
    return importlib.import_module(f"pirig.stages.{verb}")


def _require_backend() -> None:
    from pirig.gates.machine import require_backend

    require_backend()


def _require_platforms() -> None:
    from pirig.gates.machine import require_platforms

    require_platforms()


def _require_driver() -> None:
    from pirig.gates.machine import require_driver

    require_driver()


def guarded(action: Callable[[], int | None], again: str = AGAIN) -> int:
    """The action's exit status; what a user or the system did wrong is one sentence. A defect of ours keeps its traceback.

    `again`: how to go on where it is stopped, "" where nothing does.
    """
    try:
        return int(action() or 0)
    except KeyboardInterrupt as stopped:
        print("pirig: stopped" + (f"; {again}" if again else ""), file=sys.stderr)
        return 143 if isinstance(stopped, Terminated) else 130
    except Exception as error:
        said = _said(error)
        if said is None or os.environ.get("PIRIG_TRACEBACK") == "1":
            raise
        print(f"pirig: {said}", file=sys.stderr)
        return 1


def _said(error: Exception) -> str | None:
    """None where nobody but us is to blame."""
    names = {f"{kind.__module__.split('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    if names & {"hydra.HydraException", "omegaconf.OmegaConfBaseException"}:
        return sentence(error)
    if "concurrent.BrokenProcessPool" in names:
        return LOST_WORKER
    if "yaml.YAMLError" in names:
        return f"a YAML cannot be read: {' '.join(str(error).split())}"
    if isinstance(error, UnicodeError):
        return f"a text is in another encoding than UTF-8 ({error}); save it as UTF-8"
    if isinstance(error, OSError):
        return trouble.sentence(error)
    return str(error) if isinstance(error, ValueError) else None


if __name__ == "__main__":
    sys.exit(main())
