"""Writes a stand-in of openpi: the names, fields and calls of the public repository that `trainer=openpi` touches.

It is no openpi: its scripts/train.py makes no step. It walks the real script's calls in their order (checkpoint folder,
wandb, data loader, two batches, one log line, one checkpoint) and writes down what it was given. A field that openpi's
dataclass does not have fails here too, since the fields below are copied by name from openpi at 15a9616.
"""

from pathlib import Path

FILES = {
    "src/openpi/__init__.py": "",
    "src/openpi/models/__init__.py": "",
    "src/openpi/shared/__init__.py": "",
    "src/openpi/training/__init__.py": "",
    "src/openpi/models/pi0_config.py": """
import dataclasses
@dataclasses.dataclass(frozen=True)
class Pi0Config:
    dtype: str = "bfloat16"
    paligemma_variant: str = "gemma_2b"
    action_expert_variant: str = "gemma_300m"
    action_dim: int = 32
    action_horizon: int = 50
    max_token_len: int = None
    pi05: bool = False
    discrete_state_input: bool = None
    def get_freeze_filter(self):
        return "freeze " + self.paligemma_variant
""",
    "src/openpi/models/model.py": """
import dataclasses
@dataclasses.dataclass
class Observation:
    images: dict
    image_masks: dict
    state: object
    tokenized_prompt: object
    tokenized_prompt_mask: object
    @classmethod
    def from_dict(cls, data):
        return cls(data["image"], data["image_mask"], data["state"], data["tokenized_prompt"],
                   data["tokenized_prompt_mask"])
""",
    "src/openpi/shared/normalize.py": """
import dataclasses
@dataclasses.dataclass
class NormStats:
    mean: object
    std: object
    q01: object = None
    q99: object = None
""",
    "src/openpi/training/checkpoints.py": """
def restore_state(manager, state, data_loader, step=None):
    return state
""",
    "src/openpi/training/optimizer.py": """
import dataclasses
@dataclasses.dataclass(frozen=True)
class CosineDecaySchedule:
    warmup_steps: int = 1_000
    peak_lr: float = 2.5e-5
    decay_steps: int = 30_000
    decay_lr: float = 2.5e-6
@dataclasses.dataclass(frozen=True)
class RsqrtDecaySchedule:
    warmup_steps: int = 1_000
    peak_lr: float = 5e-5
    timescale: float = 10_000
@dataclasses.dataclass(frozen=True)
class AdamW:
    b1: float = 0.9
    b2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 1e-10
    clip_gradient_norm: float = 1.0
""",
    "src/openpi/training/weight_loaders.py": """
import dataclasses
@dataclasses.dataclass(frozen=True)
class NoOpWeightLoader:
    pass
@dataclasses.dataclass(frozen=True)
class CheckpointWeightLoader:
    params_path: str
""",
    "src/openpi/training/data_loader.py": """
def create_data_loader(config, *, sharding=None, shuffle=False):
    raise AssertionError("openpi's own loader cannot read the data set")
""",
    "src/openpi/training/config.py": """
import dataclasses, pathlib, typing
@dataclasses.dataclass(frozen=True)
class DataConfig:
    repo_id: str = None
    asset_id: str = None
    norm_stats: dict = None
@dataclasses.dataclass(frozen=True)
class TrainConfig:
    name: str
    project_name: str = "openpi"
    exp_name: str = None
    model: typing.Any = None
    weight_loader: typing.Any = None
    lr_schedule: typing.Any = None
    optimizer: typing.Any = None
    ema_decay: typing.Any = 0.99
    freeze_filter: typing.Any = None
    assets_base_dir: str = "./assets"
    checkpoint_base_dir: str = "./checkpoints"
    seed: int = 42
    batch_size: int = 32
    num_workers: int = 2
    num_train_steps: int = 30_000
    log_interval: int = 100
    save_interval: int = 1000
    keep_period: typing.Any = 5000
    overwrite: bool = False
    resume: bool = False
    wandb_enabled: bool = True
    fsdp_devices: int = 1
    @property
    def checkpoint_dir(self):
        return (pathlib.Path(self.checkpoint_base_dir) / self.name / self.exp_name).resolve()
""",
    "scripts/train.py": """
import types
import openpi.training.data_loader as _data_loader
seen = types.SimpleNamespace(configs=[], batches=[], data_configs=[])
logged = []
wandb = types.SimpleNamespace(log=lambda values, step: logged.append((step, values)), init=lambda **options: None)
def main(config):
    if config.checkpoint_dir.exists() and not config.resume:
        raise FileExistsError(config.checkpoint_dir)
    wandb.init(mode="disabled")
    data_loader = _data_loader.create_data_loader(config, sharding=None, shuffle=True)
    batches = iter(data_loader)
    seen.configs.append(config)
    seen.batches += [next(batches), next(batches)]
    wandb.log({"camera_views": []}, step=0)
    wandb.log({"loss": 0.25, "grad_norm": 2.0, "param_norm": 3.0}, step=config.num_train_steps - 1)
    seen.data_configs.append(data_loader.data_config())
    (config.checkpoint_dir / str(config.num_train_steps - 1) / "params").mkdir(parents=True, exist_ok=True)
""",
}


def write(root: Path) -> Path:
    """The folder to put on sys.path."""
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "src"
