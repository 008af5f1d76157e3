"""critic.json: whose critic, or whose head, it is that lies beside it. Imports nothing heavy."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pirig.files.atomic import write_text
from pirig.files.records import read_record

CARD = "critic.json"


@dataclass(frozen=True)
class CriticCard:
    """Beside a critic, or a head that it taught: of which `policy` (its digest) it saw the features, how many steps of a chunk
    that one `execute`d, and whether it is `privileged`: then it saw labels in their place."""

    policy: str
    execute: int
    privileged: bool = False

    def save(self, folder: Path) -> None:
        write_text(folder / CARD, json.dumps(asdict(self), indent=1) + "\n")

    @staticmethod
    def load(folder: Path, key: str = "eval.critic") -> CriticCard:
        """Raises ValueError where none of ours is; `key` names the folder."""
        try:
            return CriticCard(**read_record(folder / CARD, "policy", "execute", "privileged"))
        except (FileNotFoundError, TypeError) as error:
            raise ValueError(
                f"{key}={folder}: no critic there ({CARD}); `pirig improve RUN improve=calql` makes one and says where"
            ) from error
