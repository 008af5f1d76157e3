"""Causes that make every number of a policy meaningless: they are asked first, also of one that succeeds."""

from __future__ import annotations

from dataclasses import dataclass

from pirig.diagnosis.evidence import Evidence, Parity

GOOD_ORACLE = 0.9
PIXELS_MEAN, PIXELS_MEAN_LATER = 1.0, 4.0  # of 0..255; later frames have the simulator's own spread
STATE = 1e-3  # rad, m, at the first frame


@dataclass(frozen=True)
class Cause:
    """`says`: what is wrong; `numbers`: the evidence; `remedy`: what to do."""

    name: str
    weight: float
    says: str
    numbers: str
    remedy: str


def contract(evidence: Evidence) -> list[Cause]:
    if not evidence.contract_differences:
        return []
    return [
        Cause(
            "contract",
            1.0,
            "run, checkpoint and data set disagree about what is simulated",
            "; ".join(evidence.contract_differences),
            "evaluate with the settings that made the checkpoint, or train again",
        )
    ]


def gates(evidence: Evidence) -> list[Cause]:
    return [
        Cause(f"gate {name}", 0.97, f"the gate {name} does not pass", "; ".join(sentences), "repair that first")
        for name, sentences in evidence.gates.items()
        if sentences
    ]


def oracle(evidence: Evidence) -> list[Cause]:
    """The evaluation's own oracle."""
    if evidence.outcome is None:
        return []
    k, n = evidence.outcome.oracle
    if k >= GOOD_ORACLE * n:
        return []
    return [
        Cause(
            "oracle",
            0.96,
            "even the demos fail in this evaluation, so no policy can succeed",
            f"{k} of {n} demos succeed when their own actions are replayed",
            "see the gates first_frame and demo_replay; make demos and data set again with these settings",
        )
    ]


def input_parity(evidence: Evidence) -> list[Cause]:
    return [cause for compared in evidence.parity for cause in (*_pixels(compared), *_state(compared))]


def _pixels(parity: Parity) -> list[Cause]:
    limit = PIXELS_MEAN if parity.step == 0 else PIXELS_MEAN_LATER
    return [
        Cause(
            "input parity",
            0.95,
            f"evaluation feeds other pixels of {role} than training saw",
            f"seed {parity.seed}, step {parity.step}: {mean:.1f} of 255 apart on average, {largest:.0f} at most",
            "look at the pictures below; remove the frames-* folder beside the data set (training's cache) and train "
            "again, or bring camera, shader and renderer back to the data set's",
        )
        for role, (largest, mean) in parity.pixels.items()
        if mean > limit
    ]


def _state(parity: Parity) -> list[Cause]:
    if parity.step or (parity.state <= STATE and parity.tokens == 0):
        return []  # after a replay the simulator's own spread is in it
    return [
        Cause(
            "input parity",
            0.94,
            "evaluation feeds another state than training saw: noise, another unit or another recipe in the data set",
            f"seed {parity.seed}, step 0, a frame that both should know exactly: state number {parity.state_number} is "
            f"{parity.state:.4f} apart ({parity.model_state:.3f} in the model's numbers), {parity.tokens} tokens of "
            "the prompt differ",
            "record the state from the simulator without noise, or add the same noise on both sides",
        )
    ]
