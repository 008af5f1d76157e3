"""Episodes of a policy server are of one policy: what it served at first is kept beside them."""

from __future__ import annotations

from pathlib import Path

from pirig.files import identity
from pirig.files.identity import Identity
from pirig.policies.remote import RemotePolicy, served

FILE_NAME = "served.json"
REMEDY = "Serve that one again, or give run.mode=overwrite, which moves these results aside."


def require_same(folder: Path, policy: RemotePolicy) -> None:
    """Keeps what is served beside the results, the first time. Raises IdentityError where they are of another policy."""
    asked = Identity("policy of this server", served(policy.metadata))
    there = identity.load(folder / FILE_NAME)
    if there is None:
        asked.save(folder / FILE_NAME)
        return
    identity.require(asked, there, folder, REMEDY)
