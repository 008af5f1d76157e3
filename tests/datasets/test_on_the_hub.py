"""`pirig dataset push` and `pull` against a hub on loopback: nothing is lost, damaged or half there."""

import pytest

from pirig.cli import main
from tests.datasets.kinova_recordings import write_recording
from tests.datasets.test_lerobot_resume import digests
from tests.loopback_hub import running

NAME = "somebody/mugs"
LARGEST = "data/chunk-000/file-000.parquet"


@pytest.fixture
def hub(monkeypatch):
    with running(monkeypatch) as one:
        yield one


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return write_recording(tmp_path_factory.mktemp("arm") / "mugs", version="v3.0")


@pytest.fixture
def there(hub, recording):
    hub.files[NAME] = {
        str(file.relative_to(recording)): file.read_bytes() for file in recording.rglob("*") if file.is_file()
    }
    hub.files[NAME][".gitattributes"] = b"*.parquet lfs\n"
    return hub


def test_what_is_pushed_is_pulled(hub, recording, tmp_path, capsys):
    before = digests(recording)
    assert main(["dataset", "push", str(recording), NAME, "--private"]) == 0
    assert f"are at {hub.url}/datasets/{NAME}, tag v3.0" in capsys.readouterr().out
    assert hub.tags[NAME] == ["v3.0"] and hub.private[NAME] and hub.commits == 1 and digests(recording) == before
    assert main(["dataset", "pull", NAME, str(tmp_path / "mine")]) == 0
    assert f"data set: {tmp_path / 'mine'}: LeRobot v3.0, 3 episodes" in capsys.readouterr().out
    assert {path: sum for path, sum in digests(tmp_path / "mine").items() if path != ".gitattributes"} == before
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_push_makes_it_what_the_folder_is_and_sends_no_large_file_twice(hub, recording):
    assert main(["dataset", "push", str(recording), NAME]) == 0
    hub.files[NAME]["data/old.parquet"] = b"of an earlier push"
    hub.files[NAME]["README.md"] = b"written on the hub"
    sent = [path for path, _ in hub.sent]
    assert main(["dataset", "push", str(recording), NAME]) == 0
    assert [path for path, _ in hub.sent] == sent, "the hub has it already"
    assert "data/old.parquet" not in hub.files[NAME] and "README.md" in hub.files[NAME] and hub.tags[NAME] == ["v3.0"]


def test_a_damaged_data_set_is_not_pushed(hub, recording, tmp_path, capsys):
    import shutil

    folder = shutil.copytree(recording, tmp_path / "mugs")
    file = folder / LARGEST
    file.write_bytes(file.read_bytes()[:-100])
    assert main(["dataset", "push", str(folder), NAME]) == 1
    assert "file-000.parquet" in capsys.readouterr().err and not hub.files


def test_a_pull_that_breaks_off_goes_on(there, recording, tmp_path, capsys):
    there.cut = 3000
    assert main(["dataset", "pull", NAME, str(tmp_path / "mine")]) == 1
    said = capsys.readouterr().err
    assert f"pirig: {NAME}: {there.url} cannot be reached" in said and "goes on where it was stopped" in said
    assert not (tmp_path / "mine").exists()
    there.cut, there.sent = None, []
    assert main(["dataset", "pull", NAME, str(tmp_path / "mine")]) == 0
    assert dict(there.sent)[LARGEST] >= 2000, "it went on from what was there"
    assert {path: sum for path, sum in digests(tmp_path / "mine").items() if path != ".gitattributes"} == digests(
        recording
    )


def test_another_content_than_the_hub_says_is_found(there, tmp_path, capsys):
    data = there.files[NAME][LARGEST]
    there.blobs[f"served {LARGEST}"] = data[:500] + b"?" + data[501:]
    for _ in range(2):
        assert main(["dataset", "pull", NAME, str(tmp_path / "mine")]) == 1
        assert f"{LARGEST}: its checksum is not the hub's" in capsys.readouterr().err
        assert not (tmp_path / "mine").exists()
    del there.blobs[f"served {LARGEST}"]
    assert main(["dataset", "pull", NAME, str(tmp_path / "mine")]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pull", "somebody/nothing"], "somebody/nothing: http://127.0.0.1"),
        (["pull", "somebody/nothing"], "has no such data set, or not for you"),
        (["pull", NAME, "--revision", "v9"], "no such revision"),
        (["pull", "mugs"], "mugs: expected the USER/NAME"),
    ],
)
def test_what_cannot_be_had_is_said(there, tmp_path, capsys, arguments, said):
    verb, name, *more = arguments
    assert main(["dataset", verb, name, str(tmp_path / "mine"), *more]) == 1
    assert said in capsys.readouterr().err and not (tmp_path / "mine").exists()


def test_no_file_outside_the_folder_is_taken(there, tmp_path, capsys):
    there.files[NAME]["../../evil.parquet"] = b"x"
    assert main(["dataset", "pull", NAME, str(tmp_path / "a" / "mine")]) == 1
    assert "would lie outside" in capsys.readouterr().err and not list(tmp_path.rglob("evil*"))


def test_no_network_a_private_one_and_no_data_set(there, tmp_path, capsys, monkeypatch):
    there.token = "hf_of_somebody"
    assert main(["dataset", "pull", NAME, str(tmp_path / "mine")]) == 1
    assert "not for you" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody")
    del there.files[NAME]["meta/info.json"]
    assert main(["dataset", "pull", NAME, str(tmp_path / "mine")]) == 1
    assert "no whole LeRobot data set" in capsys.readouterr().err
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert main(["dataset", "pull", NAME, str(tmp_path / "mine")]) == 1
    said = capsys.readouterr().err
    assert "http://127.0.0.1:9 cannot be reached" in said and not (tmp_path / "mine").exists()
