"""Writes pixels.json: what PIL makes of two pictures by each rule of resizing, as Hugging Face's processors call it.

Run from the project's root with any Python that has Pillow:
    python3 packages/engine/test/golden/make-pixels.py
"""

import json
import math
from pathlib import Path

from PIL import Image, __version__

here = Path(__file__).parent
pictures = {
    'png': 'packages/engine/test/golden/scene-05.png',
    'jpeg': 'packages/engine/test/golden/scene-01.jpg',
}
plain = {'do_normalize': False, 'do_rescale': False}
#: Each with what it is called in preprocessor_config.json; `channels` is what the tensor holds.
rules = [
    {'size': {'height': 14, 'width': 18}, 'resample': 0},
    {'size': {'height': 14, 'width': 18}, 'resample': 1},
    {'size': {'height': 14, 'width': 18}, 'resample': 2},
    {'size': {'height': 14, 'width': 18}, 'resample': 3},
    {'size': 16, 'resample': 3, 'channels': 'L'},
    {'size': {'shortest_edge': 19}, 'do_center_crop': True, 'crop_size': {'height': 16, 'width': 14}, 'resample': 3},
    {'size': {'shortest_edge': 19}, 'do_center_crop': True, 'crop_size': 15, 'resample': 2},
    {'size': 14, 'crop_pct': 0.875, 'resample': 3},
    {'size': {'shortest_edge': 17}, 'resample': 2},
    {'size': {'shortest_edge': 16, 'longest_edge': 19}, 'resample': 2, 'do_pad': True},
    {'size': {'shortest_edge': 16, 'longest_edge': 40}, 'resample': 2},
    {'size': 16, 'max_size': 19, 'resample': 2, 'feature_extractor_type': 'DetrFeatureExtractor'},
    {'size': {'shortest_edge': 18}, 'size_divisor': 4, 'resample': 3, 'do_pad': True,
     'image_processor_type': 'ViltImageProcessor'},
    {'size': {'height': 20, 'width': 20}, 'keep_aspect_ratio': True, 'ensure_multiple_of': 7, 'resample': 3},
    {'size': {'height': 20, 'width': 24}, 'ensure_multiple_of': 7, 'resample': 3},
    {'size': {'longest_edge': 21}, 'do_pad': True, 'pad_size': {'height': 22, 'width': 21}, 'resample': 2},
    {'size': {'height': 22, 'width': 14}, 'do_thumbnail': True, 'do_pad': True, 'resample': 2},
    {'size': {'height': 14, 'width': 30}, 'do_thumbnail': True, 'do_pad': True, 'resample': 2},
    {'size': {'max_height': 17, 'max_width': 17}, 'resample': 2},
    {'min_pixels': 16, 'max_pixels': 300, 'patch_size': 2, 'merge_size': 2, 'resample': 3},
    {'size': {'shortest_edge': 14}, 'do_center_crop': True, 'crop_size': 14, 'resample': 3,
     'image_processor_type': 'LevitImageProcessor'},
    {'size': {'shortest_edge': 14}, 'crop_pct': 0.9, 'do_center_crop': True, 'crop_size': 14, 'resample': 3,
     'image_processor_type': 'PoolFormerImageProcessor'},
    {'size': {'shortest_edge': 19}, 'do_center_crop': True, 'crop_size': 16, 'resample': 2, 'channels': 'BGR',
     'image_processor_type': 'MobileViTImageProcessor', 'do_flip_channel_order': True},
    {'pretrained_cfg': {'input_size': [3, 16, 16], 'interpolation': 'bicubic', 'crop_pct': 0.9, 'mean': [0, 0, 0],
                        'std': [1 / 255, 1 / 255, 1 / 255]}},
    {'pretrained_cfg': {'input_size': [3, 16, 16], 'interpolation': 'bilinear', 'crop_pct': 0.9, 'crop_mode': 'squash',
                        'mean': [0, 0, 0], 'std': [1 / 255, 1 / 255, 1 / 255]}},
]


def both(size):
    return (size, size) if isinstance(size, int) else (size['height'], size['width'])


def shorter(height, width, edge):
    """torchvision's and Hugging Face's: the longer edge is cut down."""
    return (int(edge * height / width), edge) if width <= height else (edge, int(edge * width / height))


def detr(height, width, size, longest):
    raw = None
    if max(height, width) / min(height, width) * size > longest:
        raw = longest * min(height, width) / max(height, width)
        size = int(round(raw))
    if min(height, width) == size:
        return height, width
    other = size if raw is None else raw
    return (int(other * height / width), size) if width < height else (size, int(other * width / height))


def vilt(height, width, edge, divisor):
    longest, scale = int(1333 / 800 * edge), edge / min(height, width)
    new = (edge, scale * width) if height < width else (scale * height, edge)
    if max(new) > longest:
        scale = longest / max(new)
        new = (scale * new[0], scale * new[1])
    return tuple(int(value + 0.5) // divisor * divisor for value in new)


def dpt(height, width, size, multiple, keep):
    scales = [size['height'] / height, size['width'] / width]
    if keep:
        scales = [scales[1]] * 2 if abs(1 - scales[1]) < abs(1 - scales[0]) else [scales[0]] * 2
    return tuple(round(scale * edge / multiple) * multiple for scale, edge in zip(scales, (height, width)))


def qwen(height, width, factor, least, most):
    new = [round(height / factor) * factor, round(width / factor) * factor]
    if new[0] * new[1] > most:
        beta = math.sqrt(height * width / most)
        return tuple(max(factor, math.floor(edge / beta / factor) * factor) for edge in (height, width))
    if new[0] * new[1] < least:
        beta = math.sqrt(least / (height * width))
        return tuple(math.ceil(edge * beta / factor) * factor for edge in (height, width))
    return tuple(new)


def resized(image, new, resample):
    return image.resize((new[1], new[0]), resample)


def cropped(image, size, even=False):
    height, width = size
    free = ((image.height - height) / 2, (image.width - width) / 2)
    top, left = (round(value) if even else math.floor(value) for value in free)
    return image.crop((left, top, left + width, top + height))


def laid(image, size, centre):
    ground = Image.new('RGB', (size[1], size[0]))
    place = ((size[1] - image.width) // 2, (size[0] - image.height) // 2) if centre else (0, 0)
    ground.paste(image, place)
    return ground


def thumbnail(image, size, resample):
    """Twice resized, as DonutImageProcessor does."""
    image = resized(image, shorter(image.height, image.width, min(size)), resample)
    height, width = min(image.height, size[0]), min(image.width, size[1])
    if (height, width) == (image.height, image.width):
        return image
    if image.height > image.width:
        width = int(image.width * height / image.height)
    elif image.width > image.height:
        height = int(image.height * width / image.width)
    return image.resize((width, height), resample, reducing_gap=2.0)


def by_timm(image, cfg):
    edge, resample = math.floor(cfg['input_size'][1] / cfg['crop_pct']), {'bilinear': 2, 'bicubic': 3}[cfg['interpolation']]
    new = (edge, edge) if cfg.get('crop_mode') == 'squash' else shorter(image.height, image.width, edge)
    return cropped(resized(image, new, resample), cfg['input_size'][1:], even=True)


def prepare(image, rule):
    image = image.convert('RGB')
    if 'pretrained_cfg' in rule:
        return by_timm(image, rule['pretrained_cfg'])
    height, width = image.height, image.width
    size, crop, resample = rule.get('size'), rule.get('crop_size'), rule['resample']
    kind = rule.get('image_processor_type', rule.get('feature_extractor_type', ''))
    if rule.get('do_thumbnail'):
        return laid(thumbnail(image, both(size), resample), both(size), centre=True)
    if 'max_pixels' in rule:
        new = qwen(height, width, rule['patch_size'] * rule['merge_size'], rule['min_pixels'], rule['max_pixels'])
    elif 'crop_pct' in rule:
        edge = size if isinstance(size, int) else size['shortest_edge']
        crop, new = edge, shorter(height, width, int(edge / rule['crop_pct']))
    elif 'max_size' in rule:
        new = detr(height, width, size, rule['max_size'])
    elif isinstance(size, int):
        new = (size, size)
    elif 'ensure_multiple_of' in rule:
        new = dpt(height, width, size, rule['ensure_multiple_of'], rule.get('keep_aspect_ratio', False))
    elif 'max_height' in size:
        scale = min(size['max_height'] / height, size['max_width'] / width)
        new = (int(height * scale), int(width * scale))
    elif kind.startswith('Vilt'):
        new = vilt(height, width, size['shortest_edge'], rule['size_divisor'])
    elif kind.startswith('Levit'):
        new = shorter(height, width, int(256 / 224 * size['shortest_edge']))
    elif 'shortest_edge' in size and 'longest_edge' in size:
        new = detr(height, width, size['shortest_edge'], size['longest_edge'])
    elif 'shortest_edge' in size:
        new = shorter(height, width, size['shortest_edge'])
    elif 'longest_edge' in size:
        scale = size['longest_edge'] / max(height, width)
        new = (int(height * scale + 0.5), int(width * scale + 0.5))
    else:
        new = both(size)
    image = resized(image, new, resample)
    if crop is not None:
        image = cropped(image, both(crop))
    return laid(image, both(rule['pad_size']), centre=False) if 'pad_size' in rule else image


def colours(image, channels):
    if channels == 'BGR':
        red, green, blue = image.split()
        return Image.merge('RGB', (blue, green, red))
    return image.convert(channels)


cases = []
for picture, file in pictures.items():
    for rule in rules:
        config = {k: v for k, v in rule.items() if k != 'channels'}
        channels = rule.get('channels', 'RGB')
        image = prepare(Image.open(file), rule)
        cases.append({
            'picture': file,
            'config': config if 'pretrained_cfg' in rule else {**config, **plain},
            'channels': channels,
            'height': image.height,
            'width': image.width,
            'pixels': list(colours(image, channels).tobytes()),
        })
header = json.dumps({'made_with': f'Pillow {__version__}'})[:-1]
lines = ',\n'.join(json.dumps(case, separators=(',', ':')) for case in cases)
(here / 'pixels.json').write_text(f'{header}, "cases": [\n{lines}\n]}}\n')
