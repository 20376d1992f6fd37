"""Writes tokenizers.json: small tokenizers and the ids that Hugging Face's Rust library gives their texts.

Run by hand, once: pip install tokenizers==0.23.2 sentencepiece==0.2.2 protobuf; python make-tokenizers.py
The vocabularies are trained here on the texts themselves, so that words of every script have ids of their own.
"""
import base64
import io
import json
import os
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

TEXTS = [
    'Wie ist die Größe?', 'Das Straßenschild über dem Fluß, 12 m² groß.',
    "Où est l'été ? Ça coûte cher, garçon naïf. Œuvre", 'Какого цвета фигура? Ёлка, йод; 3 шт.',
    '这是什么颜色的形状？红色圆形 2 个。', '日本語のカタカナ、ひらがな 한국어', 'cafe\u0301 e\u0301te\u0301 nai\u0308f u\u0308ber',
    'It is 👍🏽 and 👨\u200d👩\u200d👧 🙂🇩🇪', 'नमस्ते दुनिया क्षि हिन्दी', 'ภาษาไทย สวัสดีครับ น้ำ', 'ΣΑΣ ΟΔΥΣΣΕΥΣ Σίσυφος',
    'İSTANBUL ısı Iİ', 'عربي ٣٤ نص ﷺ', 'ﬁ ｆｕｌｌ ① Ⅷ ½ x² ㍿ Å', "don't it's we'll 3.5 snake_case foo-bar a@b.de",
    ' two  spaces\tand\ttabs\u00a0\u3000\u0085end ', '\ufeffmark\u200b zero\u00adwidth\x01 \x7f', '“quotes” — … $1 $& ~^`|<b>',
    '\U00020000\U0002B820\U0002CEA0 𝔘', 'x<img>Größe <img> Größer größe <mask> .', '', ' ',
]


def train(kind, size, trainer, **parts):
    tokenizer = Tokenizer(kind)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    tokenizer.train_from_iterator(TEXTS * 3, trainer(vocab_size=size, show_progress=False))
    return json.loads(tokenizer.to_str())['model']


def word_list():
    words = sorted({word for text in TEXTS for piece in (text, text.lower())
                    for word, _ in pre_tokenizers.Whitespace().pre_tokenize_str(piece)})
    return {'type': 'WordLevel', 'unk_token': '[UNK]',
            'vocab': {word: index for index, word in enumerate(['[PAD]', '[UNK]', '[CLS]', '[SEP]', *words])}}


def charsmap():
    """A table of a few rules; the usual one has 300 KB."""
    rules = [('ﬁ', 'fi'), ('①', '1'), ('㍿', '株式会社'), ('\u00ad', ''), ('\u3000', ' '), ('e\u0301', 'é'), ('ﷺ', 'صلى'),
             ('ß', 'ss'), ('\t', ' '), ('👍', '+1'), ('Σ', 'σ')]
    with tempfile.NamedTemporaryFile('w', suffix='.tsv', delete=False) as file:
        for source, target in rules:
            print(' '.join(f'{ord(c):X}' for c in source), ' '.join(f'{ord(c):X}' for c in target), sep='\t', file=file)
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text for text in TEXTS if text.strip()] * 5), model_writer=written, vocab_size=250,
        normalization_rule_tsv=file.name, hard_vocab_limit=False, minloglevel=2)
    os.unlink(file.name)
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(written.getvalue())
    return base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()


BYTES = ['<0x%02X>' % byte for byte in range(256)]
alphabet = pre_tokenizers.ByteLevel.alphabet()
MODELS = {
    'words': word_list(),
    'wordpiece': train(models.WordPiece(unk_token='[UNK]'), 420,
                       lambda **o: trainers.WordPieceTrainer(special_tokens=['[PAD]', '[UNK]', '[CLS]', '[SEP]'], **o),
                       normalizer=normalizers.BertNormalizer(), pre_tokenizer=pre_tokenizers.BertPreTokenizer()),
    'bytes': train(models.BPE(), 420, lambda **o: trainers.BpeTrainer(initial_alphabet=alphabet, **o),
                   pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False)),
    'clip': train(models.BPE(unk_token='<|endoftext|>', end_of_word_suffix='</w>'), 620,
                  lambda **o: trainers.BpeTrainer(initial_alphabet=alphabet, end_of_word_suffix='</w>',
                                                  special_tokens=['<|startoftext|>', '<|endoftext|>'], **o),
                  normalizer=normalizers.Lowercase(), pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False)),
    'fallback': train(models.BPE(unk_token='<unk>', fuse_unk=True, byte_fallback=True), 460,
                      lambda **o: trainers.BpeTrainer(special_tokens=['<unk>', '<s>', *BYTES], limit_alphabet=80, **o),
                      pre_tokenizer=pre_tokenizers.Metaspace()),
    'unigram': train(models.Unigram(), 300,
                     lambda **o: trainers.UnigramTrainer(special_tokens=['<pad>', '</s>', '<unk>'], unk_token='<unk>', **o),
                     normalizer=normalizers.NFKC(), pre_tokenizer=pre_tokenizers.Metaspace()),
}


def added(*tokens, start=0, **options):
    base = {'single_word': False, 'lstrip': False, 'rstrip': False, 'normalized': False, 'special': True}
    return [{'id': start + index, 'content': content, **base, **options} for index, content in enumerate(tokens)]


def sequence(name, *parts):
    return {'type': 'Sequence', name: list(parts)}


def split(behavior, invert=False, **pattern):
    return {'type': 'Split', 'pattern': pattern, 'behavior': behavior, 'invert': invert}


LOWER = {'type': 'Lowercase'}
BERT = {'type': 'BertNormalizer', 'clean_text': True, 'handle_chinese_chars': True, 'strip_accents': None, 'lowercase': True}
TEMPLATE = {'type': 'TemplateProcessing',
            'single': [{'SpecialToken': {'id': 'begin', 'type_id': 1}}, {'Sequence': {'id': 'A', 'type_id': 0}},
                       {'SpecialToken': {'id': 'end', 'type_id': 2}}],
            'pair': [{'Sequence': {'id': 'A', 'type_id': 0}}, {'Sequence': {'id': 'B', 'type_id': 1}}],
            'special_tokens': {'begin': {'id': 'begin', 'ids': [2], 'tokens': ['[CLS]']},
                               'end': {'id': 'end', 'ids': [3, 0], 'tokens': ['[SEP]', '[PAD]']}}}
BYTE_LEVEL = {'type': 'ByteLevel', 'add_prefix_space': False, 'trim_offsets': True, 'use_regex': False}
CLIP = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+")
META = {'type': 'Metaspace', 'replacement': '▁', 'prepend_scheme': 'always', 'split': True}
SIZE = len(MODELS['wordpiece']['vocab'])
SPECIAL = added('[PAD]', '[UNK]', '[CLS]', '[SEP]')
UNIGRAM = added('<pad>', '</s>', '<unk>')

CASES = [
    ('words', 'whitespace, lowercase', LOWER, {'type': 'Whitespace'}, SPECIAL, TEMPLATE),
    ('words', 'whitespace', None, {'type': 'Whitespace'}, SPECIAL, None),
    ('words', 'spaces', LOWER, {'type': 'WhitespaceSplit'}, SPECIAL, None),
    ('wordpiece', 'bert', BERT, {'type': 'BertPreTokenizer'}, SPECIAL,
     {'type': 'BertProcessing', 'cls': ['[CLS]', 2], 'sep': ['[SEP]', 3]}),
    ('wordpiece', 'bert, cased, accents stripped', {**BERT, 'lowercase': False, 'strip_accents': True},
     {'type': 'BertPreTokenizer'}, SPECIAL, TEMPLATE),
    ('wordpiece', 'bert, accents kept, nothing cleaned',
     {**BERT, 'strip_accents': False, 'clean_text': False, 'handle_chinese_chars': False},
     {'type': 'BertPreTokenizer'}, SPECIAL, None),
    ('bytes', 'gpt2', None, {**BYTE_LEVEL, 'use_regex': True}, [], None),
    ('bytes', 'roberta', None, {**BYTE_LEVEL, 'use_regex': True, 'add_prefix_space': True}, [],
     {'type': 'RobertaProcessing', 'cls': ['!', 0], 'sep': ['"', 1], 'trim_offsets': True, 'add_prefix_space': True}),
    ('bytes', 'gpt4', {'type': 'NFC'}, sequence('pretokenizers', split('Isolated', Regex=GPT4), BYTE_LEVEL), [], None),
    ('bytes', 'byte-level normalizer', sequence('normalizers', {'type': 'NFC'}, {'type': 'ByteLevel'}), None, [], None),
    ('clip', 'clip', sequence('normalizers', {'type': 'NFC'}, {'type': 'Replace', 'pattern': {'Regex': r'\s+'}, 'content': ' '}, LOWER),
     sequence('pretokenizers', split('Removed', True, Regex=CLIP), BYTE_LEVEL),
     added('<|startoftext|>', '<|endoftext|>'),
     {'type': 'RobertaProcessing', 'cls': ['<|startoftext|>', 0], 'sep': ['<|endoftext|>', 1], 'trim_offsets': False,
      'add_prefix_space': False}),
    ('fallback', 'llama', sequence('normalizers', {'type': 'Prepend', 'prepend': '▁'},
                                   {'type': 'Replace', 'pattern': {'String': ' '}, 'content': '▁'}), None,
     added('<unk>', '<s>'), None),
    ('unigram', 't5', {'type': 'NFKC'}, META, UNIGRAM, None),
    ('unigram', 'metaspace, first, after an added token', sequence('normalizers', {'type': 'NFKC'}, {
        'type': 'Strip', 'strip_left': True, 'strip_right': False}), {**META, 'prepend_scheme': 'first'},
     [*UNIGRAM, *added('<img>', start=len(MODELS['unigram']['vocab']))], None),
    ('unigram', 'a precompiled table', {'type': 'Precompiled', 'precompiled_charsmap': charsmap()}, META, UNIGRAM, None),
    ('unigram', 'nmt, accents stripped', sequence('normalizers', {'type': 'Nmt'}, {'type': 'NFKD'}, {'type': 'StripAccents'}),
     {**META, 'split': False}, UNIGRAM, None),
    ('unigram', 'a dollar in a replacement', {'type': 'Replace', 'pattern': {'Regex': r'[[:punct:]]|\d'}, 'content': ' $& '},
     META, UNIGRAM, None),
    ('unigram', 'digits', LOWER, sequence('pretokenizers', {'type': 'WhitespaceSplit'}, {'type': 'Digits', 'individual_digits': False}),
     UNIGRAM, None),
    ('unigram', 'single digits', None, {'type': 'Digits', 'individual_digits': True}, UNIGRAM, None),
    ('unigram', 'a delimiter', None, {'type': 'CharDelimiterSplit', 'delimiter': 'e'}, UNIGRAM, None),
    ('unigram', 'pieces of three', None, {'type': 'FixedLength', 'length': 3}, UNIGRAM, None),
]
for behavior in ('Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'):
    CASES.append(('unigram', f'punctuation, {behavior}', None, {'type': 'Punctuation', 'behavior': behavior}, UNIGRAM, None))
    for invert in (False, True):
        CASES.append(('unigram', f'split, {behavior}, {invert}', None, split(behavior, invert, Regex=r'\s|\w\b|\d'), UNIGRAM, None))
    CASES.append(('unigram', f'split at a text, {behavior}', None, split(behavior, String='e'), UNIGRAM, None))
for name, options in {'plain': {}, 'single words': {'single_word': True}, 'left': {'lstrip': True},
                      'right': {'rstrip': True}, 'normalized': {'normalized': True, 'special': False}}.items():
    tokens = [*SPECIAL, *added('<img>', 'Größe', '<mask>', start=SIZE, **options)]
    CASES.append(('wordpiece', f'added tokens, {name}', BERT, {'type': 'BertPreTokenizer'}, tokens, None))

cases = []
for model, name, normalizer, pre_tokenizer, added_tokens, post_processor in CASES:
    parts = {'normalizer': normalizer, 'pre_tokenizer': pre_tokenizer, 'added_tokens': added_tokens,
             'post_processor': post_processor}
    file = {'version': '1.0', 'truncation': None, 'padding': None, **parts, 'decoder': None, 'model': MODELS[model]}
    tokenizer = Tokenizer.from_str(json.dumps(file))
    encoded = [tokenizer.encode(text) for text in TEXTS]
    cases.append({'name': name, 'model': model, 'parts': parts, 'ids': [one.ids for one in encoded],
                  'typeIds': [one.type_ids for one in encoded] if post_processor else None})
golden = {'texts': TEXTS, 'models': MODELS, 'cases': cases}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'tokenizers.json'), 'w') as file:
    json.dump(golden, file, ensure_ascii=True, separators=(',', ':'))
    file.write('\n')
