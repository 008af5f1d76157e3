"""wandb: asked on the loopback before anything starts, offline where it refuses, and never what ends a training."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import wandb

from pirig.training import tracking
from pirig.training.tracking import Tracker, require_wandb, run_id, usable_mode

KEY = "a" * 40


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """No key, no home, no answer kept from another test."""
    tracking._why_not_online.cache_clear()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("WANDB_API_KEY", "WANDB_ENTITY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    yield
    tracking._why_not_online.cache_clear()


@pytest.fixture
def server(monkeypatch):
    """A server on the loopback that answers `reply` = (status, data); the questions it was asked."""
    asked = []

    class Answer(BaseHTTPRequestHandler):
        reply: tuple = (200, {"viewer": {"username": "me"}, "entity": {"name": "lab"}})

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.headers["Authorization"], json.loads(body)))
            status, data = Answer.reply
            self.send_response(status)
            self.end_headers()
            self.wfile.write(data if isinstance(data, bytes) else json.dumps({"data": data}).encode())

        def log_message(self, *_):
            pass

    listening = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{listening.server_port}")
    Answer.asked = asked
    yield Answer
    listening.shutdown()
    listening.server_close()


def test_no_key_is_said_once_and_the_run_is_offline(capsys):
    assert [usable_mode("online") for _ in range(3)] == 3 * ["offline"]
    said = capsys.readouterr().err
    assert said.count("warning: wandb: no key") == 1 and "wandb sync" in said
    assert usable_mode("offline") == "offline" and usable_mode("disabled") == "disabled"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((401, {}), "refuses the key"),
        ((403, {}), "refuses the key"),
        ((500, {}), "answers 500"),
        ((200, {"viewer": None}), "knows no user of this key"),
        ((200, {"viewer": {"username": "me"}, "entity": None}), "knows no entity 'lab'"),
        ((200, b"<html>a portal's page</html>"), "does not answer"),
        ((200, b"[]"), "does not answer"),
    ],
)
def test_what_the_server_refuses_is_named(server, monkeypatch, capsys, reply, said):
    server.reply = reply
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_ENTITY", "lab")
    require_wandb("online")
    assert said in capsys.readouterr().err and usable_mode("online") == "offline"
    assert server.asked[0][1]["variables"] == {"name": "lab"}


def test_a_server_that_answers_is_used_with_the_key_of_netrc(server, tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".netrc").write_text(f"machine 127.0.0.1\n  login user\n  password {KEY}\n")
    assert usable_mode("online") == "online" and server.asked[0][0].startswith("Basic ")


def test_no_network_is_told_at_once(monkeypatch, capsys):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert usable_mode("online") == "offline" and "does not answer" in capsys.readouterr().err


def test_a_package_that_is_not_there_is_refused_before_anything_starts(monkeypatch):
    monkeypatch.setattr(tracking.importlib.util, "find_spec", lambda name: None)
    for mode in ("offline", "online"):
        with pytest.raises(ValueError, match=r"pip install 'pirig\[wandb\]'"):
            require_wandb(mode)
    require_wandb("disabled")


def test_a_resumed_training_is_the_same_run(tmp_path):
    for first in (1, 3):
        tracker = Tracker("offline", "pirig", tmp_path, {"steps": 4})
        for step in (first, first + 1):
            tracker.log({"step": step, "loss": 1.0 / step})
        tracker.close()
    folders = list(tmp_path.glob("wandb/offline-run-*"))
    assert {folder.name.rpartition("-")[2] for folder in folders} == {run_id(tmp_path)}
    assert json.loads((tmp_path / "wandb.json").read_text()) == {"id": run_id(tmp_path)}
    assert run_id(tmp_path / "other") != run_id(tmp_path)


@pytest.mark.parametrize("torn", ["", "[]", "{", '{"no": 1}'])
def test_a_torn_id_is_drawn_again(tmp_path, torn):
    (tmp_path / "wandb.json").write_text(torn)
    assert len(run_id(tmp_path)) == 8 and run_id(tmp_path) == run_id(tmp_path)


def test_what_fails_under_way_costs_a_warning(tmp_path, capsys):
    tracker = Tracker("offline", "pirig", tmp_path, {})
    tracker.log({"step": 1, "loss": 1.0})
    wandb.teardown()  # its service is gone, as after a kill
    tracker._run.finish = tracker._run.log = lambda *_, **__: (_ for _ in ()).throw(wandb.Error("gone"))
    tracker.log({"step": 2, "loss": 1.0})
    tracker.log({"step": 3, "loss": 1.0})
    tracker.close()
    assert capsys.readouterr().err.count("warning: wandb: logging ended (gone)") == 1
