"""A checkpoint that was never trained here, in openpi's layout: measured as it is, with its own norm stats or named ones."""

import json
import subprocess
import sys

import numpy as np
import pytest
import yaml
from openpi_client.websocket_client_policy import WebsocketClientPolicy

from pirig.cli import main
from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.config.plain import as_plain
from pirig.contract import ContractError
from pirig.evaluation import on_served
from pirig.evaluation.closed_loop import start_of
from pirig.evaluation.inference import learned, made_up_looks
from pirig.evaluation.on_given import given_weights, open_given, require_own_start
from pirig.models.layout import flatten
from pirig.policies.given import given_of
from pirig.stages import serve
from pirig.transforms.normalize import NormStats, load_norm_stats, save_norm_stats
from tests import openpi_checkpoint
from tests.datasets.npz_episodes import write_episodes
from tests.served import served

WORDS = ["task=push_cube", "camera=nowrist", "camera.resolution_px=32", "horizon=16"]


def stats(state: int = 8, actions: int = 7, padded: int = 0) -> dict[str, NormStats]:
    def entry(width: int) -> NormStats:
        zeros = np.zeros(max(0, padded - width))
        return NormStats(*(np.concatenate([np.full(width, value), zeros]) for value in (0.1, 0.5, -1.0, 1.0)))

    return {"state": entry(state), "actions": entry(actions)}


@pytest.fixture(scope="module")
def openpi(tmp_path_factory):
    """Random weights of a tiny pi0.5 as openpi saves them: params/ and assets/<asset id>/norm_stats.json."""
    folder, config = tmp_path_factory.mktemp("openpi") / "pi05_elsewhere", compose(WORDS)
    return folder, openpi_checkpoint.write(folder, config, "lab", stats())


def config_of(openpi, *words: str):
    return compose([*WORDS, f"weights.path={openpi[0]}", *words])


def given(openpi, *words: str):
    config = config_of(openpi, *words)
    return given_of(config, contract_of(config), openpi[0])


def test_it_is_taken_with_its_own_statistics_and_the_configs_contract(openpi):
    taken = given(openpi)
    assert taken.stats_file == openpi[0] / "assets/lab/norm_stats.json" and taken.black_cameras == ()
    assert taken.pipeline.contract == contract_of(config_of(openpi))
    said = "\n".join(taken.lines())
    for words in (
        "pi0.5 weights that were not trained in this run",
        "assets/lab/norm_stats.json",
        "from the config: chunks of 16",
    ):
        assert words in said
    assert taken.identity == given(openpi).identity


def test_a_declared_habit_shows_the_model_black_cameras(openpi):
    plain, habit = given(openpi), given(openpi, "weights.habits.black_camera_valid=true")
    assert habit.black_cameras == ("left_wrist_0_rgb", "right_wrist_0_rgb") and "taken for valid" in "\n".join(
        habit.lines()
    )
    assert plain.identity != habit.identity
    *_, shown = made_up_looks(plain.pipeline).values()
    policies = [one.policy(flow_steps=1, batch_size=1) for one in (plain, habit)]
    inputs = policies[1].model_inputs(*shown)
    assert list(inputs.images) == ["base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb"]
    assert all(np.asarray(mask).all() for mask in inputs.image_masks.values())
    assert not np.asarray(inputs.images["right_wrist_0_rgb"]).any() and list(
        policies[0].model_inputs(*shown).images
    ) == ["base_0_rgb"]
    first, second = (learned(policy, shown) for policy in policies)
    assert np.isfinite(first).all() and np.abs(first - second).max() > 1e-4


@pytest.mark.parametrize(
    ("files", "word", "says"),
    [
        ({}, None, r"no norm stats in .*assets; expected assets/<name>/norm_stats\.json once: give weights\.norm_stats=FILE"),
        ({"lab": stats(), "other": stats()}, None, r"2 norm stats in .*\(lab, other\).*give weights\.norm_stats=lab"),
        ({"lab": stats()}, "gone", r"weights\.norm_stats=gone: no norm_stats\.json there; expected such a file, a data set .* or one of lab"),
        ({"lab": stats(14, 14)}, None, r"statistics of 14 numbers of state; expected the contract's 8; give weights\.norm_stats=FILE"),
        ({"lab": stats(8, 6)}, None, r"statistics of 6 numbers of actions; expected the contract's 7"),
        ({"lab": {"state": stats()["state"]}}, None, r"no statistics of 'actions', it has state"),
    ],
)  # fmt: skip
def test_statistics_that_do_not_fit_are_named(openpi, tmp_path, files, word, says):
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "params").symlink_to(openpi[0] / "params")
    for name, entries in files.items():
        save_norm_stats(folder / f"assets/{name}/norm_stats.json", entries)
    config = compose([*WORDS, f"weights.path={folder}", *([f"weights.norm_stats={word}"] if word else [])])
    with pytest.raises(ValueError, match=says):
        given_of(config, contract_of(config), folder)


def test_named_statistics_and_padded_ones_are_taken(openpi, tmp_path):
    save_norm_stats(tmp_path / "mine/meta/pirig/norm_stats.json", stats(padded=32))
    for place in ("mine/meta/pirig/norm_stats.json", "mine/meta/pirig", "mine"):
        taken = given(openpi, f"weights.norm_stats={tmp_path / place}")
        assert taken.stats_file == tmp_path / "mine/meta/pirig/norm_stats.json"
        assert {name: len(entry.mean) for name, entry in taken.pipeline.stats.items()} == {"state": 8, "actions": 7}
    assert len(load_norm_stats(taken.stats_file)["state"].mean) == 32


def test_weights_of_another_model_are_named(openpi):
    with pytest.raises(ValueError, match=r"these are pi05 weights.*choose model=pi05"):
        given(openpi, "model=pi0")
    with pytest.raises(ValueError, match="for each evaluation"):
        config = compose(["mix=push_pull", f"weights.path={openpi[0]}"])
        open_given(config, places_of(config), openpi[0])


def test_a_run_of_its_own_is_measured_before_given_weights(openpi, tmp_path):
    config = config_of(openpi, f"run.root={tmp_path}")
    places = places_of(config)
    assert given_weights(config, places) == openpi[0]
    (places.checkpoints / "10").mkdir(parents=True)
    assert given_weights(config, places) is None


def test_what_a_fine_tuning_started_from_are_the_given_weights(openpi):
    config = config_of(openpi)
    model = given(openpi).pipeline.model_config
    began, scratch = (flatten(start_of(one, model)) for one in (config, compose(WORDS)))
    for path, values in flatten(openpi[1]).items():
        np.testing.assert_array_equal(began[path], values)
    assert any(np.abs(np.asarray(scratch[path]) - values).max() > 0 for path, values in began.items())


def test_the_weights_that_a_run_started_from_are_not_changed_afterwards(openpi, tmp_path):
    tuned, scratch = config_of(openpi), compose(WORDS)
    for saved, asked, says in (
        (scratch, tuned, "was trained from scratch, so it did not start from these"),
        (tuned, scratch, "weights=scratch: .* was trained from .*pi05_elsewhere; leave the key out"),
    ):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(as_plain(saved)))
        with pytest.raises(ValueError, match=says):
            require_own_start(asked, tmp_path)
        require_own_start(saved, tmp_path)
    moved = compose([*WORDS, "weights.path=/elsewhere/pi05"])
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(as_plain(tuned)))
    require_own_start(moved, tmp_path)


def test_verify_needs_no_run(openpi, capsys):
    assert main(["verify", f"weights.path={openpi[0]}", *WORDS, "eval.flow_steps=1"]) == 0
    said = capsys.readouterr().out
    assert "given " in said and "norm stats" in said and "actions, first call" in said
    assert main(["verify", "task=push_cube"]) == 1
    assert "expected a run's folder, or weights.path=FOLDER" in capsys.readouterr().err


def test_eval_measures_it_in_a_folder_of_its_own(openpi, tmp_path):
    root = tmp_path / "out"
    words = [
        f"weights.path={openpi[0]}",
        *WORDS,
        f"run.root={root}",
        "run.name=one",
        "eval.workers=1",
        "eval.flow_steps=1",
    ]

    def eval_(*more: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-m", "pirig", "eval", *words, *more], capture_output=True, text=True)

    refused = eval_()
    assert refused.returncode == 1 and not root.exists()
    assert "give eval.max_steps=200, or make the demos first" in refused.stderr
    done = eval_("eval.episodes=1", "eval.untrained_episodes=1", "eval.max_steps=2", "eval.videos=0")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "weights that were not trained in this run" in done.stdout and "policy     0/1" in done.stdout
    (rates,) = root.rglob("rates.json")
    assert set(json.loads(rates.read_text())) == {"policy"} and rates.parents[2].name == "one-of-pi05_elsewhere"
    noted = json.loads((rates.parent / "given.json").read_text())
    assert noted["black_cameras"] == [] and any("from the config" in line for line in noted["said"])
    assert "given" in json.loads((rates.parent / "settings.json").read_text())


def test_serve_takes_it_without_a_run(openpi, tmp_path, monkeypatch, capsys):
    heard = []
    monkeypatch.setattr(serve, "_listen", lambda config, policy, folder: heard.append((policy, folder)))
    assert serve.run(config_of(openpi, f"run.root={tmp_path}", "serve.port=0")) == 0
    [(policy, folder)] = heard
    assert folder == openpi[0] and policy.pipeline.contract == contract_of(config_of(openpi))
    assert "weights that were not trained in this run" in capsys.readouterr().out and not list(tmp_path.iterdir())


@pytest.mark.slow  # a server and a simulator, in processes of their own
def test_it_is_served_without_a_run_and_the_server_is_evaluated_without_one(openpi, tmp_path):
    """openpi's own client gets what the weights give; the simulator drives the server, whose rate is kept by what it serves."""
    asked = [f"weights.path={openpi[0]}", *WORDS, f"run.root={tmp_path}"]
    policy = given(openpi).policy(flow_steps=1, batch_size=1)
    *_, (images, state) = made_up_looks(policy.pipeline).values()
    noise = np.random.default_rng(1).standard_normal(policy.noise_shape).astype(np.float32)
    words = [*WORDS, f"run.root={tmp_path}", "run.name=one", "eval.episodes=1", "eval.max_steps=2", "eval.videos=0"]
    with served(*asked, "serve.max_batch=1", "eval.flow_steps=1") as (port, said):
        client = WebsocketClientPolicy("127.0.0.1", port)
        shown = {role: image[0] for role, image in images.items()}
        there = client.infer({"images": shown, "state": state[0], "noise": noise})["actions"]
        np.testing.assert_array_equal(there, policy.predict(images, state, noise[None])[0])
        words = [*words, "eval.workers=1", f"eval.server=ws://127.0.0.1:{port}"]
        assert [main(["eval", *words]) for _ in range(2)] == [0, 0]
        with pytest.raises(ContractError, match="server ws://127"):
            on_served.target_of_server(*_config_and_places([*words, "control.control_hz=10"]))
    assert "weights that were not trained in this run" in said
    (rates,) = tmp_path.rglob("rates.json")  # the second evaluation found the first one's episode
    assert set(json.loads(rates.read_text())) == {"policy"} and "one-served-127-0-0-1" in str(rates)
    kinova = ["task=kinova", f"demos.path={write_episodes(tmp_path)}"]
    for wrong, says in ((["mix=push_pull"], "give one task"), (kinova, "no simulator has this arm")):
        with pytest.raises(ValueError, match=says):
            on_served.require_measurable(*_config_and_places([*wrong, "eval.server=ws://127.0.0.1:1"]))


def _config_and_places(words):
    config = compose(words)
    return config, places_of(config)
