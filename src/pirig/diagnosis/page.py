"""diagnosis.html: one file with everything in it, to read, to send and to keep."""

from __future__ import annotations

import base64
from html import escape

from pirig.diagnosis import figures
from pirig.diagnosis.causes import Cause, succeeds
from pirig.diagnosis.evidence import Evidence
from pirig.evaluation.open_loop import Errors

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd }
table { border-collapse: collapse } td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top }
ol > li { margin-bottom: .9rem } .numbers { color: #555 } .remedy::before { content: "Do: "; font-weight: 600 }
img { max-width: 100% } .wrong { color: #b00020; font-weight: 600 } .note { color: #777 } code { font-size: .9em }
"""


def build(name: str, evidence: Evidence, causes: list[Cause]) -> str:
    parts = [
        f"<h1>Diagnosis of {escape(name)}</h1>",
        f"<p>{escape(verdict(evidence))}</p>",
        "<h2>Likely causes, the likeliest first</h2>",
        _causes(causes, evidence),
        *(f'<p class="note">{escape(note)}</p>' for note in evidence.notes),
        "<h2>Where episodes are lost</h2>",
        _funnel(evidence),
        "<h2>Open-loop action error</h2>",
        _open_loop(evidence),
        "<h2>Policy and demo share an episode</h2>",
        _hand_overs(evidence),
        "<h2>Input parity: what evaluation feeds against what training saw</h2>",
        _parity(evidence),
        "<h2>Gates</h2>",
        _gates(evidence),
        "<h2>Contract</h2>",
        _contract(evidence),
    ]
    head = f'<meta charset="utf-8"><title>Diagnosis of {escape(name)}</title><style>{STYLE}</style>'
    return f"<!doctype html><html lang=en><head>{head}</head><body>\n" + "\n".join(parts) + "\n</body></html>\n"


def verdict(evidence: Evidence) -> str:
    outcome, history = evidence.outcome, evidence.history
    trained = f"Checkpoint {evidence.checkpoint}: {history.steps} steps, {history.epochs:.1f} passes over the data."
    if outcome is None:
        return f"{trained} Not evaluated yet: `pirig eval RUN` measures the success rate."
    rate = (
        f"{outcome.k} of {outcome.n} episodes succeed ({outcome.low:.0%} to {outcome.high:.0%}, Wilson 95 %); "
        f"demos replayed {_baseline(outcome.oracle)}, {outcome.start[0]} {_baseline(outcome.start[1:])}; "
        f"limit {outcome.limit} steps, {outcome.execute} of each chunk executed."
    )
    return f"{trained} {rate}"


def _baseline(counts: tuple[int, int]) -> str:
    return f"{counts[0]} of {counts[1]}" if counts[1] else "not measured"


def nothing_found(evidence: Evidence) -> str:
    if succeeds(evidence):
        return "The policy succeeds; nothing needs an explanation."
    return "No measurement explains the failures: look at the videos under eval/, and at the tables below."


def _causes(causes: list[Cause], evidence: Evidence) -> str:
    if not causes:
        return f"<p>{escape(nothing_found(evidence))}</p>"
    items = "".join(
        f'<li><strong>{escape(cause.says)}</strong><br><span class="numbers">{escape(cause.numbers)}</span><br>'
        f'<span class="remedy">{escape(cause.remedy)}</span></li>'
        for cause in causes
    )
    return f"<ol>{items}</ol>"


def _funnel(evidence: Evidence) -> str:
    columns = {}
    if evidence.outcome and evidence.outcome.sub_goals:
        columns["new scenes"] = (evidence.outcome.sub_goals, evidence.outcome.n)
    alone = next((row for row in evidence.hand_overs if (row.first, row.share) == ("demo", 0.0)), None)
    if alone and alone.sub_goals:
        columns["training scenes"] = (alone.sub_goals, alone.n)
    if not columns:
        return '<p class="note">These results hold no sub-goals: evaluate again with this version.</p>'
    return _picture(figures.funnel(columns))


def _open_loop(evidence: Evidence) -> str:
    sets = {"training episodes": evidence.training, "held-out episodes": evidence.held_out}
    measured = {name: errors for name, errors in sets.items() if errors is not None}
    if not measured:
        return '<p class="note">Not measured.</p>'
    execute = evidence.outcome.execute if evidence.outcome else None
    table = _table(["frames of", "frames", "policy", "repeat the last", "mean action"], _error_rows(measured))
    text = "<p>Mean difference from the demonstrated actions, as a share of always predicting the mean action.</p>"
    blind = [[name, f"{factor:.2f} times"] for errors in measured.values() for name, factor in errors.without.items()]
    inputs = _table(["input taken from another frame", "the error becomes"], blind) if blind else ""
    return text + table + _picture(figures.open_loop(measured, evidence.action_names, execute)) + inputs


def _error_rows(measured: dict[str, Errors]) -> list[list[str]]:
    return [
        [name, str(errors.frames), f"{errors.relative():.0%}", f"{errors.relative('repeat'):.0%}", "100%"]
        for name, errors in measured.items()
    ]


def _hand_overs(evidence: Evidence) -> str:
    rows = evidence.hand_overs
    if not rows:
        return '<p class="note">Not measured.</p>'
    table = _table(
        ["first", "for this share of the demo's steps", "succeed"],
        [[row.first, f"{row.share:.0%}", f"{row.k} of {row.n}"] for row in rows],
    )
    late = evidence.late
    text = (
        f"<p>Failed episodes of the evaluation, run on to {late.limit} steps: {late.k} of {late.n} succeed.</p>"
        if late
        else ""
    )
    explained = (
        "<p>On the seeds of demos. Orange: a demo's actions bring the episode so far, the policy finishes it; where the "
        "line rises, the part before it is what the policy cannot do. Blue: the policy begins, the demo's actions go on "
        "from the same step, which works only while the policy has stayed on the demo's path.</p>"
    )
    return explained + _picture(figures.hand_overs(rows)) + table + text


def _parity(evidence: Evidence) -> str:
    if not evidence.parity:
        return '<p class="note">Not measured.</p>'
    rows = [
        [
            f"{compared.seed}",
            str(compared.step),
            role,
            f"{largest:.0f}",
            f"{mean:.3f}",
            f"{compared.state:.1e}",
            str(compared.tokens),
        ]
        for compared in evidence.parity
        for role, (largest, mean) in compared.pixels.items()
    ]
    heads = ["seed", "step", "camera", "largest pixel difference", "mean", "state", "tokens that differ"]
    explained = (
        "<p>A demo's seed, at its first frame and after half of its own actions: the tensors that the model reads, in "
        "evaluation and in training.</p>"
    )
    return explained + _table(heads, rows) + _picture(figures.parity(evidence.parity))


def _gates(evidence: Evidence) -> str:
    rows = [[name, "; ".join(said) or "ok"] for name, said in evidence.gates.items()]
    return _table(["gate", "says"], rows + [[name, "switched off"] for name in evidence.gates_skipped])


def _contract(evidence: Evidence) -> str:
    wrong = "".join(f'<p class="wrong">{escape(text)}</p>' for text in evidence.contract_differences)
    return wrong + _table(["field", "value"], [[key, str(value)] for key, value in evidence.contract.items()])


def _table(heads: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _picture(png: bytes) -> str:
    return f'<p><img src="data:image/png;base64,{base64.b64encode(png).decode()}" alt=""></p>'
