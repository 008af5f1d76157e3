"""From npz episodes of an arm to its next actions: data set, training, a server, openpi's own client, the simulated arm."""

import json

import numpy as np
import pytest
from openpi_client.websocket_client_policy import WebsocketClientPolicy

from pirig.cli import main
from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.datasets.lerobot.read import Dataset
from pirig.foreign.kinds import Kind, kind_of
from tests.datasets.npz_episodes import arrays_of, write_episodes
from tests.served import served

pytestmark = pytest.mark.slow  # compiles five programs
HORIZON = 8
SMALL = (
    "size=tiny",
    "weights=scratch",
    "size.image_px=32",
    "train.steps=2",
    f"horizon={HORIZON}",
    "train.validation_frames=4",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(words of the config, the exit status of the pipeline): five files, of two tasks, one of them cut off."""
    root = tmp_path_factory.mktemp("arm")
    tasks = ["Put the mug away.", "Lift the bowl.", "Put the mug away.", "Lift the bowl.", "Lift the bowl."]
    data = write_episodes(root, [arrays_of(seed, 14, task) for seed, task in enumerate(tasks)])
    torn = sorted(data.rglob("*.npz"))[2]
    torn.write_bytes(torn.read_bytes()[:3000])
    words = ["experiment=kinova_smoke", *SMALL, f"demos.path={data}", f"run.root={root / 'out'}"]
    return words, main(["pipeline", *words])


def test_episodes_become_a_policy_whose_summary_names_what_was_left_out(trained):
    words, status = trained
    places = places_of(compose(words))
    dataset, summary = Dataset(places.data_set), json.loads(places.summary.read_text())
    assert status == 3 and list(summary["left_out"]) == ["2"] and "000002.npz: truncated" in summary["left_out"]["2"]
    assert dataset.seeds == [0, 1, 3, 4] and dataset.lengths == [14] * 4
    assert dataset.tasks == ["Put the mug away.", "Lift the bowl.", "Lift the bowl.", "Lift the bowl."]
    np.testing.assert_array_equal(dataset.actions[28:42], arrays_of(3, 14)["actions"])
    assert list(places.data_set.glob("meta/pirig/norm_stats*.json")) and set(summary["eval"]) == {
        "held_out",
        "training",
    }


def test_openpis_client_gets_its_actions_and_the_simulated_arm_moves(trained, tmp_path, capsys):
    places = places_of(compose(trained[0]))
    dataset = Dataset(places.data_set)
    with served(str(places.run), "serve.max_batch=1", "eval.flow_steps=2") as (port, _):
        client = WebsocketClientPolicy("127.0.0.1", port)
        request = {"images": {role: dataset.image(role, 5) for role in dataset.roles}, "state": dataset.state[5]}
        chunks = [client.infer(request | {"prompt": scene.prompt})["actions"] for scene in dataset.contract.scenes]
        assert all(chunk.shape == (HORIZON, 8) and np.isfinite(chunk).all() for chunk in chunks)
        assert main(["client", f"ws://127.0.0.1:{port}", "--from", str(places.data_set), "--count", "4"]) == 0
        assert "% of the mean action's" in capsys.readouterr().out
        assert main(["robot", f"ws://127.0.0.1:{port}", "--dry-run"]) == 1
        assert "knows 2 tasks; give --task with one of: Lift the bowl.; Put" in capsys.readouterr().err
        words = ["--dry-run", "--seconds", "1", "--log", str(tmp_path / "log"), "--task", "Lift the bowl."]
        assert main(["robot", f"ws://127.0.0.1:{port}", *words]) in (
            0,
            1,
        )  # an untrained policy may be stopped by a rule
    if list(tmp_path.rglob("*.npz")):
        assert kind_of(tmp_path / "log") == Kind.npz
