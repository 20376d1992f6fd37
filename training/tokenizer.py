"""The word-level tokenizer: one list of words, used in Python and written for production.

`tokenize` does what the exported `tokenizer.json` does: lowercase, then split
into runs of letters or digits and runs of punctuation.
"""
from __future__ import annotations

import re
from typing import Any

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
PAD, UNK, CLS, SEP = range(4)
MAX_TOKENS = 32


def tokenize(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]+", text.lower())


def build_vocabulary(texts: list[str]) -> dict[str, int]:
    """Special tokens first, then all words of the texts in alphabetical order."""
    words = sorted({w for t in texts for w in tokenize(t)})
    return {w: i for i, w in enumerate(SPECIAL + words)}


def encode(text: str, vocabulary: dict[str, int]) -> list[int]:
    return [CLS] + [vocabulary.get(w, UNK) for w in tokenize(text)] + [SEP]


def tokenizer_json(vocabulary: dict[str, int]) -> dict[str, Any]:
    """The Hugging Face `tokenizer.json` with the same behaviour as `encode`; decoding puts spaces between the words."""
    cls, sep = {"id": "[CLS]", "type_id": 0}, {"id": "[SEP]", "type_id": 0}
    first, second = {"id": "A", "type_id": 0}, {"id": "B", "type_id": 1}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True} for i, t in enumerate(SPECIAL)],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": cls}, {"Sequence": first}, {"SpecialToken": sep}],
            "pair": [{"SpecialToken": cls}, {"Sequence": first}, {"SpecialToken": sep},
                     {"Sequence": second}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
            "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]}
                               for t, i in (("[CLS]", CLS), ("[SEP]", SEP))},
        },
        "decoder": None,
        "model": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": vocabulary},
    }


def tokenizer_config(max_tokens: int = MAX_TOKENS) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_tokens,
        "do_lower_case": True,
        "clean_up_tokenization_spaces": True,
        "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
        "model_input_names": ["input_ids", "attention_mask"],
    }
