"""The tokenizer of a config, and the one that travels with a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pirig.config.places import TOKENIZER_FILE

if TYPE_CHECKING:
    from pirig.policies.card import PolicyCard
    from pirig.transforms.tokenizer import Tokenizer

PALIGEMMA_TOKENIZER = "gs://big_vision/paligemma_tokenizer.model"


def load_tokenizer(name: str, max_token_len: int, url: str | None = None) -> Tokenizer:
    """By the config's name ("builtin", "paligemma" or a SentencePiece file) or by the class name in policy.json.

    PaliGemma's file is fetched into the weights' cache once; `url` is a mirror of the bucket's host. Raises ValueError
    where it cannot be fetched, or `name` is no file.
    """
    from pirig.transforms.tokenizer import BuiltinTokenizer, SentencePieceTokenizer

    if name in ("builtin", BuiltinTokenizer.__name__):
        return BuiltinTokenizer(max_token_len)
    if name in ("paligemma", SentencePieceTokenizer.__name__):
        return SentencePieceTokenizer(_paligemma_file(url), max_token_len)
    path = Path(name).expanduser()
    if not path.is_file():
        raise ValueError(
            f"size.tokenizer={name}: expected builtin, paligemma or a SentencePiece file, found no such file"
        )
    return SentencePieceTokenizer(path, max_token_len)


def _paligemma_file(url: str | None) -> Path:
    from pirig.weights.bucket import FetchError
    from pirig.weights.fetch import fetch_file

    try:
        return fetch_file(PALIGEMMA_TOKENIZER, url=url)
    except FetchError as error:
        reason = str(error).split("; ")[0]
        raise ValueError(
            f"PaliGemma's tokenizer ({PALIGEMMA_TOKENIZER}) could not be fetched: {reason}; fetch that one file (4 MB) "
            "elsewhere and give size.tokenizer=/path/to/paligemma_tokenizer.model, or name a mirror with weights.url=URL"
        ) from error


def saved_tokenizer(assets: Path, card: PolicyCard) -> Tokenizer:
    """The tokenizer that a checkpoint was trained with: its own copy of the file, where it needs one."""
    kept = assets / TOKENIZER_FILE
    return load_tokenizer(str(kept) if kept.is_file() else card.tokenizer, int(card.model_plain["max_token_len"]))
