"""Runs side by side: what is shown as different, what as distinguishable, and what a reader must be told."""

import csv
import io
import json
import subprocess
import sys

import pytest
import yaml

from pirig.comparison.collect import collect
from pirig.comparison.compare import Comparison
from pirig.stages.compare import main
from tests.comparison.run_folders import RunFolders


@pytest.fixture
def folders(tmp_path):
    return RunFolders(tmp_path)


def compared(folders):
    return Comparison(collect([folders.root / "sweep"]))


def test_only_what_differs_is_a_column_and_a_group_is_one(folders):
    folders.write("a", {"horizon.steps": 20, "train.seed": 1})
    nowrist = {"camera.name": "nowrist", "camera.resolution_px": 128}
    folders.write("b", {"horizon.steps": 10, "train.seed": 1, "run.mode": "resume", "train.log_every": 5, **nowrist})
    comparison = compared(folders)
    assert [column.name for column in comparison.columns] == ["camera", "horizon.steps"]
    assert "camera.resolution_px" in comparison.keys


def test_a_child_of_an_improvement_names_its_parent_and_round(folders):
    folders.write("one")
    told = {"parent": "sweep/one at step 30", "method": "corrections", "round": 1}
    for arm in ("corrected", "control"):
        child = folders.write(f"one-{arm}")
        (child / "lineage.json").write_text(json.dumps({**told, "arm": arm}))
    (column,) = compared(folders).columns
    said = {row.run.folder.name: row.settings[column.key] for row in compared(folders).rows}
    assert column.name == "improve.parent" and said["one"] == ""
    assert said["one-control"] == "sweep/one at step 30, round 1 of corrections, control"


def test_a_value_that_its_group_does_not_explain_stays_a_column(folders):
    for name, camera, size in (("a", "wrist", 128), ("b", "wrist", 256), ("c", "nowrist", 256)):
        folders.write(name, {"camera.name": camera, "camera.resolution_px": size})
    assert [column.name for column in compared(folders).columns] == ["camera", "camera.resolution_px"]


def test_an_older_run_that_lacks_a_key_has_its_default(folders):
    folders.write("new")
    old = folders.write("old") / "config.yaml"
    plain = yaml.safe_load(old.read_text())
    del plain["train"]["accumulate"], plain["gates"]
    old.write_text(yaml.safe_dump(plain))
    assert compared(folders).columns == []


def test_the_pickcube_pair_differs_and_two_seeds_do_not(folders):
    """A goal that the policy is told and one that nothing shows; then one config trained twice."""
    told = {"task.goal_visible": False, "state.name": "joints_goal", "state.entries": ["qpos8", "goal_pos"]}
    folders.write("told", told, policy=(28, 40))
    folders.write("hidden", {"task.goal_visible": False}, policy=(1, 40))
    folders.write("again", {**told, "train.seed": 1}, policy=(24, 40))
    pairs = {(pair.first.label, pair.second.label): pair for pair in compared(folders).pairs}
    assert pairs["told", "hidden"].verdict.text == "differ" and pairs["told", "hidden"].verdict.p < 1e-8
    seeds = pairs["told", "again"]
    assert not seeds.verdict.differ and "not distinguishable at this n; about" in seeds.verdict.text
    assert seeds.remark == "two seeds of one config"
    marks = {row.label: row.marks for row in compared(folders).rows}
    assert marks["hidden"] == ["the goal is not observable"] and marks["told"] == []


def test_a_run_that_said_of_itself_that_it_sees_the_goal_is_marked_by_what_it_saw(folders):
    """Saved by an older version, which let `state=joints state.includes_goal=true` train blind; its keys are no columns."""
    for name, said in (("said", True), ("silent", False)):
        path = folders.write(name, {"task.goal_visible": False}, policy=(1, 40)) / "config.yaml"
        plain = yaml.safe_load(path.read_text())
        plain["state"]["includes_goal"], plain["camera"]["wrist"] = said, said
        path.write_text(yaml.safe_dump(plain))
    comparison = compared(folders)
    assert comparison.columns == []
    assert [row.marks for row in comparison.rows] == 2 * [["the goal is not observable"]]


def test_two_changes_at_once_are_not_one_finding(folders):
    folders.write("a", {"horizon.steps": 20}, policy=(30, 40))
    folders.write("b", {"horizon.steps": 10, "camera.name": "nowrist"}, policy=(1, 40))
    (pair,) = compared(folders).pairs
    assert pair.remark.startswith("2 settings differ: camera, horizon.steps; the test cannot say")


def test_a_seed_beside_one_setting_is_said_and_no_second_cause(folders):
    folders.write("a", {"horizon.steps": 20}, policy=(30, 40))
    folders.write("b", {"horizon.steps": 10, "train.seed": 1}, policy=(1, 40))
    (pair,) = compared(folders).pairs
    assert pair.remark == "only horizon.steps differs, besides the seed"


def test_an_evaluation_that_runs_is_shown_and_not_compared(folders):
    folders.write("done", policy=(10, 40))
    folders.write("runs", policy=(9, 10), finished=False)
    comparison = compared(folders)
    row = next(row for row in comparison.rows if row.label == "runs")
    assert (row.policy.k, row.policy.n, row.policy.of) == (9, 10, 40)
    assert row.policy.sub_goals["placed"] == 9 and comparison.pairs == []


def test_each_evaluation_is_a_row_with_its_own_settings(folders):
    folder = folders.write("one", policy=(10, 40))
    config = folders.config
    config.train.steps = 60
    folders.evaluate(folder, config, (2, 40))
    comparison = compared(folders)
    assert [row.label for row in comparison.rows] == ["one@120", "one@60"]
    target = folder / "eval" / "step60-abc123"
    settings = json.loads((target / "settings.json").read_text()) | {"execute": 16}
    (target / "settings.json").write_text(json.dumps(settings))
    assert [column.name for column in compared(folders).columns] == ["eval.execute"]


def test_an_evaluation_on_a_gpu_is_told_from_one_on_a_cpu_which_does_not_say_so(folders):
    for name in ("cpu", "gpu"):
        folders.write(name, policy=(10, 40))
    (path,) = (folders.root / "sweep" / "gpu").glob("eval/*/settings.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sim_backend": "gpu", "num_envs": 64}))
    (column,) = compared(folders).columns
    assert column.name == "eval.sim_backend"


def test_other_tasks_are_not_tested_against_each_other(folders):
    folders.write("a", policy=(30, 40))
    folders.write("b", {"task.name": "pick_cube"}, policy=(1, 40))
    assert compared(folders).pairs == []


def test_many_results_are_each_compared_with_the_best(folders):
    for place in range(9):
        folders.write(f"r{place}", {"train.seed": place}, policy=(4 * place, 40))
    comparison = compared(folders)
    assert len(comparison.pairs) == 36 and len(comparison.shown_pairs()) == 8
    assert {pair.first.label for pair in comparison.shown_pairs()} == {"r8"}
    assert all(pair.p_holm >= pair.verdict.p for pair in comparison.pairs)


def test_what_was_moved_aside_or_is_no_run_is_passed_over(folders):
    folder = folders.write("one", policy=(1, 40))
    folder.rename(folder.with_name("one.old-20261121-080000"))
    folders.write("one", policy=(2, 40))
    (folders.root / "sweep" / ".hydra").mkdir()
    runs = collect([folders.root, folders.root / "sweep" / "one"])
    assert [run.folder.name for run in runs] == ["one"]


def test_the_data_set_is_found_where_the_runs_lie_now(folders):
    folders.write("one")
    assert "is not there" in compared(folders).runs[0].data_set["missing"]
    folders.data_set()
    moved = folders.root.with_name("moved")
    folders.root.rename(moved)
    (run,) = collect([moved])
    assert run.data_set["episodes"] == 64 and run.data_set["folder"].startswith(str(moved))
    assert run.data_set["demo_seeds"] == "0 to 66"


def test_nothing_to_read_says_what_is_expected(tmp_path, folders, capsys):
    with pytest.raises(ValueError, match="expected a run folder or a folder of runs, found nothing"):
        collect([tmp_path / "absent"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no run there\. A run is a folder with a config\.yaml"):
        collect([tmp_path / "empty"])
    (folders.write("torn") / "status.json").write_text('{"stage": "tr')
    with pytest.raises(ValueError, match=r"torn/status\.json: cannot be read"):
        collect([tmp_path])
    folders.write("good")
    assert [run.folder.name for run in collect([tmp_path])] == ["good"]
    assert "left out" in capsys.readouterr().err


def test_terminal(folders, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    folders.write("good", {"horizon.steps": 20}, policy=(28, 40), skipped=["transforms"])
    folders.write("bad", {"horizon.steps": 10}, policy=(3, 40))
    folders.write("young", {"horizon.steps": 10}, steps=30, of_steps=120, state="running")
    assert main([str(folders.root)]) == 0
    screen = capsys.readouterr().out
    for words in ("horizon.steps", "28/40 !", "55-82 %", "3/40", "train running, ETA", "30/120", "differ"):
        assert words in screen.replace("\n", " "), words
    assert "! gate skipped: transforms: good" in screen and "only horizon.steps differs" in screen
    assert "train.batch_size" not in screen and "minutes" not in screen


def test_what_the_stages_took_is_shown(folders, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    run = folders.write("good", policy=(28, 40))
    hardware = {"cores": 2, "memory_gb": 25.3, "gpus": []}
    train = {"stage": "train", "minutes": 12.5, "peak_gb": 2.25, "gpu_peak_gb": [], "hardware": hardware}
    (run / "stages.json").write_text(json.dumps([train, train | {"stage": "eval", "minutes": 3.0, "peak_gb": 1.5}]))
    assert main([str(folders.root)]) == 0
    screen = capsys.readouterr().out
    assert "minutes" in screen and "15.5" in screen and "2.25" in screen
    assert main([str(folders.root), "--markdown"]) == 0
    assert "| good | train | 12.5 | 2.25 | - | 2 cores, 25 GB |" in capsys.readouterr().out
    assert main([str(folders.root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["stages"][1]["minutes"] == 3.0
    assert max(len(line) for line in screen.splitlines() if line[:1] != " " and "pirig compare" not in line) <= 100


def test_json_and_csv_hold_everything(folders, capsys):
    folders.write("a", {"horizon.steps": 20}, policy=(28, 40))
    folders.write("b", {"horizon.steps": 10}, policy=(3, 40), skipped=["chunk"])
    folders.data_set()
    assert main([str(folders.root), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["label"], row["policy"]["k"], row["policy"]["n"]) for row in found["rows"]] == [
        ("a", 28, 40),
        ("b", 3, 40),
    ]
    assert found["rows"][1]["marks"] == ["gate skipped: chunk"] and found["rows"][1]["data_set"]["episodes"] == 64
    assert found["pairs"][0]["differ"] is True and found["pairs"][0]["changed"] == ["horizon.steps"]
    assert main([str(folders.root), "--csv"]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["label"], row["horizon.steps"], row["policy_k"], row["untrained_n"]) for row in table] == [
        ("a", "20", "28", "40"),
        ("b", "10", "3", "40"),
    ]
    assert "train.batch_size" not in table[0]


def test_a_nan_is_null_in_json(folders, capsys):
    folder = folders.write("a")
    rows = folder / "metrics.jsonl"
    rows.write_text(rows.read_text().replace('"samples_per_s": 80.0', '"samples_per_s": NaN'))
    main([str(folders.root), "--json"])
    assert json.loads(capsys.readouterr().out)["rows"][0]["training"]["samples_per_s"] is None


def test_the_report_says_what_the_lab_writes_by_hand(folders, capsys):
    folders.write("a", {"horizon.steps": 20}, policy=(24, 40), steps=600)
    folders.write("b", {"horizon.steps": 10}, policy=(3, 20), skipped=["chunk"])
    folders.write("c", steps=30, of_steps=120, state="failed")
    folders.data_set()
    assert main([str(folders.root), "--markdown"]) == 0
    report = capsys.readouterr().out
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in report.splitlines() if line.startswith("| ")
    ]
    assert ["horizon", "20", "10", "16"] in rows or ["horizon", "20", "10", str(folders.base.horizon.steps)] in rows
    header = next(row for row in rows if row[:2] == ["run", "1"])
    assert header[:4] == ["run", "1", "500", "last"]
    result = next(row for row in rows if row[0] == "a" and "24/40" in row)
    assert result[2:7] == ["60.0%", "24/40", "44.6% to 73.7%", "24/40", "100000 to 100039"]
    assert any(row[0] == "c" and row[1] == "train failed" and row[2] == "30/120" for row in rows)
    assert "gate skipped: chunk" in report and "reached 40/40" not in report.split("- b:")[1].split("\n")[0]
    assert "| a : b | 24/40 : 3/20 |" in report


def test_a_page_replaces_only_a_page(folders, tmp_path, capsys):
    folders.write("a", policy=(3, 4), untrained=(0, 2), oracle=(2, 2), videos=True)
    mine = tmp_path / "notes.html"
    mine.write_text("<p>mine</p>")
    with pytest.raises(ValueError, match="no page of pirig compare"):
        main([str(folders.root), "--html", str(mine)])
    assert mine.read_text() == "<p>mine</p>"
    page = tmp_path / "page.html"
    for _ in range(2):
        assert main([str(folders.root), "--html", str(page)]) == 0
    text = page.read_text()
    assert "7 videos and sheets" in capsys.readouterr().err
    assert "http://" not in text and "https://" not in text and "src=" not in text.split("<script")[0]
    assert "</script" not in text.split('id="data">')[1].split("</script>")[0]


def test_media_are_capped_in_rounds_over_the_rows(folders):
    from pirig.comparison.page.media import embed

    for name in "abc":
        folders.write(name, policy=(3, 4), untrained=(0, 1), oracle=(1, 1), videos=True)
    rows = compared(folders).rows
    everything, none = embed(rows)
    assert none == [] and len({one.row for one in everything}) == 3
    sheets = [one for one in everything if one.of == "policy" and one.path.suffix == ".png"]
    cap = sum(len(one.base64) * 3 / 4 for one in sheets) + 10
    few, left_out = embed(rows, cap / 1e6)
    assert [one.row for one in few] == [0, 1, 2] and all(one.path.suffix == ".png" for one in few)
    assert len(few) + len(left_out) == len(everything)


def test_help_is_light():
    heavy = "*(name for name in ('jax', 'torch', 'numpy', 'pyarrow') if name in sys.modules)"
    code = f"import sys, pirig.cli; print(pirig.cli.main(['compare', '--help']), {heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1].strip() == "0" and "Fisher's exact test" in done.stdout


def test_a_torn_episode_line_is_not_counted(folders):
    folder = folders.write("a", policy=(2, 4), finished=False)
    with open(folder / "eval" / "step120-abc123" / "policy" / "episodes.jsonl", "a") as file:
        file.write('{"seed": 1, "succ')
    assert compared(folders).rows[0].policy.n == 4
