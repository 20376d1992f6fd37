"""Writes the folder of shapes-chat, laid out as public SmolVLM exports are: three graphs and their configuration.

    python3 export_chat.py --work WORK --out MODEL_FOLDER [--checkpoint chat.pt]
"""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import machine  # noqa: F401  (before torch)
import torch
from torch import Tensor, nn

from chat_graphs import decoder_graph, embed_graph
from chat_network import CHAT_WIDTH, HEAD_WIDTH, HEADS, KEY_HEADS, LAYERS, ROPE_BASE, WIDE, Eyes, ImageFeatures, ShapesChat
from chat_tiles import SIDE
from chat_tokens import END, FAKE, GLOBAL, IMAGE, PAD, ROWS, START, ChatTokenizer
from export import export_graph, replace, replace_json
from make_chats import tokenizer
from network import CELLS, WIDTH

LONGEST = 2048  # positions; what comes after is not refused, only never seen in training
LONGEST_EDGE = SIDE  # the whole picture alone; twice as much makes 2 x 2 tiles and the whole
LANCZOS = 1
TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}:"
    "{% if message['content'] is string %}{{ message['content'] | trim }}"
    "{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>{% endif %}{% endfor %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] | trim }}{% endif %}{% endfor %}"
    "{% endif %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}")


class VisionEncoder(nn.Module):
    """All pictures of a batch one after the other; where the mask says that there is none, pixels are grey."""

    def __init__(self, eyes: Eyes, features: ImageFeatures):
        super().__init__()
        self.eyes, self.features = eyes, features

    def forward(self, pixel_values: Tensor, pixel_attention_mask: Tensor) -> Tensor:
        shown = pixel_values * pixel_attention_mask.unsqueeze(2).to(pixel_values.dtype)
        return self.features(self.eyes(shown.reshape(-1, 3, SIDE, SIDE)))


def config(t: ChatTokenizer) -> dict[str, Any]:
    ids = {"bos_token_id": t.special(START), "eos_token_id": t.special(END), "pad_token_id": t.special(PAD)}
    words = len(t.vocabulary)
    return {
        "architectures": ["Idefics3ForConditionalGeneration"], "model_type": "idefics3",
        "image_token_id": t.special(IMAGE), "scale_factor": 1, "tie_word_embeddings": False, "vocab_size": words, **ids,
        "text_config": {
            "model_type": "llama", "hidden_size": CHAT_WIDTH, "intermediate_size": WIDE, "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS, "num_key_value_heads": KEY_HEADS, "head_dim": HEAD_WIDTH, "hidden_act": "relu",
            "rope_theta": ROPE_BASE, "max_position_embeddings": LONGEST, "vocab_size": words, **ids},
        "vision_config": {
            "model_type": "idefics3_vision", "hidden_size": WIDTH, "image_size": SIDE,
            "patch_size": SIDE // round(CELLS ** 0.5), "num_channels": 3},
        "transformers.js_config": {"kv_cache_dtype": {"fp16": "float16"}},
    }


def preprocessor_config(longest_edge: int) -> dict[str, Any]:
    return {
        "image_processor_type": "Idefics3ImageProcessor", "processor_class": "Idefics3Processor",
        "do_convert_rgb": True, "do_resize": True, "size": {"longest_edge": longest_edge}, "resample": LANCZOS,
        "do_image_splitting": True, "max_image_size": {"longest_edge": SIDE}, "do_pad": True,
        "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
    }


def tokenizer_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "GPT2Tokenizer", "model_max_length": LONGEST, "clean_up_tokenization_spaces": False,
        "bos_token": START, "eos_token": END, "pad_token": PAD, "unk_token": None, "add_prefix_space": False,
        "additional_special_tokens": [START, END, IMAGE, FAKE, GLOBAL, *ROWS],
        "processor_class": "Idefics3Processor", "chat_template": TEMPLATE,
    }


def write_configuration(folder: Path, t: ChatTokenizer, longest_edge: int) -> None:
    replace_json(folder / "config.json", config(t))
    replace_json(folder / "preprocessor_config.json", preprocessor_config(longest_edge))
    replace_json(folder / "processor_config.json", {"processor_class": "Idefics3Processor", "image_seq_len": CELLS})
    replace_json(folder / "tokenizer.json", t.json())
    replace_json(folder / "tokenizer_config.json", tokenizer_config())
    replace_json(folder / "generation_config.json", {
        "bos_token_id": t.special(START), "eos_token_id": [t.special(END)], "pad_token_id": t.special(PAD),
        "do_sample": False, "max_new_tokens": 96})
    replace(folder / "model.json", b'{"task":"image-text-to-text","max_batch_size":32,"shrink_above_pixels":0}\n')


def write_graphs(folder: Path, model: ShapesChat, words: int) -> None:
    example = torch.randn(2, 2, 3, SIDE, SIDE), torch.ones(2, 2, SIDE, SIDE, dtype=torch.bool)
    pictures = {0: "batch_size", 1: "num_images"}
    vision = export_graph(VisionEncoder(model.eyes, model.features), example,
                          {"pixel_values": pictures, "pixel_attention_mask": pictures},
                          {"image_features": {0: "all_images"}}, folder.parent)
    state = {k: v.detach() for k, v in model.decoder.state_dict().items()}
    replace(folder / "onnx/vision_encoder.onnx", vision)
    replace(folder / "onnx/embed_tokens.onnx", embed_graph(state["embed.weight"].numpy()).SerializeToString())
    for grouped, suffix in ((False, ""), (True, "_fp16")):
        replace(folder / f"onnx/decoder_model_merged{suffix}.onnx",
                decoder_graph(state, words, grouped, LONGEST).SerializeToString())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--checkpoint", default="chat.pt")
    parser.add_argument("--longest-edge", type=int, default=LONGEST_EDGE)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    t = tokenizer()
    model = ShapesChat(len(t.vocabulary))
    model.load_state_dict(torch.load(args.work / args.checkpoint)["model"])
    write_configuration(args.out, t, args.longest_edge)
    model.eyes.encoder.join()
    write_graphs(args.out, model.eval(), len(t.vocabulary))
    print({p.name: p.stat().st_size for p in sorted((args.out / "onnx").iterdir())})


if __name__ == "__main__":
    main()
