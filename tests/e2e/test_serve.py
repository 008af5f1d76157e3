"""A trained run behind a socket: the registry's openpi-client gets what an evaluation would do, and the end is orderly."""

import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from openpi_client.websocket_client_policy import WebsocketClientPolicy

from pirig.cli import main
from pirig.config.load import of_run
from pirig.config.places import places_of
from pirig.datasets.lerobot.read import Dataset
from pirig.policies.policy import load_policy
from pirig.runs.progress import newest_checkpoint


@pytest.fixture(scope="module")
def served(smoke_run):
    command = [sys.executable, "-m", "pirig", "serve", str(smoke_run.folder), "serve.port=0", "serve.rtc=true"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("ready"):
            break
    address = re.search(r"ws://127.0.0.1:(\d+)", "".join(said))
    assert address, "".join(said)
    yield process, int(address[1])
    process.kill()


def test_served_actions_are_the_policys_for_recorded_frames(smoke_run, served):
    config = of_run(smoke_run.folder, [])
    dataset = Dataset(places_of(config).data_set)
    checkpoint = newest_checkpoint(smoke_run.folder)
    policy = load_policy(checkpoint, flow_steps=config.eval.flow_steps, batch_size=config.eval.batch_size)
    client = WebsocketClientPolicy("127.0.0.1", served[1])
    for row in (0, dataset.frame_count // 2):
        noise = np.random.default_rng(row).standard_normal(policy.noise_shape).astype(np.float32)
        images = {role: dataset.image(role, row) for role in dataset.roles}
        here = policy.predict(
            {role: image[None] for role, image in images.items()}, dataset.state[row][None], noise[None]
        )
        there = client.infer({"images": images, "state": dataset.state[row], "noise": noise})
        np.testing.assert_array_equal(there["actions"], here[0])


def test_pirig_client_sends_recorded_frames(smoke_run, served, capsys):
    data_set = places_of(of_run(smoke_run.folder, [])).data_set
    assert main(["client", f"ws://127.0.0.1:{served[1]}", "--from", str(data_set), "--count", "6"]) == 0
    assert "% of the mean action's" in capsys.readouterr().out


@pytest.mark.parametrize("late", [[], ["eval.delay=4", "eval.rtc=true"]], ids=["in time", "late"])
def test_an_evaluation_through_the_server_gives_the_local_rate_step_by_step(smoke_run, served, tmp_path, late):
    """The simulator drives the server; noise goes along, so every episode is the one of the local policy."""
    import json
    import shutil

    run = tmp_path / "out" / "smoke" / smoke_run.folder.name
    shutil.copytree(smoke_run.folder, run)
    common = [
        "eval",
        str(run),
        "eval.episodes=2",
        "eval.oracle_episodes=0",
        "eval.untrained_episodes=0",
        "eval.videos=0",
        *late,
    ]
    assert main(common) == 0
    assert main([*common, f"eval.server=ws://127.0.0.1:{served[1]}"]) == 0
    found = []
    for path in run.glob("eval/*/policy/episodes.jsonl"):
        settings = json.loads((path.parents[1] / "settings.json").read_text())
        if settings.get("delay", "0") != ("4" if late else "0"):
            continue  # the evaluation that the run was made with
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        found.append([(row["seed"], row["success"], row["steps"], row["flags"]) for row in rows][:2])
    assert len(found) == 2 and sorted(found[0]) == sorted(found[1])


def test_a_sigterm_ends_it_in_order(served):
    process, _ = served
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=60)[0]
    assert process.returncode == 0, rest
    assert "every request that had come in is answered" in rest and "Traceback" not in rest
