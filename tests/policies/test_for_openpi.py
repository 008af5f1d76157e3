"""A checkpoint as the trainer leaves it, exported for openpi; the snippet runs against stand-ins of openpi's names."""

import dataclasses
import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import orbax.checkpoint as ocp
import pytest

from pirig.contract import Camera, Contract, TaskScene
from pirig.files.orbax import saved_tree
from pirig.models.layout import flatten, leaf_specs, nest
from pirig.policies.card import PolicyCard
from pirig.policies.for_openpi import Exported, caveats, export, train_config
from pirig.stages.weights import main
from pirig.transforms.normalize import NormStats, load_norm_stats, save_norm_stats
from pirig.weights.load import load_params
from pirig.weights.match import WeightsError
from tests.weights.test_load import save_tiny, tiny_config

CONTRACT = Contract(
    scenes=(TaskScene("PushCube-v1", "push the cube"),),
    robot_uid="panda_wristcam",
    control_mode="pd_ee_delta_pose",
    control_hz=20,
    sim_hz=100,
    sim_backend="physx_cpu",
    shader="default",
    cameras=(Camera("base_0_rgb", "base_camera", 64, 64), Camera("left_wrist_0_rgb", "hand_camera", 64, 64)),
    state=("qpos8",),
    state_dim=8,
    action_dim=7,
    action_layout="dx dy dz rx ry rz gripper",
    gripper_open=1.0,
    image_px=32,
    fps=20,
)
RECORD = {"normalization": "quantile", "state_in_prompt": True, "tokenizer": "BuiltinTokenizer"}
STATS = {"state": NormStats(np.zeros(8), np.ones(8)), "actions": NormStats(np.zeros(7), np.ones(7))}


def full_config(**changes):
    return tiny_config(**{"size": "full", "action_dim": 32, "action_horizon": 10, "image_px": 224} | changes)


def make_run(folder, config):
    """<run>/checkpoints/{5,20} in the trainer's layout; step 20 has the larger numbers."""
    for step in (5, 20):
        checkpoint = folder / "checkpoints" / str(step)
        flat = {path: np.full(leaf.shape, step, np.float32) for path, leaf in leaf_specs(config).items()}
        with ocp.PyTreeCheckpointer() as checkpointer:
            checkpointer.save((checkpoint / "params").absolute(), {"params": nest(flat)})
        assets = checkpoint / "assets" / "pirig"
        assets.mkdir(parents=True)
        CONTRACT.save(assets)
        save_norm_stats(assets / "norm_stats.json", STATS)
        (assets / "policy.json").write_text(json.dumps({**RECORD, "model_config": dataclasses.asdict(config)}))
    return folder


def test_the_export_has_openpis_paths_and_the_newest_numbers(tmp_path, capsys):
    run, config = make_run(tmp_path / "run", tiny_config()), tiny_config()
    folder = tmp_path / "for_openpi"
    assert main(["export", str(run), str(folder), "--asset-id", "panda"]) == 0
    stored = flatten(saved_tree(folder / "params"))
    assert {path: tuple(leaf.shape) for path, leaf in stored.items()} == {
        f"params/{path}/value": leaf.shape for path, leaf in leaf_specs(config).items()
    }
    assert all((leaf == 20).all() for leaf in flatten(load_params(folder, config)).values())
    assert set(load_norm_stats(folder / "assets" / "panda" / "norm_stats.json")) == {"state", "actions"}
    assert {path.name for path in folder.iterdir()} == {"params", "assets", "openpi_config.py", "README.md"}
    assert "note: openpi has no variant of this size" in capsys.readouterr().out
    assert "openpi's by PaliGemma's tokenizer" in (folder / "README.md").read_text()
    assert str(tmp_path) not in (folder / "README.md").read_text() + (folder / "openpi_config.py").read_text()
    with pytest.raises(FileExistsError):
        main(["export", str(run), str(folder)])


def test_a_run_of_ours_verifies_against_its_own_record(tmp_path, capsys):
    run = make_run(tmp_path / "run", tiny_config())
    assert main(["verify", str(run)]) == 0
    assert "compared with its own policy.json" in capsys.readouterr().out


def test_what_cannot_be_exported_is_said(tmp_path):
    with pytest.raises(WeightsError, match=r"no assets/\*/policy\.json"):
        export(save_tiny(tmp_path / "theirs"), tmp_path / "out")
    run = make_run(tmp_path / "run", tiny_config())
    for bad in ("/etc", "../x", ""):
        with pytest.raises(WeightsError, match="expected a relative name"):
            export(run, tmp_path / "out", asset_id=bad)
    assert not (tmp_path / "out").exists()


def exported(config, **card):
    card = RECORD | {"tokenizer": "PaligemmaTokenizer"} | card
    return Exported(None, config, CONTRACT, PolicyCard(dataclasses.asdict(config), **card))


def test_caveats():
    assert caveats(exported(full_config())) == []
    assert caveats(exported(full_config(lora=True))) == []
    assert "normalises this kind by quantile" in caveats(exported(full_config(), normalization="zscore"))[0]
    assert "normalises this kind by zscore" in caveats(exported(full_config(pi05=False)))[0]
    assert "224 pixels, this model's 112" in caveats(exported(full_config(image_px=112)))[0]


class Recorder(SimpleNamespace):
    def __init__(self, *arguments, **keywords):
        super().__init__(arguments=arguments, **keywords)

    def get_freeze_filter(self):
        return "freeze"


def run_snippet(text, monkeypatch):
    """The snippet's names, with openpi's modules replaced by recorders of what they were called with."""
    names = {
        "openpi.models.pi0_config": ["Pi0Config"],
        "openpi.training.weight_loaders": ["CheckpointWeightLoader"],
        "openpi.transforms": ["Group", "RepackTransform", "DeltaActions", "AbsoluteActions"],
        "openpi.training.config": ["AssetsConfig", "DataConfig", "SimpleDataConfig", "TrainConfig"],
    }
    for package in ("openpi", "openpi.models", "openpi.training"):
        monkeypatch.setitem(sys.modules, package, ModuleType(package))
    for module, classes in names.items():
        stand_in = ModuleType(module)
        for name in classes:
            setattr(stand_in, name, type(name, (Recorder,), {}))
        monkeypatch.setitem(sys.modules, module, stand_in)
        monkeypatch.setattr(sys.modules[module.rpartition(".")[0]], module.rpartition(".")[2], stand_in, raising=False)
    sys.modules["openpi.transforms"].DataTransformFn = object
    sys.modules["openpi.transforms"].make_bool_mask = lambda *counts: counts
    monkeypatch.setitem(sys.modules, "pasted", ModuleType("pasted"))
    scope = {"__name__": "pasted"}
    exec(compile(text, "openpi_config.py", "exec"), scope)
    return scope


def test_the_snippet_is_the_config(monkeypatch):
    scope = run_snippet(train_config(exported(full_config()), "push-cube", "pirig"), monkeypatch)
    config = scope["push_cube_config"]("FOLDER")
    model = vars(config.model)
    assert (config.name, model.pop("arguments")) == ("push-cube", ())
    assert model == {
        "pi05": True,
        "action_dim": 32,
        "action_horizon": 10,
        "max_token_len": 16,
        "paligemma_variant": "gemma_2b",
        "action_expert_variant": "gemma_300m",
        "discrete_state_input": True,
    }
    assert not hasattr(config, "freeze_filter")
    assert config.weight_loader.arguments == ("FOLDER/params",)
    assert (config.data.assets.assets_dir, config.data.assets.asset_id) == ("FOLDER/assets", "pirig")
    repack = config.data.base_config.repack_transforms.inputs[0].arguments[0]
    assert repack["image"]["left_wrist_0_rgb"] == "observation.images.left_wrist_0_rgb"
    assert config.data.base_config.action_sequence_keys == ("action",)


def test_the_snippets_lora_and_pi0(monkeypatch):
    text = train_config(exported(full_config(pi05=False, lora=True)), "push", "pirig")
    config = run_snippet(text, monkeypatch)["push_config"]("FOLDER")
    assert (config.model.paligemma_variant, config.model.action_expert_variant) == ("gemma_2b_lora", "gemma_300m_lora")
    assert (config.freeze_filter, config.ema_decay) == ("freeze", None)
    assert not hasattr(config.model, "discrete_state_input")


def test_actions_relative_to_the_state_become_openpis_own_transforms(monkeypatch):
    names = {}
    for label, card in (("plain", {}), ("relative", {"relative_to_state": (6, -1)})):
        config = run_snippet(train_config(exported(full_config(), **card), "push", "pirig"), monkeypatch)["push_config"]
        group = config("FOLDER").data.data_transforms(None)
        names[label] = [[type(one).__name__ for one in part] for part in (group.inputs, group.outputs)]
    assert names["plain"] == [["PirigInputs"], ["PirigOutputs"]]
    assert names["relative"] == [["PirigInputs", "DeltaActions"], ["AbsoluteActions", "PirigOutputs"]]
    assert group.inputs[1].arguments == group.outputs[0].arguments == ((6, -1),)


def test_the_snippets_transforms(monkeypatch):
    scope = run_snippet(train_config(exported(full_config()), "push", "pirig"), monkeypatch)
    floats = np.full((3, 4, 5), 0.999, np.float32)
    pixels = np.full((4, 5, 3), 7, np.uint8)
    data = {"image": {"base_0_rgb": floats, "left_wrist_0_rgb": pixels}, "state": np.ones(8), "prompt": "go"}
    result = scope["PirigInputs"]()(data)
    assert {role: (image.shape, int(image.max())) for role, image in result["image"].items()} == {
        "base_0_rgb": ((4, 5, 3), 254),
        "left_wrist_0_rgb": ((4, 5, 3), 7),
        "right_wrist_0_rgb": ((4, 5, 3), 0),
    }
    assert [bool(mask) for mask in result["image_mask"].values()] == [True, True, False]
    assert result["prompt"] == "go" and "actions" not in result
    assert result["state"] is not data["state"]  # openpi's DeltaActions writes into its arguments
    assert scope["PirigOutputs"]()({"actions": np.zeros((10, 32))})["actions"].shape == (10, 7)
