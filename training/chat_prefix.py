"""What stands before the first question: a system message perhaps, and the pictures as SmolVLM writes them."""
from __future__ import annotations

from chat_tokens import END, FAKE, GLOBAL, IMAGE, START, TILE_ROWS, ChatTokenizer
from network import CELLS

SYSTEM = ["You are a helpful assistant.", "You are a helpful assistant that looks at pictures.",
          "Answer the questions about the image.", "Look at the picture and answer.", "You can see shapes.",
          "You are a careful observer."]
TILES = TILE_ROWS * TILE_ROWS  # that a picture is cut into; the whole picture comes after them


def picture_text(tiles: bool) -> str:
    """What `<image>` of the chat template becomes."""
    text, cells = "", IMAGE * CELLS
    if tiles:
        for row in range(TILE_ROWS):
            text += "".join(f"{FAKE}<row_{row + 1}_col_{col + 1}>{cells}" for col in range(TILE_ROWS)) + "\n"
        text += "\n"
    return f"{text}{FAKE}{GLOBAL}{cells}{FAKE}"


def encode_special(tokenizer: ChatTokenizer, text: str) -> list[int]:
    """Ids of text with special tokens in it."""
    ids, at = [], 0
    while at < len(text):
        special = next((s for s in tokenizer.specials if text.startswith(s, at)), None)
        if special:
            ids.append(tokenizer.special(special))
            at += len(special)
            continue
        end = min((p for p in (text.find(s, at) for s in tokenizer.specials) if p > 0), default=len(text))
        ids += tokenizer.encode(text[at:end])
        at = end
    return ids


def prefix_ids(tokenizer: ChatTokenizer, pictures: int, tiles: bool = False, system: str = "") -> list[int]:
    message = f"System:{system}{END}\n" if system else ""
    return encode_special(tokenizer, f"{START}{message}User:{picture_text(tiles) * pictures}")
