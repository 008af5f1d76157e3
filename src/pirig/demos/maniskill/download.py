"""ManiSkill's own published demonstrations, from the Hugging Face Hub or a mirror of it (HF_ENDPOINT); unpacked once and kept.

A download that is stopped goes on where it was; the archive's checksum is compared with the hub's before it is unpacked.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path

from pirig.files import hub
from pirig.files.atomic import staging_folder

WORD = "download"  # demos.path=download
PLANNED = "motionplanning/trajectory.h5"  # inside the archive, below the environment's name
ADDRESS = r"https://[^/]+/datasets/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>[^?]+)"


def fetch(env_id: str, folder: Path) -> Path:
    """The planner's trajectory file of this environment below `folder`; downloaded on the first call.

    Raises ValueError where ManiSkill publishes none, where there is no network, or the archive is damaged or lacks the file.
    """
    final = folder / env_id
    if not final.exists():
        name, revision, file = _published(env_id)
        print(f"downloading ManiSkill's demos of {env_id} ({name} of {hub.endpoint()})", flush=True)
        coming = folder / f".{env_id}.coming"
        coming.mkdir(parents=True, exist_ok=True)
        try:
            hub.fetch(name, coming, [file], revision)
        except ValueError as error:
            raise ValueError(
                f"demos.path={WORD}: {error} Or leave demos.path out to plan the demos here, or copy a trajectory file to this "
                "machine and give demos.path=FILE.h5"
            ) from error
        with staging_folder(final) as stage:
            _unpack(coming / file, stage)
        shutil.rmtree(coming)
    return _planned(final, env_id)


def _published(env_id: str) -> tuple[str, str, str]:
    """The hub's data set, its revision and the file in it, as ManiSkill's own table has them."""
    from mani_skill.utils.download_demo import DATASET_SOURCES

    if env_id not in DATASET_SOURCES:
        raise ValueError(
            f"demos.path={WORD}: ManiSkill publishes no demos of {env_id} (it has {', '.join(DATASET_SOURCES)}); "
            "leave demos.path out to plan them here"
        )
    url = DATASET_SOURCES[env_id].raw_dataset_url
    match = re.match(ADDRESS, url)
    if match is None:
        raise ValueError(
            f"demos.path={WORD}: ManiSkill's demos of {env_id} are at {url}; download and unpack them by hand"
        )
    return match["name"], match["revision"], match["file"]


def there(env_id: str, folder: Path) -> Path | None:
    """The file that `fetch` gave at an earlier call."""
    final = folder / env_id
    return _planned(final, env_id) if final.exists() else None


def _unpack(archive: Path, stage: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(stage)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{archive}: what was published is no zip archive ({error}); tell ManiSkill") from error


def _planned(folder: Path, env_id: str) -> Path:
    planned = sorted(folder.rglob(PLANNED))
    if not planned:
        files = ", ".join(sorted(str(path.relative_to(folder)) for path in folder.rglob("*.h5"))) or "no h5 file"
        raise ValueError(
            f"{folder}: the demos of {env_id} hold {files}, expected {PLANNED}; give one of them as demos.path=FILE.h5"
        )
    return planned[0]
