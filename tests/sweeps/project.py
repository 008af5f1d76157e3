"""A copy of the project whose stages take no time, launched through its real command line."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = [
    f"hydra.launcher.{stage}.{key}={value}"
    for stage in ("data", "train", "eval")
    for key, value in (("cpus", 1), ("memory_gb", 0.25), ("time_min", 10))
]


class Project:
    """`stand_ins` leave what the real stages leave, without jax or a simulator; `stand_ins_small` train a small model."""

    def __init__(self, folder: Path, stand_ins: str = "stand_ins"):
        self.folder, self.root = folder, folder / "outputs"
        skip = shutil.ignore_patterns("__pycache__")
        for name in ("src", "conf"):
            shutil.copytree(REPOSITORY / name, folder / name, ignore=skip)
        os.symlink("../../conf", folder / "src" / "pirig" / "conf")
        stages = folder / "src" / "pirig" / "stages"
        shutil.copytree(Path(__file__).parent / stand_ins, stages, dirs_exist_ok=True, ignore=skip)
        shutil.copyfile(REPOSITORY / "tests" / "training" / "conftest.py", stages / "small_model.py")
        self.git("init", "-q")
        self.git("add", "src", "conf")
        self.git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "as it was")

    def git(self, *words: str) -> str:
        asked = ["git", "-C", str(self.folder), *words]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout

    def pirig(self, *words: str, status: int | None = 0) -> str:
        """What the command prints; its exit status must be `status` (None: any)."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "src"), "COLUMNS": "250", "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, "-m", "pirig", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=self.folder, timeout=200)
        assert status is None or done.returncode == status, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    def sweep(self, verb: str, experiment: str, *words: str, launcher: str = "slurm", status: int | None = 0) -> str:
        small = [*SMALL, "hydra.launcher.poll_s=0.3"] if launcher == "slurm" else []
        return self.pirig(
            verb, "-m", f"hydra/launcher={launcher}", f"run.experiment={experiment}", *small, *words, status=status
        )

    def runs(self, experiment: str) -> dict[str, Path]:
        """Run folders of an experiment by name."""
        return {path.name: path for path in sorted((self.root / experiment).iterdir()) if path.is_dir()}

    def jobs(self, experiment: str, stage: str = "train") -> dict[Path, dict[str, str]]:
        """The newest job of each run's stage."""
        found = {path: json.loads((path / "jobs.json").read_text()) for path in self.runs(experiment).values()}
        return {path: record["stages"][stage][-1] for path, record in found.items() if stage in record["stages"]}
