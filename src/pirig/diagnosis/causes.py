"""From measured numbers to ranked causes in plain words. Every rule is a pure function of the evidence.

`weight` orders the list: 0.9 and above is broken for certain, 0.6 to 0.9 explains a low rate by itself, below that it
takes part or tells where to look. Thresholds are named, and each cause carries the numbers that it rests on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from pirig.comparison.statistics import wilson
from pirig.diagnosis.broken import Cause, contract, gates, input_parity, oracle
from pirig.diagnosis.evidence import Evidence, HandOver
from pirig.diagnosis.outcome import STILL_STEPS
from pirig.evaluation.open_loop import Errors

GOOD_LOW = 0.75  # a success rate whose interval lies above it needs no explanation
UNTRAINED, HALF_TRAINED = 0.8, 0.5  # error on training frames, as a share of the mean action's
BLIND = 1.03  # error grows by less than this when an input comes from another frame
BLIND_ON_NEW = 1.15  # the same on episodes that the policy does not know
OVERFIT_FACTOR = 1.5
STILL_FALLING = 0.05
FEW_EPISODES = 20
GRIPPER_MM = 80.0  # how wide a Panda's opens
STANDING = 0.2  # share of the failed episodes that end in a standstill
SEES_MM = 20.0  # mean error beyond which a gripper that opens so wide misses a cube of 40 mm
TAKE_AWAY_JOINTS = (
    "train.state_noise=1 train.state_noise_share=0.5 train.state_noise_on=[qpos8] makes it look at the picture"
)


def ranked(evidence: Evidence) -> list[Cause]:
    """All causes that the evidence supports, the likeliest first."""
    rules = HARD_RULES + (() if succeeds(evidence) else SOFT_RULES)
    causes = [cause for rule in rules for cause in rule(evidence)]
    return sorted(causes, key=lambda cause: -cause.weight)


def succeeds(evidence: Evidence) -> bool:
    outcome = evidence.outcome
    return outcome is not None and outcome.low >= GOOD_LOW


def step_limit(evidence: Evidence) -> list[Cause]:
    late = evidence.late
    if late is None or late.k == 0:
        return []
    share = late.k / late.n
    assert evidence.outcome is not None
    return [
        Cause(
            "step limit",
            0.4 + 0.52 * share,  # one of five that succeeds late explains little
            "the step limit ends episodes that would succeed: the policy is slower than the demos",
            f"{late.k} of {late.n} failed episodes succeed when they go on to {late.limit} steps instead of "
            f"{evidence.outcome.limit}",
            f"pirig eval RUN eval.max_steps={late.limit}, or train on faster demos",
        )
    ]


def under_trained(evidence: Evidence) -> list[Cause]:
    errors, history = evidence.training, evidence.history
    if errors is None or errors.relative() < HALF_TRAINED:
        return []
    ratio = errors.relative()
    falling = history.fall is not None and history.fall > STILL_FALLING
    trend = "" if history.fall is None else f", the loss fell by {history.fall:.0%} over the last fifth"
    untrained = ratio >= UNTRAINED
    return [
        Cause(
            "under-trained",
            min(0.9, 0.85 + 0.05 * ratio) if untrained else 0.4 + 0.5 * ratio,
            "the policy is under-trained: it has hardly learned its own training frames"
            if untrained
            else "the policy has learned its own training frames only in part",
            f"action error on training frames is {ratio:.0%} of always predicting the mean action; {history.steps} steps, "
            f"{history.epochs:.1f} passes over the data{trend}",
            "train longer (train.steps=...)"
            if untrained or falling
            else "a larger model, images of more pixels, a closer camera, less augmentation, or longer training",
        )
    ]


def unlearned_numbers(evidence: Evidence) -> list[Cause]:
    """Single action numbers that stay at the mean while others are learned."""
    errors = evidence.training
    if errors is None or errors.relative() >= UNTRAINED:
        return []
    ratios = errors.relative_by_number()
    used = np.where(errors.scale > 0.1 * errors.scale.max(), ratios, np.nan)
    wrong = [number for number, ratio in enumerate(used) if ratio >= 0.85]
    if not wrong:
        return []
    names = ", ".join(f"{_name(evidence, number)} ({ratios[number]:.0%})" for number in wrong)
    return [
        Cause(
            "unlearned action",
            0.75,
            f"the policy cannot tell {' and '.join(_name(evidence, number) for number in wrong)} from what it sees",
            f"their error as a share of the mean action's: {names}; all together {errors.relative():.0%}",
            "what decides these numbers (where the object is, when to close the gripper) is too small or hidden in the "
            "images or missing in the state: more pixels, a closer or second camera, more demos, longer training",
        )
    ]


def ignored_inputs(evidence: Evidence) -> list[Cause]:
    errors = evidence.training
    if errors is None or errors.relative() >= UNTRAINED:
        return []
    return [
        Cause(
            "ignored input",
            0.5 if name == "state" else 0.8,
            f"the policy does not use {'its state' if name == 'state' else 'the camera ' + name}",
            f"with {name} of another frame its error changes by a factor of {factor:.2f}",
            "look whether that input reaches the model and tells anything (gates images, state_reaches_model)"
            + ("" if name == "state" else f"; if it does, {TAKE_AWAY_JOINTS}"),
        )
        for name, factor in errors.without.items()
        if factor < BLIND
    ]


def overfit(evidence: Evidence) -> list[Cause]:
    training, held_out = evidence.training, evidence.held_out
    if training is None or held_out is None:
        return []
    seen, unseen = training.relative(), held_out.relative()
    if unseen < OVERFIT_FACTOR * seen or unseen < 0.25:
        return []
    return [
        Cause(
            "overfit",
            min(0.88, 0.6 + 0.3 * (unseen - seen)),
            "the policy is overfit: it knows its training episodes and not the task",
            f"action error {seen:.0%} of the mean action's on training frames, {unseen:.0%} on {held_out.episodes} held-out "
            f"episodes{_unused_there(held_out)}",
            f"more demos (demos.count=...), augmentation (train.augment=true; {TAKE_AWAY_JOINTS}), fewer steps or a smaller "
            "model",
        )
    ]


def _unused_there(held_out: Errors) -> str:
    """Inputs that the policy had no use for on episodes that it does not know."""
    unused = [f"{name} ({factor:.2f} times)" for name, factor in held_out.without.items() if factor < BLIND_ON_NEW]
    return f", where another frame's {' or '.join(unused)} hardly changes it" if unused else ""


def scenes_not_shared(evidence: Evidence) -> list[Cause]:
    """The rollout's own sign of overfitting: training scenes work, new ones do not."""
    alone, outcome = _row(evidence, "demo", 0.0), evidence.outcome
    if alone is None or outcome is None or wilson(alone.k, alone.n)[0] <= outcome.high:
        return []
    return [
        Cause(
            "training scenes only",
            0.7,
            "the policy solves the scenes that it was trained on and not new ones",
            f"{alone.k} of {alone.n} on demo seeds, {outcome.k} of {outcome.n} on new seeds",
            "more demos (demos.count=...) and augmentation",
        )
    ]


def stands_still(evidence: Evidence) -> list[Cause]:
    """The policy has come to where it waits, and waits for ever."""
    outcome = evidence.outcome
    if outcome is None or not outcome.stood_still:
        return []
    failed = outcome.n - outcome.k
    share = outcome.stood_still / failed
    if share < STANDING:
        return []
    return [
        Cause(
            "stands still",
            0.6 + 0.3 * share,
            "the policy stands still to the end: what it sees in a demo's wait looks like the wait's beginning at its end too",
            f"{outcome.stood_still} of {failed} failed episodes end in {STILL_STEPS} actions that hardly change",
            "train.idle_steps=1 leaves frames after which nothing moves out of the training",
        )
    ]


def accumulating(evidence: Evidence) -> list[Cause]:
    """Where the policy, alone, leaves the demo's path for good."""
    rows = [hand_over for hand_over in evidence.hand_overs if hand_over.first == "demo"]
    helped = next((hand_over for hand_over in rows if hand_over.share > 0 and hand_over.k > 0.5 * hand_over.n), None)
    alone = _row(evidence, "demo", 0.0)
    if helped is None or alone is None or alone.k > 0.5 * alone.n:
        return []
    return [
        Cause(
            "breaks early",
            0.58,
            f"the episode breaks in its first {helped.share:.0%}: from there on the policy finishes what a demo began",
            f"policy alone {alone.k} of {alone.n}, after {helped.share:.0%} of the demo {helped.k} of {helped.n}",
            "small errors add up before the object is reached: a better view of it, more demos, longer training",
        )
    ]


def breaks_late(evidence: Evidence) -> list[Cause]:
    """Even a demo that is nearly done is not finished by the policy."""
    rows = [hand_over for hand_over in evidence.hand_overs if hand_over.first == "demo"]
    if not rows or any(hand_over.k > 0.5 * hand_over.n for hand_over in rows):
        return []
    last = rows[-1]
    return [
        Cause(
            "does not finish",
            0.57,
            f"the policy cannot finish even where a demo has done {last.share:.0%} of the work",
            f"{last.k} of {last.n} succeed",
            "look at the last part of the videos: the end of the task is not learned",
        )
    ]


def does_not_see(evidence: Evidence) -> list[Cause]:
    """What the tower says of where things are, on held-out frames, where a label loss asked it; of what the arm moves, before it
    does, where that is known: a carried cube is known by the hand. Where something must fit, it counts in the hand too."""
    off = {name.removesuffix("_mm"): mm for name, mm in evidence.label_errors.items() if name.endswith("_mm")}
    at_rest = {name.removesuffix("_at_rest"): mm for name, mm in off.items() if name.endswith("_at_rest")}
    all_along = {name.removesuffix("_position"): mm for name, mm in off.items() if not name.endswith("_at_rest")}
    room_mm = evidence.clearance_mm
    wrong = all_along | at_rest if room_mm is None else at_rest | all_along
    far = {thing: mm for thing, mm in wrong.items() if mm > (room_mm or SEES_MM)}
    if not far:
        return []
    thing, mm = max(far.items(), key=lambda entry: entry[1])
    room = f"a gripper opens {GRIPPER_MM:.0f}" if room_mm is None else f"the task leaves {room_mm:.0f}"
    when = ", before it is moved" if at_rest and room_mm is None else ""
    return [
        Cause(
            "does not see",
            0.68,
            f"the policy does not know where {thing} is: off by {mm:.0f} mm, {room}",
            ", ".join(f"{name} off by {far[name]:.0f} mm" for name in far) + f" on held-out frames{when}",
            "tower=keypoints with a warm-up on more scenes (tower.warm_up.steps=..., scenes.count=...), scenes near demos "
            "(scenes.near_demos=0.5), a closer camera, more demos",
        )
    ]


def executes_too_far(evidence: Evidence) -> list[Cause]:
    errors, outcome = evidence.held_out or evidence.training, evidence.outcome
    if errors is None or outcome is None or outcome.execute < 2:
        return []
    first, last = _at(errors, 0), _at(errors, outcome.execute - 1)
    if last < 1.5 * first:
        return []
    fewer = max(1, outcome.execute // 2)
    return [
        Cause(
            "chunk",
            0.5,
            "the later actions of a chunk are much worse than the first, and they are executed",
            f"error {first:.0%} of the mean action's at its first step, {last:.0%} at step {outcome.execute}",
            f"pirig eval RUN eval.execute={fewer}",
        )
    ]


def funnel(evidence: Evidence) -> list[Cause]:
    """The step of the funnel where most episodes are lost."""
    outcome = evidence.outcome
    if outcome is None or not outcome.sub_goals:
        return []
    steps = [
        ("started", outcome.n),
        *((name, k) for name, k in outcome.sub_goals.items() if not name.startswith("is_")),
    ]
    losses = [(before - k, name, k, previous, before) for (previous, before), (name, k) in itertools.pairwise(steps)]
    lost, name, k, previous, before = max(losses)
    if lost <= 0:
        return []
    return [
        Cause(
            "funnel",
            0.45,
            f"most episodes are lost between {previous} and {name}",
            f"{before} {previous}, {k} {name}",
            "look at the videos of failures at that moment",
        )
    ]


def few_episodes(evidence: Evidence) -> list[Cause]:
    outcome = evidence.outcome
    if outcome is None or outcome.n >= FEW_EPISODES:
        return []
    return [
        Cause(
            "few episodes",
            0.2,
            "too few episodes to tell a bad policy from bad luck",
            f"{outcome.k} of {outcome.n}: the true rate lies between {outcome.low:.0%} and {outcome.high:.0%}",
            "pirig eval RUN eval.episodes=40",
        )
    ]


def _row(evidence: Evidence, first: str, share: float) -> HandOver | None:
    return next(
        (hand_over for hand_over in evidence.hand_overs if (hand_over.first, hand_over.share) == (first, share)), None
    )


def _at(errors: Errors, step: int) -> float:
    return errors.relative(steps=slice(step, step + 1))


def _name(evidence: Evidence, number: int) -> str:
    names = evidence.action_names
    return names[number] if number < len(names) else f"action number {number}"


Rule = Callable[[Evidence], list[Cause]]
HARD_RULES: tuple[Rule, ...] = (contract, gates, oracle, input_parity)
SOFT_RULES: tuple[Rule, ...] = (
    step_limit,
    under_trained,
    unlearned_numbers,
    ignored_inputs,
    overfit,
    scenes_not_shared,
    accumulating,
    breaks_late,
    stands_still,
    does_not_see,
    executes_too_far,
    funnel,
    few_episodes,
)
