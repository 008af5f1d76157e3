"""`pirig inspect PATH ...`: what is in this file or folder?

Shows an .h5, an .npz, a folder of demos, a LeRobot data set, a run or a checkpoint: arrays with shapes, types and ranges,
contracts, settings, results. It judges nothing: whether it is good to train on is asked by `pirig doctor PATH`.

  pirig inspect DATASET --html FILE        a page about a LeRobot data set or an arm's episodes that opens without a network:
                                           an episode that plays with its numbers, first and last frames, every number over
                                           time, lengths, sentences, and what `pirig doctor` says
"""

from __future__ import annotations

from pathlib import Path

PAGE = "--html"


def main(arguments: list[str]) -> int:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0 if arguments else 2
    from pirig.config.arguments import require_option

    for word in arguments:
        if word.startswith("-") and not Path(word).exists():
            require_option(word, (PAGE,))
    if PAGE in arguments:
        return _page(arguments)
    for argument in arguments:
        print("\n".join([argument, *_lines(Path(argument))]))
    return 0


def _page(arguments: list[str]) -> int:
    place = arguments.index(PAGE)
    paths, file = arguments[:place] + arguments[place + 2 :], arguments[place + 1 : place + 2]
    if len(paths) != 1 or not file:
        raise ValueError(f"pirig inspect {' '.join(arguments)}: expected pirig inspect DATASET {PAGE} FILE.html")
    from pirig.datasets.page.build import require_ours, write_page
    from pirig.gates.ask import reports

    data_set, page = Path(paths[0]), Path(file[0])
    require_ours(page)
    asked = [(title, [*report.said()]) for title, report in reports(data_set)]
    print(write_page(data_set, page, asked))
    return 0


def _lines(path: Path) -> list[str]:
    from pirig.datasets.inspect import look
    from pirig.evaluation.describe import describer

    describe = describer(path)
    return describe(path) if describe else look(path).lines
