"""ManiSkill's own published demonstrations, by ManiSkill's own downloader; unpacked once and kept."""

from __future__ import annotations

import zipfile
from pathlib import Path
from urllib.error import URLError

from pirig.files.atomic import staging_folder

WORD = "download"  # demos.path=download
PLANNED = "motionplanning/trajectory.h5"  # inside the archive, below the environment's name


def fetch(env_id: str, folder: Path) -> Path:
    """The planner's trajectory file of this environment below `folder`; downloaded on the first call.

    Raises ValueError where ManiSkill publishes none, where there is no network, or where the archive lacks the file.
    """
    from mani_skill.utils.download_demo import DATASET_SOURCES, download_file

    final = folder / env_id
    if not final.exists():
        if env_id not in DATASET_SOURCES:
            raise ValueError(
                f"demos.path={WORD}: ManiSkill publishes no demos of {env_id} (it has {', '.join(DATASET_SOURCES)}); "
                "leave demos.path out to plan them here"
            )
        url = DATASET_SOURCES[env_id].raw_dataset_url
        print(f"downloading ManiSkill's demos of {env_id}", flush=True)
        with staging_folder(final) as stage:
            try:
                archive = Path(download_file(str(stage), url))
            except (URLError, OSError) as error:
                raise ValueError(
                    f"demos.path={WORD}: {url} cannot be reached ({error}); leave demos.path out to plan the demos here, "
                    "or copy a trajectory file to this machine and give demos.path=FILE.h5"
                ) from error
            _unpack(archive, stage)
    return _planned(final, env_id)


def there(env_id: str, folder: Path) -> Path | None:
    """The file that `fetch` gave at an earlier call."""
    final = folder / env_id
    return _planned(final, env_id) if final.exists() else None


def _unpack(archive: Path, stage: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(stage)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{archive.name}: the download is no zip archive ({error}); try again") from error
    archive.unlink()


def _planned(folder: Path, env_id: str) -> Path:
    planned = sorted(folder.rglob(PLANNED))
    if not planned:
        files = ", ".join(sorted(str(path.relative_to(folder)) for path in folder.rglob("*.h5"))) or "no h5 file"
        raise ValueError(
            f"{folder}: the demos of {env_id} hold {files}, expected {PLANNED}; give one of them as demos.path=FILE.h5"
        )
    return planned[0]
