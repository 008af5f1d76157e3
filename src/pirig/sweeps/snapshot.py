"""The code as it was at submission: jobs import this copy, whatever happens to the working tree while they wait."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pirig
from pirig.files.atomic import staging_folder
from pirig.runs.record import SNAPSHOT_FILE, code_version

KEPT = ("src", "conf")


def take(root: Path) -> Path:
    """`<root>/.code/<commit>-<content>`: src/ and conf/ of the code that runs now; made once per content."""
    project = Path(pirig.__file__).resolve().parents[2]
    if (project / SNAPSHOT_FILE).is_file():  # a job that launches
        return project
    files = _files(project)
    version = code_version()
    name = f"{version.get('commit', 'installed')[:12]}-{_digest(files)}"
    final = (root / ".code" / name).resolve()
    if not final.is_dir():
        _copy(project, files, final, version)
    return final


def python_path(snapshot: Path) -> str:
    return str(snapshot / "src")


def _files(project: Path) -> dict[str, Path]:
    """Name in the copy -> file: tracked and new files of a checkout; of an installed package, all of its own."""
    if (project / ".git").exists():
        asked = ["git", "-C", str(project), "ls-files", "-co", "--exclude-standard", "-z", "--", *KEPT]
        listed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split("\0")
        files = {name: project / name for name in listed if name}
    else:
        package = Path(pirig.__file__).resolve().parent
        paths = (path for path in package.rglob("*") if path.suffix in (".py", ".yaml"))
        files = {str(Path("src") / path.relative_to(package.parent)): path for path in paths}
    return {name: files[name] for name in sorted(files) if files[name].is_file()}


def _digest(files: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in files.items():
        digest.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:8]


def _copy(project: Path, files: dict[str, Path], final: Path, version: dict[str, Any]) -> None:
    try:
        with staging_folder(final) as folder:
            for name, path in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / name)
            if (folder / "conf").is_dir():
                os.symlink("../../conf", folder / "src" / "pirig" / "conf")
            if (project / ".pirig").is_dir():  # the Vulkan driver that was unpacked there
                os.symlink(project / ".pirig", folder / ".pirig")
            (folder / "changes.diff").write_text(_difference(project))
            (folder / SNAPSHOT_FILE).write_text(json.dumps({**version, "snapshot": str(final)}, indent=2) + "\n")
    except OSError:
        if not final.is_dir():  # else another launch made the same one meanwhile
            raise


def _difference(project: Path) -> str:
    if not (project / ".git").exists():
        return ""
    asked = ["git", "-C", str(project), "diff", "HEAD", "--", *KEPT]
    return subprocess.run(asked, capture_output=True, text=True).stdout
