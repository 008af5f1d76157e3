"""The openpi parameter tree to disk."""

from __future__ import annotations

from pathlib import Path

from pirig.files.orbax import save_tree
from pirig.models.layout import Tree, flatten, nest
from pirig.weights.load import ROOT, WRAPPER


def save_params(folder: Path, tree: Tree) -> None:
    """An Orbax folder with openpi's exact paths, the last element "value" included."""
    wrapped = nest({f"{path}/{WRAPPER}": leaf for path, leaf in flatten(tree).items()})
    save_tree(folder, {ROOT: wrapped})
