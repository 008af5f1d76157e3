"""What a user or the system did wrong is one sentence with what to do; nothing that was typed ends in a traceback."""

import errno
import io
import os
import subprocess
import sys

import pytest

from pirig.cli import guarded, main
from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.files import trouble
from pirig.files.orbax import reading
from pirig.gates import machine
from pirig.runs.record import open_run
from pirig.sweeps import gpus


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Types a command in an empty folder; (exit status, what stood on both streams)."""
    monkeypatch.chdir(tmp_path)

    def typed(*words):
        try:
            status = main(list(words))
        except SystemExit as stop:
            status = stop.code
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err + shown.out
        return status, shown.err + shown.out

    return typed


@pytest.fixture
def run(tmp_path):
    config = compose([f"run.root={tmp_path}", "run.name=base"])
    return open_run(config, places_of(config))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "no verb 'trian'; did you mean train?"),
        (["task=push_cube"], "give a verb first, as in pirig train task=push_cube"),
        (["train", "tsk=push_cube"], "tsk: there is no such key; did you mean task?"),
        (["train", "task=push_cub"], "Did you mean task=push_cube?"),
        (["train", "experiment=quikstart"], "Did you mean experiment=quickstart?"),
        (["train", "train.stepz=3"], "train.stepz: there is no such key; did you mean train.steps"),
        (["train", "steps=3"], "did you mean horizon.steps, "),
        (["train", "+train.steps=3"], "leave out the +"),
        (["train", "train.steps=abc"], "train.steps=abc: expected a whole number"),
        (["train", "train.ema=a"], "train.ema=a: expected a number"),
        (["train", "train.augment=maybe"], "train.augment=maybe: expected true or false"),
        (["train", "run.mode=resum"], "run.mode=resum: expected one of error, resume, overwrite"),
        (["train", "demos.leave_out=3"], "demos.leave_out=3: expected a list"),
        (["train", "horizon=[20]"], "horizon=[20]: expected a whole number"),
        (["train", "push_cube"], "did you mean task=push_cube?"),
        (["train", "outputs/e/base"], "outputs/e/base: expected key=value or group=option"),
        (["train", "train.seed=0,1"], "-m for a run of each"),
        (["train", "--cgf", "job"], "--cgf: there is no such option; did you mean --cfg?"),
        (["train", "--config-dir"], "--config-dir: expected a value after it"),
        (["train", "--config-dir", "nowhere"], "nowhere' not found"),
        (["eval", "outputs/e/bose", "eval.episodes=3"], "outputs/e/bose: there is no such folder"),
        (["doctor", "--hlp"], "--hlp: there is no such option; did you mean --help?"),
        (["diagnose", "gates.skip=[acts]"], "of which run? Give its folder"),
        (["pipeline", "tower.name=sigli"], "tower=sigli: expected one of"),
        (["demos", "run.root=/proc/pirig/x"], "run.root"),
        (["train", "camera.entries.bse.width_px=3"], "camera.entries has no such entry; `pirig train --cfg job --package camera.entries`"),
        (["train", "camera.entries.base=3"], "has keys of its own; give one of them, as in camera.entries.base.eye_m="),
        (["train", "demos=5"], "demos=5: demos has keys of its own"),
        (["train", "camera.entries.base.width_px=abc"], "camera.entries.base.width_px=abc: expected a whole number"),
        (["train", "train.steps=\u0663"], "train.steps=\u0663: \u0663 cannot be read"),
    ],
)  # fmt: skip
def test_a_mistyped_word_is_answered_with_the_nearest_right_one(call, words, said):
    status, shown = call(*words)
    assert status in (1, 2) and said in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-m", "eval.execute=4,8"], "-m: an option, and a run that is there takes key=value only"),
        (["eval.execute=4,8"], "eval.execute=4,8: several values"),
        (["+eval.episodes=3"], "every key is there already; leave out the +"),
        (["eval.episodes=two"], "eval.episodes=two: expected a whole number"),
        (["eval.episods=3"], "did you mean eval.episodes"),
        (["eval.flow_steps=0"], "expected a whole number of at least 1"),
        (["horizon=20"], "a finished run keeps the groups that made it"),
        (["eval.episodes"], "eval.episodes: no key=value"),
        (["eval.execute=[1"], "expected key=value, one value"),
    ],
)
def test_the_words_behind_a_run_are_read_alike_and_in_any_order(call, run, words, said):
    for arguments in ([str(run), *words], [*words, str(run)]):
        status, shown = call("eval", *arguments)
        assert status == 1 and said in shown


def test_help_is_help_wherever_it_stands(call, run):
    for words in (["eval", str(run), "--help"], ["--help", "eval", str(run)], ["train", "task=stack_cube", "--help"]):
        status, shown = call(*words)
        assert status == 0 and "pirig VERB [group=option ...]" in shown
    for verb in ("runs", "inspect", "doctor", "verify", "diagnose", "compare", "weights"):
        status, shown = call(verb, "x=1", "--help") if verb != "weights" else call(verb, "--help")
        assert status == 0 and f"pirig {verb}" in shown


def test_a_mistyped_run_names_the_one_beside_it(call, run):
    status, shown = call("eval", str(run.with_name("bose")))
    assert status == 1 and f"did you mean {run}?" in shown
    assert call("diagnose", str(run.with_name("bose")))[1].rstrip().endswith(f"did you mean {run}?")


def test_options_may_stand_between_words_and_a_verb_may_be_an_options_value(call, tmp_path):
    (tmp_path / "runs").mkdir()
    words = [
        "train",
        "task=stack_cube",
        "--config-dir",
        "runs",
        "experiment=smoke",
        "--cfg",
        "job",
        "--package",
        "task",
    ]
    status, shown = call(*words)
    assert status == 0 and "env_id: StackCube-v1" in shown
    assert call("train", "-m", "horizon=16, 20", "-m", "sweep.dry_run=true")[0] == 0


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EROFS, "can only be read"),
        (errno.EACCES, "run.root=FOLDER"),
        (errno.ENOSPC, "the disk is full: make room"),
        (errno.ENOTDIR, "a file, not a folder"),
        (errno.ENAMETOOLONG, "shorter run.name"),
        (errno.EMFILE, "ulimit"),
        (errno.EXDEV, os.strerror(errno.EXDEV)),
    ],
)
def test_what_the_system_refuses_is_a_sentence_with_the_path(capsys, number, words):
    def refused():
        raise OSError(number, os.strerror(number), "/some/where")

    assert guarded(refused) == 1
    said = capsys.readouterr().err
    assert said.startswith("pirig: /some/where: ") and words in said and said.count("\n") == 1


def test_a_root_that_is_a_file_and_a_name_that_is_too_long(call, tmp_path):
    (tmp_path / "file").write_text("")
    status, shown = call("train", "run.root=file")
    assert status == 1 and "a file, not a folder" in shown
    status, shown = call("train", f"run.name={'a' * 300}")
    assert status == 1 and "too long" in shown


def test_a_yaml_that_is_none_names_its_file(call, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\ntrain: {steps: 3\nrun: [\n")
    status, shown = call("train", "--config-dir", str(tmp_path), "experiment=mine")
    assert status == 1 and "mine.yaml" in shown and "line 3" in shown
    (tmp_path / "experiment" / "mine.yaml").write_bytes("# @package _global_\nrun: {name: Tür}\n".encode("latin-1"))
    status, shown = call("train", "--config-dir", str(tmp_path), "experiment=mine")
    assert status == 1 and "UTF-8" in shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train: {steps: 7}\n", "mine.yaml: its first line must be `# @package _global_`"),
        (
            "# @package _global_\ntrain: {stepz: 7}\n",
            "mine.yaml: train.stepz: there is no such key; did you mean train.steps",
        ),
        ("# @package _global_\ntrain: {steps: seven}\n", "mine.yaml: train.steps=seven: expected a whole number"),
        ("# @package _global_\nmix: push_pull\n", "mine.yaml: mix is a group; choose it in its defaults list"),
        ("# @package _global_\nfoo: {bar: 1}\n", "mine.yaml: foo: there is no such key"),
        ("# @package _global_\ndefaults:\n  - override /task: push_cub\n", "Did you mean task=push_cube?"),
        ("# @package _global_\neval: {flow_steps: 0}\n", "eval.flow_steps=0: expected a whole number of at least 1"),
    ],
)
def test_what_a_recipe_says_counts_or_is_refused(call, tmp_path, text, said):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    status, shown = call("train", "--config-dir", str(tmp_path), "experiment=mine")
    assert status == 1 and said in shown


def test_a_defect_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 // 0)


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["train", "--cfg", "job"]])
def test_a_reader_that_goes_away_ends_it_silently(words):
    """`pirig ... | head -1`: here nobody reads at all."""
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run([sys.executable, "-m", "pirig", *words], stdout=writes, stderr=subprocess.PIPE, text=True)
    os.close(writes)
    assert (done.returncode, done.stderr) == (0, "")


def test_work_goes_on_when_its_reader_goes_away(monkeypatch):
    reads, writes = os.pipe()
    monkeypatch.setattr(sys, "stdout", os.fdopen(writes, "w", buffering=1))
    before = sys.stdout
    with trouble.outlived_readers():
        print("seen")
        os.close(reads)
        for _ in range(3):
            print("not seen any more", flush=True)
        sys.stdout.writelines(["a\n", "b\n"])
    assert sys.stdout is before


def test_a_log_handler_of_absl_leaves_the_stream_open(monkeypatch):
    """Hydra configures logging anew, and so closes every handler; absl's closes its stream unless it is sys's."""
    from absl import logging

    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    handler = logging.PythonHandler(stream)
    with trouble.outlived_readers():
        handler.close()
    assert not stream.closed


def test_letters_that_the_terminal_lacks_are_numbers(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    trouble.write_any_letter()
    print("Tür", flush=True)
    assert written.getvalue() == b"T\\xfcr\n"


def test_doctor_survives_a_driver_that_ends_its_process(monkeypatch, capsys):
    monkeypatch.setattr(machine, "RENDERER", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    good, text = machine._renderer()
    assert not good and "was ended by SIGSEGV" in text and "launchers/vulkan.sh" in text
    monkeypatch.setenv("VK_ICD_FILENAMES", "/nonexistent/icd.json")
    assert "VK_ICD_FILENAMES=/nonexistent/icd.json names no file; unset it" in machine._renderer()[1]
    monkeypatch.setattr(machine, "PROBE_S", 0.2)
    monkeypatch.setattr(machine, "BACKEND", "import time; time.sleep(5)")
    assert machine._jax()[0] is False


def test_a_driver_that_is_not_there_is_said_before_anything_is_rendered(call, monkeypatch):
    monkeypatch.setenv("VK_ICD_FILENAMES", "/nonexistent/icd.json")
    status, shown = call("demos", "experiment=smoke")
    assert status == 1 and "VK_ICD_FILENAMES=/nonexistent/icd.json names no file" in shown


def test_an_absent_backend_is_named_and_not_the_checkpoint(run):
    """In a process of its own: JAX asks once."""
    environment = {**os.environ, "JAX_PLATFORMS": "cuda"}
    command = [sys.executable, "-m", "pirig", "verify", str(run)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("pirig: JAX has no backend: ")
    assert "JAX_PLATFORMS=cuda" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("visible", "named"),
    [
        ("-1", []),
        ("", []),
        ("NoDevFiles", []),
        ("0,-1,1", ["0"]),
        ("3,5", ["3", "5"]),
        ("GPU-1a, MIG-2b", ["GPU-1a", "MIG-2b"]),
    ],
)
def test_the_gpus_that_cuda_would_see(visible, named):
    assert gpus.of_this_machine({"CUDA_VISIBLE_DEVICES": visible}) == named


def test_a_damaged_step_offers_the_older_one(tmp_path):
    steps = tmp_path / "checkpoints"
    for step in ("2", "4", "10"):
        (steps / step / "params").mkdir(parents=True)
    with (
        pytest.raises(ValueError, match=r"arrays cannot be read \(torn\).*run\.checkpoint=.*/4 evaluates it.*mv "),
        reading(steps / "10" / "params"),
    ):
        raise OSError("torn\nand more")
    with pytest.raises(ValueError, match=r"copy it again$"), reading(steps / "2" / "params"):
        raise KeyError
