"""shapes-chat's tokenizer: byte-level BPE as public chat models have, small enough that every word is one token.

The merges are learned from the words themselves, each counted once, until all are whole: any other word is spelt
in pieces or bytes. What goes into the model is in lower case (`encode`), what comes out may have capitals.
"""
from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import Any, Iterable

START, IMAGE, FAKE, GLOBAL, END, PAD = ("<|im_start|>", "<image>", "<fake_token_around_image>", "<global-img>",
                                        "<end_of_utterance>", "<|pad|>")
TILE_ROWS = 2
ROWS = [f"<row_{r + 1}_col_{c + 1}>" for r in range(TILE_ROWS) for c in range(TILE_ROWS)]
SPECIAL = [PAD, START, END, IMAGE, FAKE, GLOBAL, *ROWS]
# GPT-2's rule, written for Python's re: what may become one token.
PIECE = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")
# Runs of signs of a JSON list that are one token each; all other signs stand alone.
SIGNS = ['[{"', '":"', '","', '"},{"', '"}]', '[]']


def byte_letters() -> dict[int, str]:
    """A printable letter for every byte, as GPT-2 has them."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(rest)}}


LETTERS = byte_letters()


def as_letters(text: str) -> str:
    return "".join(LETTERS[b] for b in text.encode())


def merged(parts: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    out: list[str] = []
    for part in parts:
        if out and (out[-1], part) == pair:
            out[-1] += part
        else:
            out.append(part)
    return tuple(out)


def learn_merges(pieces: Iterable[str]) -> list[tuple[str, str]]:
    """The pairs to merge, most frequent first, until every piece is whole."""
    words = [tuple(as_letters(p)) for p in sorted(set(pieces))]
    merges: list[tuple[str, str]] = []
    while True:
        pairs: Counter[tuple[str, str]] = Counter()
        for parts in words:
            pairs.update(zip(parts, parts[1:]))
        if not pairs:
            return merges
        best = max(pairs, key=lambda p: (pairs[p], p))
        merges.append(best)
        words = [merged(parts, best) for parts in words]


class ChatTokenizer:
    def __init__(self, texts: Iterable[str]):
        pieces = {p for t in texts for p in PIECE.findall(t)}
        words = {p for p in pieces if re.search(r"\w", p)}
        plain = {p.strip() for p in words}
        self.merges = learn_merges([*plain, *(" " + p for p in plain), *SIGNS])
        tokens = [*SPECIAL, *LETTERS.values(), *("".join(m) for m in self.merges)]
        self.vocabulary = {t: i for i, t in enumerate(dict.fromkeys(tokens))}
        self.rank = {m: i for i, m in enumerate(self.merges)}
        self.piece = lru_cache(None)(self._piece)
        self.lengths = [len(t) for t in self.vocabulary]  # in letters, of text in ASCII

    def _piece(self, piece: str) -> tuple[int, ...]:
        parts = tuple(as_letters(piece))
        while len(parts) > 1:
            best = min(zip(parts, parts[1:]), key=lambda p: self.rank.get(p, len(self.rank)))
            if best not in self.rank:
                break
            parts = merged(parts, best)
        return tuple(self.vocabulary[p] for p in parts)

    def encode(self, text: str, keep_case: bool = False) -> list[int]:
        """Ids of text without special tokens."""
        return [i for p in PIECE.findall(text if keep_case else text.lower()) for i in self.piece(p)]

    @property
    def specials(self) -> list[str]:
        return SPECIAL

    def special(self, token: str) -> int:
        return self.vocabulary[token]

    def decode(self, ids: Iterable[int]) -> str:
        tokens, back = list(self.vocabulary), {c: b for b, c in LETTERS.items()}
        return bytes(back[c] for i in ids if i >= len(SPECIAL) for c in tokens[i]).decode(errors="replace")

    def json(self) -> dict[str, Any]:
        """The Hugging Face `tokenizer.json` with the same behaviour."""
        return {
            "version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                              "normalized": False, "special": True} for i, t in enumerate(SPECIAL)],
            "normalizer": {"type": "Lowercase"},
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            "post_processor": None,
            "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                      "ignore_merges": False, "vocab": self.vocabulary, "merges": [" ".join(m) for m in self.merges]},
        }
