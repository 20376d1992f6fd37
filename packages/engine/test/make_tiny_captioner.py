"""Writes test/tiny-captioner: an encoder-decoder with random weights, in the files and tensor names of
Hugging Face Optimum's export, and golden.json: what greedy and beam search must give for it.

    python3 make_tiny_captioner.py && npx oxfmt tiny-captioner        (PyTorch 1.13 and onnx; nothing else)

The search here is written straight from its definition, one image at a time and without a cache: it
runs the whole sequence through the network at every step, so it shares no trick with what it checks.
"""
import json
import math
import os

import onnx
import torch
from onnx import TensorProto, helper
from torch import nn

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'tiny-captioner')
WIDTH, HEADS, LAYERS, SIZE, PATCH, LONGEST = 8, 2, 2, 8, 4, 24
WORDS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]'] + 'a red green blue big small circle square star left right of the and is on'.split()
PAD, UNKNOWN, START, END = range(4)


class Attention(nn.Module):
    """A matrix per head, so that the graph has no reshaping in it and stays small."""

    def __init__(self):
        super().__init__()
        inner = WIDTH // HEADS
        self.q, self.k, self.v = (nn.Parameter(torch.randn(HEADS, WIDTH, inner) / 5) for _ in range(3))
        self.o = nn.Parameter(torch.randn(HEADS, inner, WIDTH) / 5)

    def keys(self, x):
        return x.unsqueeze(1) @ self.k, x.unsqueeze(1) @ self.v

    def forward(self, x, key, value, causal):
        scores = (x.unsqueeze(1) @ self.q) @ key.transpose(2, 3) / math.sqrt(WIDTH // HEADS)
        if causal:
            places = torch.arange(x.shape[1])
            scores = torch.where(places.unsqueeze(0) > places.unsqueeze(1), torch.tensor(-1e9), scores)
        return (torch.softmax(scores, -1) @ value @ self.o).sum(1)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.itself, self.across = Attention(), Attention()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x, past, across):
        inner = self.norms[0](x)
        key, value = self.itself.keys(inner)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        x = x + self.itself(inner, key, value, past is None)
        x = x + self.across(self.norms[1](x), *across, False)
        return x + self.mlp(self.norms[2](x)), (key, value)


class Captioner(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.norm = nn.LayerNorm(WIDTH)
        self.words = nn.Embedding(len(WORDS), WIDTH)
        self.places = nn.Embedding(LONGEST + 1, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.last = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, len(WORDS))

    def encode(self, pixels):
        return self.norm(self.patches(pixels).flatten(2).transpose(1, 2))

    def decode(self, ids, hidden, past):
        """`past`: per layer (key, value, encoder key, encoder value), or None."""
        before = 0 if past is None else past[0][0].shape[2]
        x = self.words(ids) + self.places(torch.arange(ids.shape[1]) + before)
        present = []
        for index, layer in enumerate(self.layers):
            across = layer.across.keys(hidden) if past is None else past[index][2:]
            x, own = layer(x, None if past is None else past[index][:2], across)
            present.append((*own, *across))
        return self.head(self.last(x)), present


class Encoder(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        return self.model.encode(pixel_values)


class First(Encoder):
    def forward(self, input_ids, encoder_hidden_states):
        logits, present = self.model.decode(input_ids, encoder_hidden_states, None)
        return (logits, *[tensor for layer in present for tensor in layer])


class Later(Encoder):
    def forward(self, input_ids, *flat):
        past = [flat[index:index + 4] for index in range(0, len(flat), 4)]
        logits, present = self.model.decode(input_ids, None, past)
        return (logits, *[tensor for layer in present for tensor in layer[:2]])


def cache_names(prefix, sides=('decoder', 'encoder')):
    return [f'{prefix}.{n}.{side}.{part}' for n in range(LAYERS) for side in sides for part in ('key', 'value')]


def export(model):
    os.makedirs(os.path.join(FOLDER, 'onnx'), exist_ok=True)
    path = lambda name: os.path.join(FOLDER, 'onnx', name)
    hidden = model.encode(torch.zeros(2, 3, SIZE, SIZE))
    ids = torch.tensor([[2, 4], [2, 5]])
    _, present = model.decode(ids, hidden, None)
    flat = [tensor for layer in present for tensor in layer]
    length = lambda name: 'encoder_sequence_length' if '.encoder.' in name else 'past_decoder_sequence_length'

    def write(module, inputs, names, outputs, file, axes):
        torch.onnx.export(module, inputs, path(file), input_names=names, output_names=outputs, opset_version=14,
                          dynamic_axes={name: axes(name) for name in names + outputs})

    def axes(name):
        if name in ('pixel_values', 'last_hidden_state'):
            return {0: 'batch_size'}
        if name == 'encoder_hidden_states':
            return {0: 'batch_size', 1: 'encoder_sequence_length'}
        if name in ('input_ids', 'logits'):
            return {0: 'batch_size', 1: 'decoder_sequence_length'}
        return {0: 'batch_size', 2: length(name)}

    write(Encoder(model), (torch.zeros(2, 3, SIZE, SIZE),), ['pixel_values'], ['last_hidden_state'],
          'encoder_model.onnx', axes)
    write(First(model), (ids, hidden), ['input_ids', 'encoder_hidden_states'], ['logits', *cache_names('present')],
          'decoder_model.onnx', axes)
    write(Later(model), (ids[:, :1], *flat), ['input_ids', *cache_names('past_key_values')],
          ['logits', *cache_names('present', ('decoder',))], 'decoder_with_past_model.onnx', axes)
    for file in ('encoder_model', 'decoder_model', 'decoder_with_past_model'):
        onnx.save(slim(onnx.load(path(f'{file}.onnx'))), path(f'{file}.onnx'))
    onnx.save(merge(onnx.load(path('decoder_model.onnx')), onnx.load(path('decoder_with_past_model.onnx'))),
              path('decoder_model_merged.onnx'))


def slim(model):
    del model.graph.value_info[:]
    for node in model.graph.node:
        node.doc_string, node.name = '', ''
    return model


def merge(first, later):
    """Both decoders in one graph behind `use_cache_branch`, as Optimum merges them: the branch with a
    past gives made-up encoder keys, which nobody may keep."""
    shared = list(first.graph.input) + [value for value in later.graph.input if value.name.startswith('past')]
    outputs = [output.name for output in first.graph.output]
    weights, known = [], {}

    def branch(model, prefix):
        graph, rename = model.graph, {value.name: value.name for value in model.graph.input}
        for weight in graph.initializer:
            content = (tuple(weight.dims), weight.data_type, weight.raw_data)
            rename[weight.name] = known.setdefault(content, f'{prefix}{weight.name}')
            if rename[weight.name] == f'{prefix}{weight.name}':
                weights.append(helper.make_tensor(rename[weight.name], weight.data_type, weight.dims, weight.raw_data, raw=True))
        nodes, results = [], []
        for node in graph.node:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.input[:] = [name and rename.get(name, f'{prefix}{name}') for name in node.input]
            copy.output[:] = [f'{prefix}{name}' for name in node.output]
            nodes.append(copy)
        made = {output.name for output in graph.output}
        for name in outputs:
            if name not in made:
                none = helper.make_tensor('', TensorProto.FLOAT, [0, HEADS, 1, WIDTH // HEADS], [])
                nodes.append(helper.make_node('Constant', [], [f'{prefix}{name}'], value=none))
            results.append(helper.make_tensor_value_info(f'{prefix}{name}', TensorProto.FLOAT, None))
        return helper.make_graph(nodes, f'{prefix}branch', [], results)

    then, otherwise = branch(later, 'l_'), branch(first, 'f_')
    choice = helper.make_tensor_value_info('use_cache_branch', TensorProto.BOOL, [1])
    node = helper.make_node('If', ['use_cache_branch'], outputs, then_branch=then, else_branch=otherwise)
    graph = helper.make_graph([node], 'merged', shared + [choice], list(first.graph.output), weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 14)], ir_version=8)


def adjusted(scores, ids, options, begin, limit):
    """Hugging Face's logits processors, in their order."""
    scores = scores.clone()
    penalty = options.get('repetition_penalty', 1)
    for token in set(ids):
        scores[token] = scores[token] * penalty if scores[token] < 0 else scores[token] / penalty
    size = options.get('no_repeat_ngram_size', 0)
    if size > 0:
        for at in range(len(ids) - size + 1):
            if ids[at:at + size - 1] == ids[len(ids) - size + 1:]:
                scores[ids[at + size - 1]] = -math.inf
    if len(ids) - begin < options.get('min_new_tokens', 0):
        scores[END] = -math.inf
    if options.get('forced_eos_token_id') is not None and len(ids) == limit - 1:
        scores[:] = -math.inf
        scores[END] = 0
    return scores


def next_scores(model, hidden, ids):
    return model.decode(torch.tensor([ids]), hidden, None)[0][0, -1]


def greedy(model, hidden, prompt, options):
    ids = [START, *prompt]
    begin, limit = len(ids), len(ids) + options['max_new_tokens']
    while len(ids) < limit:
        ids.append(int(adjusted(next_scores(model, hidden, ids), ids, options, begin, limit).argmax()))
        if ids[-1] == END:
            break
    return ids[begin:]


def beam(model, hidden, prompt, options):
    count, power, early = options['num_beams'], options.get('length_penalty', 1.0), options.get('early_stopping', False)
    beams = [([START, *prompt], 0.0)]
    begin, limit = len(beams[0][0]), len(beams[0][0]) + options['max_new_tokens']
    finished = []

    def keep(ids, total):
        finished.append((total / (len(ids) - begin) ** power, ids))
        finished.sort(key=lambda hypothesis: -hypothesis[0])
        del finished[count:]

    while True:
        options_here = []
        for at, (ids, total) in enumerate(beams):
            scores = torch.log_softmax(next_scores(model, hidden, ids), -1)
            scores = adjusted(scores, ids, options, begin, limit)
            options_here += [(total + float(score), at, token) for token, score in enumerate(scores)]
        options_here.sort(key=lambda option: -option[0])
        following = []
        for rank, (total, at, token) in enumerate(options_here[:2 * count]):
            if token == END:
                if rank < count:
                    keep([*beams[at][0], token], total)
            elif len(following) < count:
                following.append(([*beams[at][0], token], total))
        length = len(following[0][0]) - begin
        if len(finished) == count and (early or finished[-1][0] >= options_here[0][0] / length ** power):
            break
        beams = following
        if len(beams[0][0]) == limit:
            for ids, total in beams:
                keep(ids, total)
            break
    return finished[0][1][begin:]


CASES = [
    {},
    {'max_new_tokens': 3},
    {'repetition_penalty': 1.7},
    {'no_repeat_ngram_size': 2},
    {'num_beams': 2},
    {'num_beams': 4},
    {'num_beams': 4, 'length_penalty': 0.2},
    {'num_beams': 4, 'length_penalty': 2.0},
    {'num_beams': 3, 'early_stopping': True},
    {'num_beams': 3, 'no_repeat_ngram_size': 2, 'repetition_penalty': 1.2, 'max_new_tokens': 6},
    {'prompt': 'the red square'},
    {'prompt': 'a', 'num_beams': 3},
]


def answer(model, image, case):
    options = {'max_new_tokens': 16, **{name: value for name, value in case.items() if name != 'prompt'}}
    prompt = [WORDS.index(word) for word in case.get('prompt', '').split()]
    hidden = model.encode(torch.tensor(image).reshape(1, SIZE, SIZE, 3).permute(0, 3, 1, 2) / 127.5 - 1)
    return (beam if 'num_beams' in case else greedy)(model, hidden, prompt, options)


def write_json(name, content):
    with open(os.path.join(FOLDER, name), 'w') as file:
        json.dump(content, file, separators=(',', ':'))
        file.write('\n')


def main():
    torch.set_grad_enabled(False)
    # Random weights often say one word for ever: the first seed whose answers differ in length and from each other.
    for seed in range(2000):
        torch.manual_seed(seed)
        model = Captioner().eval()
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight *= 3
        model.head.bias[:END] = -100
        images = [torch.randint(0, 256, (SIZE * SIZE * 3,)).tolist() for _ in range(5)]
        for index, image in enumerate(images):
            # Mostly of one colour, so that the images differ by more than noise.
            images[index] = [value if at % 3 == index % 3 else value // 8 for at, value in enumerate(image)]
        plain = [answer(model, image, {}) for image in images]
        wide = [answer(model, image, {'num_beams': 4}) for image in images]
        lengths = {len(ids) for ids in plain}
        if (len({tuple(ids) for ids in plain}) == len(plain) and len(lengths) >= 4 and max(lengths) == 16
                and sum(a != b for a, b in zip(plain, wide)) >= 3 and len({len(ids) for ids in wide}) >= 3):
            break
    else:
        raise SystemExit('no seed will do')
    print('seed', seed, [' '.join(WORDS[id] for id in ids) for ids in plain])
    export(model)
    special = [{'id': at, 'content': WORDS[at], 'single_word': False, 'lstrip': False, 'rstrip': False,
                'normalized': False, 'special': True} for at in range(4)]
    write_json('tokenizer.json', {
        'version': '1.0', 'truncation': None, 'padding': None, 'added_tokens': special, 'normalizer': {'type': 'Lowercase'},
        'pre_tokenizer': {'type': 'Whitespace'}, 'decoder': None,
        'post_processor': {'type': 'TemplateProcessing', 'pair': [],
                           'single': [{'SpecialToken': {'id': '[CLS]', 'type_id': 0}}, {'Sequence': {'id': 'A', 'type_id': 0}},
                                      {'SpecialToken': {'id': '[SEP]', 'type_id': 0}}],
                           'special_tokens': {word: {'id': word, 'ids': [WORDS.index(word)], 'tokens': [word]}
                                              for word in ('[CLS]', '[SEP]')}},
        'model': {'type': 'WordLevel', 'unk_token': '[UNK]', 'vocab': {word: at for at, word in enumerate(WORDS)}}})
    write_json('tokenizer_config.json', {'model_max_length': LONGEST, 'pad_token': '[PAD]', 'unk_token': '[UNK]',
                                         'tokenizer_class': 'PreTrainedTokenizerFast'})
    write_json('preprocessor_config.json', {
        'image_processor_type': 'ViTImageProcessor', 'do_resize': True, 'size': {'height': SIZE, 'width': SIZE}, 'resample': 2,
        'do_rescale': True, 'rescale_factor': 1 / 255, 'do_normalize': True, 'image_mean': [0.5] * 3, 'image_std': [0.5] * 3})
    write_json('generation_config.json', {'decoder_start_token_id': START, 'eos_token_id': END, 'pad_token_id': PAD,
                                          'max_new_tokens': 16})
    write_json('config.json', {'model_type': 'vision-encoder-decoder', 'is_encoder_decoder': True,
                               'decoder': {'max_position_embeddings': LONGEST + 1}})
    write_json('model.json', {'task': 'image-to-text', 'max_batch_size': 8})
    write_json('golden.json', {'size': SIZE, 'images': images,
                               'cases': [{'options': case, 'tokens': [answer(model, image, case) for image in images]}
                                         for case in CASES]})


main()
