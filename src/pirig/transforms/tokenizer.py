"""Prompts to token ids: PaliGemma's tokenizer with openpi's prompt format, and a small word list that needs no file."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

STATE_BINS = 256
EDGES = np.linspace(-1, 1, STATE_BINS + 1)[:-1]
Encoded = tuple[np.ndarray, np.ndarray]  # tokens i32 [max_token_len], mask bool [max_token_len]


class Tokenizer(Protocol):
    max_token_len: int
    vocab_size: int  # ids are below it

    def encode(self, prompt: str, state: np.ndarray | None) -> Encoded:
        """A prompt and, for pi0.5, the normalised unpadded state [n] -> tokens and mask, padded to max_token_len."""
        ...


def state_bins(state: np.ndarray) -> np.ndarray:
    """Which of 256 bins over [-1, 1] each number falls in; below -1 gives -1, from 1 on 255 (openpi's)."""
    return np.digitize(np.asarray(state), EDGES) - 1


def clean(prompt: str) -> str:
    return prompt.strip().replace("_", " ").replace("\n", " ")


def padded(ids: list[int], max_token_len: int) -> Encoded:
    """Pads with id 0; a prompt that does not fit is a ValueError, since cutting it would drop the instruction's end."""
    if len(ids) > max_token_len:
        raise ValueError(
            f"the prompt has {len(ids)} tokens, max_token_len is {max_token_len}: shorten the prompt or the state, "
            f"or set max_token_len to at least {len(ids)}."
        )
    tokens = np.zeros(max_token_len, np.int32)
    tokens[: len(ids)] = ids
    return tokens, np.arange(max_token_len) < len(ids)


class SentencePieceTokenizer:
    """PaliGemma's tokenizer from its model file, with openpi's prompt for pi0 (no state) and pi0.5."""

    def __init__(self, path: str | Path, max_token_len: int):
        import sentencepiece

        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: expected a SentencePiece model (PaliGemma's tokenizer), found no file.")
        self.path, self.max_token_len = Path(path), max_token_len
        self._pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
        self.vocab_size = self._pieces.vocab_size()

    def encode(self, prompt: str, state: np.ndarray | None) -> Encoded:
        if state is None:
            ids = self._pieces.encode(clean(prompt), add_bos=True) + self._pieces.encode("\n")
        else:
            numbers = " ".join(map(str, state_bins(state)))
            ids = self._pieces.encode(f"Task: {clean(prompt)}, State: {numbers};\nAction: ", add_bos=True)
        return padded(ids, self.max_token_len)


# Ids of the built-in vocabulary: never reorder, saved models depend on it. New words go to the end.
BOS, FIRST_STATE, FIRST_BYTE = 1, 4, 4 + STATE_BINS
ASCII, NIBBLES = 128, 16  # a byte below 128 is one token, any other two
FIRST_NIBBLE = FIRST_BYTE + ASCII
FIRST_WORD = FIRST_NIBBLE + NIBBLES
WORDS = tuple(
    (
        ". , - : ; ? ! ' a an the it its this that of in on onto into to at from with without and or top front inside "
        "grasp grab pick up place put push pull move stack let go falling insert lift open close turn hold release "
        "cube sphere ball peg box bin hole goal target region position end block object table drawer "
        "red green blue yellow orange white black shallow left right small large"
    ).split()
)
VOCAB_SIZE = 512
IDS = {word: FIRST_WORD + index for index, word in enumerate(WORDS)}
PIECE = re.compile(r"\w+|[^\w\s]")


class BuiltinTokenizer:
    """512 ids: one per known word (case ignored), bytes for any other, one per state bin. Needs no download.

    Layout: begin, the prompt's words, then one token for each number of the state.
    """

    vocab_size = VOCAB_SIZE

    def __init__(self, max_token_len: int):
        self.max_token_len = max_token_len

    def encode(self, prompt: str, state: np.ndarray | None) -> Encoded:
        ids = [BOS, *_word_ids(clean(prompt))]
        if state is not None:
            ids += (FIRST_STATE + np.clip(state_bins(state), 0, STATE_BINS - 1)).tolist()
        return padded(ids, self.max_token_len)


@lru_cache(maxsize=1024)
def _word_ids(prompt: str) -> tuple[int, ...]:
    """Words and punctuation; an unknown word is a space and its UTF-8 bytes, so that words stay apart."""
    ids: list[int] = []
    for piece in PIECE.findall(prompt):
        known = IDS.get(piece.lower())
        ids += [known] if known is not None else _byte_ids(f" {piece}")
    return tuple(ids)


def _byte_ids(text: str) -> list[int]:
    ids: list[int] = []
    for byte in text.encode():
        if byte < ASCII:
            ids.append(FIRST_BYTE + byte)
        else:
            ids += [FIRST_NIBBLE + byte // 16, FIRST_NIBBLE + byte % 16]
    return ids
