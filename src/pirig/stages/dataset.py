"""`pirig dataset convert | merge | split | filter | edit`: LeRobot data sets from LeRobot data sets, without a simulator;
`push | pull`: to the Hugging Face Hub and from it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pirig.datasets.lerobot.source import LeRobotSource
    from pirig.datasets.remake.plan import Chosen, Edit, Kept, Plan

ABOUT = """\
LeRobot data sets (v2.0, v2.1, v3.0; pictures in tables or as films), anybody's or pirig's, made into another one. Sources are
only read. All is asked before anything is written; the result is asked again before it gets its name.

  pirig dataset convert DATASET FOLDER --format v2.1          for openpi, whose pinned lerobot reads v2.1 only
  pirig dataset convert DATASET FOLDER --storage video        films (h264), with their loss in dB; --codec av1
  pirig dataset merge DATASET DATASET FOLDER                  one after the other: contracts compared, sentences kept
  pirig dataset split DATASET FOLDER FOLDER --share 0.9       nine of ten episodes, and the others
  pirig dataset filter DATASET FOLDER --min-length 20         by episodes, length or sentence
  pirig dataset edit DATASET FOLDER --drop observation.images.left_wrist_0_rgb
  pirig dataset edit DATASET FOLDER --rename observation.state=state --rename action=actions
  pirig dataset push DATASET USER/NAME                        to the Hugging Face Hub, or to a mirror (HF_ENDPOINT)
  pirig dataset pull USER/NAME FOLDER                         from there; the same command goes on where it was stopped

DATASET: a folder, or the [user/]name of one below HF_LEROBOT_HOME (default ~/.cache/huggingface/lerobot). FOLDER: a new one;
where HF_LEROBOT_HOME is set, a [user/]name goes below it, and ./name is a folder here. Whether a data set is good:
pirig doctor FOLDER. `pirig dataset VERB --help` says more."""
CONVERT = """\
The same data set in another form. From tables to tables nothing changes, neither a number nor a picture; films that stay films
are copied, not encoded again, where they can be cut between pictures that stand alone (LeRobot's can). What encoding has lost
is said in dB (PSNR, over every frame) on the screen and in meta/info.json (features.KEY.info). What pirig keeps beside a data set
(contract, provenance, statistics) goes with it."""
MERGE = """\
All episodes of the data sets, one after the other. They have the same features, rate and robot, and of pirig's the same
contract but for the task; each episode keeps its sentence, indices and the table of tasks are made anew. A scene of a simulator
that is in two of them is refused."""
SPLIT = """\
Two data sets from one. --share draws whole episodes at random, the same ones for the same --seed; --by-success takes those
whose column next.success (or success, is_success, episode_success) is ever true."""
FILTER = """\
The episodes that meet every condition, in their order. Of a damaged data set, --leave-out gives the others."""
EDIT = """\
The same episodes with other features. --rename and --drop take any feature, --crop one of pictures: they are decoded, cut and
kept as before (films are encoded again, with the loss said). A data set of pirig keeps its contract where it still can: a camera
may go, or take another role; a renamed state or action, or a cropped view of a simulator, makes it anybody's.

  pirig dataset edit DATASET FOLDER --rename observation.state=state --rename action=actions
  pirig dataset edit DATASET FOLDER --crop observation.images.base_0_rgb=80,0,480,480"""
PUSH = """\
One commit that makes the hub's data set what the folder is, tagged with LeRobot's version, as lerobot asks for it. Its files
are asked first, as `pirig dataset convert` asks them; what the hub has already is not sent again; every checksum is compared
afterwards."""
PULL = """\
A data set of the hub in a new folder. It gets its name when every file's checksum was right and it is a LeRobot data set; until
then what came lies beside it, and the same command goes on from there. Whether it is good to train on: pirig doctor FOLDER."""
IN_REMEDY = re.compile(
    r"(?:give demos\.leave_out=\[([\d, ]+)\](?: to do without (?:them|it))?|leave the episode out \(demos\.leave_out=\[(\d+)\]\))"
)
OF_TIMES = re.compile(r"; demos\.times=ignore[^;]*?(?=\.$|;)")


def main(arguments: list[str]) -> int:
    """0, or 2 on a wrong call. Raises ValueError with the reason before anything is written."""
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as stop:  # argparse has printed help (0) or what is wrong (2)
        return int(stop.code or 0)
    from pirig.foreign.faults import ForeignFileError

    try:
        return options.action(options)
    except ForeignFileError as error:
        raise ForeignFileError(OF_TIMES.sub("", IN_REMEDY.sub(_left_out, str(error)))) from error


def _left_out(found: re.Match[str]) -> str:
    """The remedy of a recording, as this verb knows it."""
    return f"leave it out: pirig dataset filter --leave-out {(found[1] or found[2]).replace(' ', '')}"


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    form = argparse.ArgumentParser(add_help=False)
    form.add_argument(
        "--format", choices=("v3.0", "v2.1"), help="LeRobot's version (default: the source's; v2.0 becomes v2.1)"
    )
    form.add_argument("--storage", choices=("images", "video"), help="of pictures (default: as they are)")
    form.add_argument("--codec", choices=("h264", "av1"), help="of films (default: the source's, else h264)")
    parser = argparse.ArgumentParser("pirig dataset", description=ABOUT, formatter_class=raw)
    verbs = parser.add_subparsers(required=True, metavar="convert | merge | split | filter | edit | push | pull")

    def verb(name: str, about: str, said: str, action: Any, *, makes: bool = True) -> argparse.ArgumentParser:
        parents = [form] if makes else []
        made = verbs.add_parser(name, description=about, formatter_class=raw, help=said, parents=parents)
        made.set_defaults(action=action, verb=name)
        return made

    convert = verb("convert", CONVERT, "another version or storage", _convert)
    _places(convert)
    merge = verb("merge", MERGE, "several into one", _merge)
    merge.add_argument("sources", nargs="+", metavar="DATASET")
    merge.add_argument("destination", metavar="FOLDER")
    split = verb("split", SPLIT, "one into two", _split)
    split.add_argument("source", metavar="DATASET")
    split.add_argument("destinations", nargs=2, metavar="FOLDER")
    how = split.add_mutually_exclusive_group(required=True)
    how.add_argument("--share", type=float, help="of the episodes that the first one gets, such as 0.9")
    how.add_argument("--by-success", action="store_true", help="those that succeed, and the others")
    split.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    chosen = verb("filter", FILTER, "some of the episodes", _filter)
    _places(chosen)
    chosen.add_argument("--episodes", metavar="0-9,12", help="these")
    chosen.add_argument("--leave-out", metavar="3,7", help="without these")
    chosen.add_argument("--min-length", type=int, default=0, metavar="N", help="of at least so many frames")
    chosen.add_argument("--max-length", type=int, metavar="N", help="of at most so many frames")
    chosen.add_argument(
        "--prompt", default="", metavar="TEXT", help="with this sentence; * and ? stand for anything: '*mug*'"
    )
    edit = verb("edit", EDIT, "other features", _edit)
    _places(edit)
    edit.add_argument("--rename", action="append", default=[], metavar="OLD=NEW", help="a feature; may be given again")
    edit.add_argument("--drop", action="append", default=[], metavar="KEY", help="a feature; may be given again")
    edit.add_argument("--crop", action="append", default=[], metavar="KEY=LEFT,TOP,WIDTH,HEIGHT", help="in pixels")
    push = verb("push", PUSH, "to the Hugging Face Hub", _push, makes=False)
    push.add_argument("source", metavar="DATASET")
    push.add_argument("name", metavar="USER/NAME")
    push.add_argument("--private", action="store_true", help="where it is not there yet: for you alone")
    pull = verb("pull", PULL, "from the Hugging Face Hub", _pull, makes=False)
    pull.add_argument("name", metavar="USER/NAME")
    pull.add_argument("destination", metavar="FOLDER")
    pull.add_argument("--revision", help="a branch, a tag or a commit (default: main)")
    return parser


def _places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="DATASET")
    parser.add_argument("destination", metavar="FOLDER")


def _convert(options: argparse.Namespace) -> int:
    from pirig.datasets.remake.plan import chosen_of

    source = _open(options.source)
    return _make(options, chosen_of(source), options.destination, all_tasks=True)


def _merge(options: argparse.Namespace) -> int:
    from pirig.datasets.remake.plan import chosen_of

    if len(options.sources) < 2:
        raise ValueError("pirig dataset merge: expected at least two data sets, then the folder of the new one.")
    sources = [_open(word) for word in options.sources]
    twice = sorted({str(one.folder) for one in sources if [x.folder for x in sources].count(one.folder) > 1})
    if twice:
        raise ValueError(f"pirig dataset merge: {twice[0]} is named twice; expected each data set once.")
    return _make(options, [one for source in sources for one in chosen_of(source)], options.destination)


def _split(options: argparse.Namespace) -> int:
    from pirig.datasets.lerobot.home import wanted
    from pirig.datasets.remake import choose
    from pirig.datasets.remake.plan import chosen_of

    source = _open(options.source)
    folders = [wanted(word) for word in options.destinations]
    if folders[0].absolute() == folders[1].absolute():
        raise ValueError(f"pirig dataset split: both parts are {folders[0]}; expected two folders.")
    for folder in folders:
        _require_new(folder)
    parts = choose.by_success(source) if options.by_success else choose.by_share(source, options.share, options.seed)
    for part, word in zip(parts, options.destinations, strict=True):
        _make(options, chosen_of(source, part), word)
    return 0


def _filter(options: argparse.Namespace) -> int:
    from pirig.datasets.remake import choose
    from pirig.datasets.remake.plan import chosen_of

    source = _open(options.source)
    kept = choose.filtered(
        source,
        episodes=choose.numbers(options.episodes) if options.episodes else None,
        leave_out=choose.numbers(options.leave_out) if options.leave_out else (),
        least=options.min_length,
        most=options.max_length,
        prompt=options.prompt,
    )
    return _make(options, chosen_of(source, kept), options.destination)


def _edit(options: argparse.Namespace) -> int:
    from pirig.datasets.remake.plan import Edit, chosen_of

    renamed = dict(_pair("--rename", word, "OLD=NEW") for word in options.rename)
    crops = {
        key: _box(word) for word in options.crop for key in [_pair("--crop", word, "KEY=LEFT,TOP,WIDTH,HEIGHT")[0]]
    }
    edit = Edit(renamed, tuple(options.drop), crops)
    if not edit:
        raise ValueError("pirig dataset edit: nothing to change; give --rename, --drop or --crop.")
    return _make(options, chosen_of(_open(options.source)), options.destination, edit=edit, all_tasks=True)


def _push(options: argparse.Namespace) -> int:
    from pirig.datasets.lerobot.hub import push

    print(push(_open(options.source), options.name, private=options.private))
    return 0


def _pull(options: argparse.Namespace) -> int:
    from pirig.datasets.lerobot.home import wanted
    from pirig.datasets.lerobot.hub import pull

    folder = wanted(options.destination)
    _require_new(folder)
    print(pull(options.name, folder, options.revision))
    return 0


def _pair(option: str, word: str, form: str) -> tuple[str, str]:
    key, sign, value = word.partition("=")
    if not (key and sign and value):
        raise ValueError(f"{option} {word}: expected {option} {form}.")
    return key, value


def _box(word: str) -> Any:
    from pirig.datasets.remake.episode import Box

    numbers = word.partition("=")[2].split(",")
    if len(numbers) != 4 or not all(re.fullmatch(r"\d+", number.strip()) for number in numbers):
        raise ValueError(f"--crop {word}: expected --crop KEY=LEFT,TOP,WIDTH,HEIGHT in whole pixels.")
    return Box(*map(int, numbers))


def _open(word: str) -> LeRobotSource:
    from pirig.datasets.lerobot.home import existing
    from pirig.datasets.lerobot.source import LeRobotSource

    return LeRobotSource(existing(word))


def _require_new(folder: Path) -> None:
    if folder.exists():
        raise FileExistsError(f"{folder} exists already; remove it or choose another name")


def _kept(options: argparse.Namespace, source: LeRobotSource) -> Kept:
    """Raises ValueError where a codec is given and no films are asked for."""
    from pirig.datasets.pictures.film_write import USUAL_CODEC
    from pirig.datasets.remake.plan import Kept

    if options.storage == "images":
        if options.codec:
            raise ValueError(
                f"--codec {options.codec}: pictures in tables have none; leave it out, or give --storage video."
            )
        return Kept(options.format, "")
    in_tables = any(source.features[name].dtype == "image" for name in source.meta.image_columns())
    return Kept(options.format, options.codec or (USUAL_CODEC if options.storage and in_tables else None))


def _make(
    options: argparse.Namespace,
    chosen: Sequence[Chosen],
    word: str,
    *,
    edit: Edit | None = None,
    all_tasks: bool = False,
) -> int:
    from pirig.datasets.lerobot.home import wanted
    from pirig.datasets.remake.ours import Carried
    from pirig.datasets.remake.plan import Edit, Plan
    from pirig.datasets.remake.write import write

    folder = wanted(word)
    _require_new(folder)
    plan = Plan(chosen, kept=_kept(options, chosen[0].source), edit=edit or Edit(), all_tasks=all_tasks)
    carried = Carried(plan, options.verb)
    for text in write(plan, folder, tasks=carried.tasks, also=carried.save):
        print(f"note: {text}")
    if carried.why_not:
        print(f"note: its contract is left out: {carried.why_not}; it is anybody's data set now")
    print(_said(plan, folder), flush=True)
    return 0


def _said(plan: Plan, folder: Path) -> str:
    films = [column for column in plan.columns if column.is_film]
    pictures = "films" if films else "pictures in tables"
    frames = sum(one.episode.length for one in plan.chosen)
    return (
        f"data set: {folder}: LeRobot {plan.version}, {len(plan.chosen)} episodes, {frames} frames, {pictures}; "
        f"{len(plan.tasks)} sentence{'s' if len(plan.tasks) != 1 else ''}"
    )
