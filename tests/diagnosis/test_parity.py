"""Input parity of a suite: each episode is told its own task's sentence, and the simulator's is held against it."""

from types import SimpleNamespace

import numpy as np
import pytest

from pirig.diagnosis.parity import compare
from pirig.sim.door import Observation

SENTENCES = {"soup": "pick up the soup", "milk": "pick up the milk"}


def encoded(state, prompts=None):
    assert prompts is not None  # a contract of two tasks has no sentence of its own
    tokens = np.array([[sum(map(ord, word)) for word in prompt.split()] for prompt in prompts])
    return state, tokens, np.ones(tokens.shape, bool)


def fed(pixels, state_raw, prompts=None):
    state, tokens, mask = encoded(state_raw, prompts)
    return SimpleNamespace(images=pixels, state=state, tokens=tokens, token_mask=mask)


@pytest.mark.parametrize(("said", "apart"), [("milk", 0), ("soup", 1)])
def test_a_suites_episode_is_told_what_its_task_is_told(said, apart):
    state, pixels = np.arange(10.0).reshape(5, 2), np.zeros((1, 4, 4, 3), np.uint8)
    dataset = SimpleNamespace(
        contract=SimpleNamespace(scenes=[SimpleNamespace(task=task, prompt=SENTENCES[task]) for task in SENTENCES]),
        tasks=["soup", "milk"], lengths=[2, 3], offsets=[0, 2], state=state, seeds=[0, 1],
    )  # fmt: skip
    policy = SimpleNamespace(
        raw_inputs=lambda observations: ({"base_0_rgb": pixels}, state[[3]]),
        model_inputs=fed,
        pipeline=SimpleNamespace(model_inputs=encoded),
    )
    seen = Observation({"base_0_rgb": pixels[0]}, {})
    parity = compare(policy, dataset, {"base_0_rgb": np.zeros((5, 4, 4, 3), np.uint8)}, seen, SENTENCES[said], 1, 1)
    assert (parity.seed, parity.state, parity.tokens, parity.pixels) == (1, 0.0, apart, {"base_0_rgb": (0.0, 0.0)})
