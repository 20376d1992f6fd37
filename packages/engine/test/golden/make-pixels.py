"""Writes pixels.json: what PIL makes of two pictures by each resize rule, as Hugging Face's processors call it.

Run from the project's root with any Python that has Pillow:
    python3 packages/engine/test/golden/make-pixels.py
"""

import json
from pathlib import Path

from PIL import Image, __version__

here = Path(__file__).parent
pictures = {
    'png': 'models/shapes-vqa/1/examples/scene-05.png',
    'jpeg': 'models/shapes-vqa/1/examples/scene-01.jpg',
}
plain = {'do_normalize': False, 'do_rescale': False}
rules = [
    {'size': {'height': 14, 'width': 18}, 'resample': 0},
    {'size': {'height': 14, 'width': 18}, 'resample': 1},
    {'size': {'height': 14, 'width': 18}, 'resample': 2},
    {'size': {'height': 14, 'width': 18}, 'resample': 3},
    {'size': 16, 'resample': 3, 'channels': 'L'},
    {'size': {'shortest_edge': 19}, 'do_center_crop': True, 'crop_size': {'height': 16, 'width': 14}, 'resample': 3},
    {'size': {'shortest_edge': 19}, 'do_center_crop': True, 'crop_size': 15, 'resample': 2},
    {'size': 14, 'crop_pct': 0.875, 'resample': 3},
]


def prepare(image, rule):
    image = image.convert('RGB')
    size, crop = rule['size'], rule.get('crop_size')
    if 'crop_pct' in rule:
        crop, size = size, {'shortest_edge': int(size / rule['crop_pct'])}
    if isinstance(size, int):
        size = {'height': size, 'width': size}
    if 'shortest_edge' in size:
        edge, (width, height) = size['shortest_edge'], image.size
        wide = width <= height
        size = {'width': edge if wide else int(edge * width / height), 'height': int(edge * height / width) if wide else edge}
    image = image.resize((size['width'], size['height']), rule['resample'])
    if crop is not None:
        height, width = (crop, crop) if isinstance(crop, int) else (crop['height'], crop['width'])
        top, left = (image.height - height) // 2, (image.width - width) // 2
        image = image.crop((left, top, left + width, top + height))
    return list(image.convert(rule.get('channels', 'RGB')).tobytes())


cases = []
for picture, file in pictures.items():
    for rule in rules:
        config = {**{k: v for k, v in rule.items() if k != 'channels'}, **plain}
        cases.append({
            'picture': file,
            'config': config,
            'channels': rule.get('channels', 'RGB'),
            'pixels': prepare(Image.open(file), rule),
        })
header = json.dumps({'made_with': f'Pillow {__version__}'})[:-1]
lines = ',\n'.join(json.dumps(case, separators=(',', ':')) for case in cases)
(here / 'pixels.json').write_text(f'{header}, "cases": [\n{lines}\n]}}\n')
