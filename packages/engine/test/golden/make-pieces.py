"""Writes pieces.json: what the image processors of vision-language models make of a few pictures, computed anew with PIL and
numpy, and the sizes that they choose for many more.

Run from the project's root with any Python that has Pillow and numpy:
    python3 packages/engine/test/golden/make-pieces.py
"""

import base64
import json
import math
import random
from pathlib import Path

import numpy as np
from PIL import Image, __version__

here = Path(__file__).parent
golden = 'packages/engine/test/golden/'
plain = {'do_normalize': False, 'do_rescale': False}
split = {'image_processor_type': 'Idefics3ImageProcessor', 'resample': 1}
next_ = {'image_processor_type': 'LlavaNextImageProcessor', 'resample': 3, 'do_center_crop': True}
onevision = {'image_processor_type': 'LlavaOnevisionImageProcessor', 'resample': 3}
qwen = {'image_processor_type': 'Qwen2VLImageProcessor', 'resample': 3}
pinpoints = [[24, 12], [12, 24], [24, 24], [36, 12], [12, 36]]
#: preprocessor_config.json, and what the caller asks for.
cases = [
    ({**split, 'size': {'longest_edge': 36}, 'max_image_size': {'longest_edge': 12}}, {}),
    ({**split, 'size': {'longest_edge': 40}, 'max_image_size': {'longest_edge': 16}}, {}),
    ({**split, 'size': {'longest_edge': 36}, 'max_image_size': {'longest_edge': 12}}, {'detail': 'low'}),
    ({**split, 'size': {'longest_edge': 36}, 'max_image_size': {'longest_edge': 12}}, {'maxPixels': 600}),
    ({**split, 'size': {'longest_edge': 20}, 'max_image_size': {'longest_edge': 20}, 'do_image_splitting': False}, {}),
    ({**next_, 'size': {'shortest_edge': 12}, 'crop_size': 12, 'image_grid_pinpoints': pinpoints}, {}),
    ({**next_, 'size': {'shortest_edge': 12}, 'crop_size': 12, 'image_grid_pinpoints': pinpoints}, {'detail': 'low'}),
    ({**onevision, 'size': {'height': 12, 'width': 12}, 'image_grid_pinpoints': pinpoints,
      'image_mean': [0.5, 0.4, 0.3], 'image_std': [1, 1, 1]}, {'hasOthers': True}),
    ({**onevision, 'size': {'height': 12, 'width': 12}, 'image_grid_pinpoints': pinpoints}, {'maxPixels': 300}),
    ({**qwen, 'patch_size': 4, 'merge_size': 2, 'temporal_patch_size': 2, 'min_pixels': 64, 'max_pixels': 1200}, {}),
    ({**qwen, 'patch_size': 4, 'merge_size': 2, 'temporal_patch_size': 2,
      'size': {'shortest_edge': 2000, 'longest_edge': 2600}}, {}),
    ({**qwen, 'patch_size': 3, 'merge_size': 2, 'temporal_patch_size': 1, 'min_pixels': 64, 'max_pixels': 1200},
     {'maxPixels': 500}),
    ({'image_processor_type': 'LlavaImageProcessor', 'do_pad': True, 'size': {'height': 14, 'width': 14}, 'resample': 3,
      'image_mean': [0.48, 0.46, 0.41], 'image_std': [1, 1, 1]}, {}),
    ({'image_processor_type': 'Gemma3ImageProcessor', 'size': {'height': 18, 'width': 18}, 'resample': 2,
      'do_pan_and_scan': None, 'pan_and_scan_max_num_crops': None}, {}),
    ({'image_processor_type': 'SiglipImageProcessor', 'size': {'height': 18, 'width': 18}, 'resample': 3,
      'image_seq_length': 9}, {}),
    ({'image_processor_type': 'CLIPImageProcessor', 'size': {'shortest_edge': 14}, 'do_center_crop': True,
      'crop_size': {'height': 14, 'width': 14}, 'resample': 3}, {}),
]


# The originals, by their rules.

def idefics_scaled(height, width, longest):
    """The longer edge, of small images too; the other one cut down and made even."""
    ratio = width / height
    if width >= height:
        other = int(longest / ratio)
        return max(other + other % 2, 1), longest
    other = int(longest * ratio)
    return longest, max(other + other % 2, 1)


def idefics_stretched(height, width, tile):
    ratio = width / height
    up = lambda edge: math.ceil(edge / tile) * tile
    if width >= height:
        return up(int(up(width) / ratio)) or tile, up(width)
    return up(height), up(int(up(height) * ratio)) or tile


def idefics_longest(height, width, config, wanted):
    longest, tile = config['size']['longest_edge'], config['max_image_size']['longest_edge']
    if wanted.get('detail') == 'low':
        return min(tile, longest)
    edges = [longest] + [edge for edge in range((math.ceil(longest / tile) - 1) * tile, 0, -tile)]
    for edge in edges:
        if np.prod(idefics_stretched(*idefics_scaled(height, width, edge), tile)) <= wanted.get('maxPixels', math.inf):
            return edge
    return min(tile, longest)


def best_resolution(height, width, resolutions):
    best, kept, wasted = None, 0, math.inf
    for high, wide in resolutions:
        scale = min(wide / width, high / height)
        effective = min(int(width * scale) * int(height * scale), width * height)
        if effective > kept or (effective == kept and high * wide - effective < wasted):
            best, kept, wasted = (high, wide), effective, high * wide - effective
    return best


def fitted(height, width, high, wide):
    if wide / width < high / height:
        return min(math.ceil(height * (wide / width)), high), wide
    return high, min(math.ceil(width * (high / height)), wide)


def smart(height, width, factor, least, most):
    new = [max(factor, round(edge / factor) * factor) for edge in (height, width)]
    if new[0] * new[1] > most:
        beta = math.sqrt(height * width / most)
        return tuple(max(factor, math.floor(edge / beta / factor) * factor) for edge in (height, width))
    if new[0] * new[1] < least:
        beta = math.sqrt(least / (height * width))
        return tuple(math.ceil(edge * beta / factor) * factor for edge in (height, width))
    return tuple(new)


def qwen_used(height, width, config, wanted):
    """The original's, but that what the caller asks for is kept to by narrow strips as well."""
    factor, size = config['patch_size'] * config['merge_size'], config.get('size', {})
    least = config.get('min_pixels', size.get('shortest_edge'))
    own = config.get('max_pixels', size.get('longest_edge'))
    asked = wanted.get('maxPixels', math.inf)
    used = smart(height, width, factor, min(least, asked), min(own, asked))
    if asked < own and used[0] * used[1] > asked:
        longer = max(factor, int(asked // factor // factor * factor))
        return (factor, longer) if height < width else (longer, factor)
    return used


def resized(image, size, resample):
    return image if (image.height, image.width) == size else image.resize((size[1], size[0]), resample)


def tiles(image, edge):
    return [image.crop((left, top, left + edge, top + edge))
            for top in range(0, image.height, edge) for left in range(0, image.width, edge)]


def channels_first(image):
    return np.asarray(image, np.uint8).transpose(2, 0, 1)


def on_square(image, mean):
    edge = max(image.size)
    ground = Image.new('RGB', (edge, edge), tuple(int(value * 255) for value in mean))
    ground.paste(image, ((edge - image.width) // 2, (edge - image.height) // 2))
    return ground


def patches(image, config):
    patch, merge, temporal = config['patch_size'], config['merge_size'], config['temporal_patch_size']
    frames = np.stack([channels_first(image)] * temporal)
    high, wide = image.height // patch, image.width // patch
    parts = frames.reshape(1, temporal, 3, high // merge, merge, patch, wide // merge, merge, patch)
    flat = parts.transpose(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(high * wide, 3 * temporal * patch * patch)
    return flat, {'time': 1, 'height': high, 'width': wide}


def prepare(image, config, wanted):
    """The plan, and the pieces as bytes."""
    height, width, resample, kind = image.height, image.width, config['resample'], config['image_processor_type']
    low = wanted.get('detail') == 'low'
    if kind.startswith('Idefics3'):
        tile = config['max_image_size']['longest_edge']
        if config.get('do_image_splitting') is False:
            used = idefics_scaled(height, width, config['size']['longest_edge'])
            piece = np.zeros((3, tile, tile), np.uint8)
            piece[:, :used[0], :used[1]] = channels_first(resized(image, used, resample))
            mask = np.zeros((tile, tile), np.uint8)
            mask[:used[0], :used[1]] = 1
            return {'rows': 0, 'columns': 0, 'used': used}, [piece], None if mask.all() else mask
        used = idefics_scaled(height, width, idefics_longest(height, width, config, wanted))
        image = resized(image, used, resample)
        image = resized(image, idefics_stretched(*used, tile), resample)
        rows, columns = image.height // tile, image.width // tile
        cut = tiles(image, tile) if rows * columns > 1 else []
        whole = resized(image, (tile, tile), resample)
        plan = {'rows': rows if cut else 0, 'columns': columns if cut else 0, 'used': used}
        return plan, [channels_first(part) for part in [*cut, whole]], None
    if 'image_grid_pinpoints' in config:
        tile = config.get('crop_size') or config['size']['height']
        if wanted.get('hasOthers'):
            square = resized(on_square(image, config['image_mean']), (tile, tile), resample)
            return {'rows': 0, 'columns': 0}, [channels_first(square)], None
        whole = channels_first(resized(image, (tile, tile), resample))
        allowed = [r for r in config['image_grid_pinpoints'] if r[0] * r[1] <= wanted.get('maxPixels', math.inf)]
        if low or not allowed:
            return {'rows': 0, 'columns': 0, 'used': (tile, tile)}, [whole], None
        best = best_resolution(height, width, allowed)
        used = fitted(height, width, *best)
        ground = Image.new('RGB', (best[1], best[0]))
        ground.paste(resized(image, used, resample), ((best[1] - used[1]) // 2, (best[0] - used[0]) // 2))
        plan = {'rows': best[0] // tile, 'columns': best[1] // tile, 'used': used}
        return plan, [whole, *(channels_first(part) for part in tiles(ground, tile))], None
    if kind.startswith('Qwen'):
        used = qwen_used(height, width, config, wanted)
        flat, grid = patches(resized(image, used, resample), config)
        return {'grid': grid, 'used': used}, [flat], None
    if config.get('do_pad'):
        edge = config['size']['height']
        return {}, [channels_first(resized(on_square(image, config['image_mean']), (edge, edge), resample))], None
    if 'shortest_edge' in config['size']:
        edge = config['size']['shortest_edge']
        used = (int(edge * height / width), edge) if width <= height else (edge, int(edge * width / height))
        top, left = (used[0] - edge) // 2, (used[1] - edge) // 2
        cropped = resized(image, used, resample).crop((left, top, left + edge, top + edge))
        return {'used': used}, [channels_first(cropped)], None
    used = (config['size']['height'], config['size']['width'])
    return {'used': used}, [channels_first(resized(image, used, resample))], None


def packed(array):
    return base64.b64encode(array.tobytes()).decode()


def sized(plan):
    return {**plan, **({'used': dict(zip(('height', 'width'), plan['used']))} if 'used' in plan else {})}


def pictures():
    scene = Image.open('packages/engine/test/golden/scene-05.png').convert('RGB')
    scene.crop((20, 165, 29, 170)).save(here / 'small.png')
    scene.crop((20, 116, 240, 123)).save(here / 'strip.png')
    return [golden + name for name in ('scene-05.png', 'scene-01.jpg', 'small.png', 'strip.png')]


def made():
    for file in pictures():
        for config, wanted in cases:
            plan, pieces, mask = prepare(Image.open(file).convert('RGB'), config, wanted)
            arithmetic = {**plain, **{k: v for k, v in config.items()}}
            yield {'picture': file, 'config': arithmetic, 'wanted': wanted, 'plan': sized(plan),
                   'dims': list(pieces[0].shape), 'pieces': [packed(np.ascontiguousarray(piece)) for piece in pieces],
                   'mask': None if mask is None else packed(mask)}


def some_sizes():
    """Of all proportions and scales, with exact multiples and the edges of what a number holds."""
    random.seed(7)
    fixed = [(1, 1), (1, 5000), (5000, 1), (1, 100), (512, 512), (511, 513), (1024, 768), (2048, 2048), (2049, 1),
             (4096, 4096), (336, 672), (672, 336), (28, 28), (29, 27), (768, 1365), (3, 2)]
    return fixed + [(math.ceil(math.exp(random.uniform(0, 8.7))), math.ceil(math.exp(random.uniform(0, 8.7))))
                    for _ in range(120)]


def sizes():
    configs = [
        {**split, 'size': {'longest_edge': 2048}, 'max_image_size': {'longest_edge': 512}},
        {**split, 'size': {'longest_edge': 1456}, 'max_image_size': {'longest_edge': 364}},
        {**next_, 'size': {'shortest_edge': 336}, 'crop_size': 336,
         'image_grid_pinpoints': [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]},
        {**onevision, 'size': {'height': 384, 'width': 384},
         'image_grid_pinpoints': [[384 * row, 384 * column] for row in range(1, 7) for column in range(1, 7)]},
        {**qwen, 'patch_size': 14, 'merge_size': 2, 'temporal_patch_size': 2, 'min_pixels': 3136, 'max_pixels': 12845056},
        {**qwen, 'patch_size': 16, 'merge_size': 2, 'temporal_patch_size': 2,
         'size': {'shortest_edge': 65536, 'longest_edge': 16777216}},
    ]
    for config in configs:
        plans = []
        for height, width in some_sizes():
            if 'patch_size' in config and max(height, width) > 200 * min(height, width):
                continue
            wanted = random.choice([{}, {}, {'maxPixels': random.randint(1, 4_000_000)}])
            if 'max_image_size' in config:
                used = idefics_scaled(height, width, idefics_longest(height, width, config, wanted))
                tile = config['max_image_size']['longest_edge']
                rows, columns = (edge // tile for edge in idefics_stretched(*used, tile))
                made = [0, 0] if rows * columns == 1 else [rows, columns]
            elif 'image_grid_pinpoints' in config:
                tile = config.get('crop_size') or 384
                allowed = [r for r in config['image_grid_pinpoints'] if r[0] * r[1] <= wanted.get('maxPixels', math.inf)]
                best = best_resolution(height, width, allowed) if allowed else None
                used, made = (tile, tile), [0, 0]
                if best is not None:
                    used, made = fitted(height, width, *best), [best[0] // tile, best[1] // tile]
            else:
                used = qwen_used(height, width, config, wanted)
                made = [edge // config['patch_size'] for edge in used]
            plans.append([height, width, wanted.get('maxPixels'), *used, *made])
        yield {'config': {**plain, **config}, 'plans': plans}


def kept(height, width, rows, columns, side, most):
    """By really cutting an array, as the model does with its features."""
    grid = np.arange(rows * side * columns * side).reshape(rows * side, columns * side)
    high, wide = grid.shape
    if width / height > wide / high:
        padding = (high - int(round(height * (wide / width), 7))) // 2
        grid = grid[padding:high - padding]
    else:
        padding = (wide - int(round(width * (high / height), 7))) // 2
        grid = grid[:, padding:wide - padding]
    place = divmod(int(grid[0, 0]), wide)
    new = None
    if most is not None:
        ratio = math.sqrt(grid.shape[0] * grid.shape[1] / (most * side ** 2))
        new = [int(grid.shape[0] // ratio), int(grid.shape[1] // ratio)] if ratio > 1.1 else None
    return [*place, *grid.shape, new]


def features():
    random.seed(8)
    for _ in range(80):
        height, width = random.randint(20, 4000), random.randint(20, 4000)
        most = random.choice([None, 9])
        resolutions = [[384 * row, 384 * column] for row in range(1, 7) for column in range(1, 7)]
        best = best_resolution(height, width, resolutions)
        yield [height, width, most, kept(height, width, best[0] // 384, best[1] // 384, 27, most)]


def enlarged():
    for resample in (1, 2, 3):
        for size in ((13, 20), (13, 9), (5, 31), (13, 4)):
            pixels = np.asarray(Image.open(here / 'small.png').convert('RGB').resize((size[1], size[0]), resample))
            yield {'picture': golden + 'small.png', 'resample': resample, 'height': size[0], 'width': size[1],
                   'pixels': packed(pixels)}


parts = {
    'made_with': json.dumps(f'Pillow {__version__}, numpy {np.__version__}'),
    **{name: '[\n' + ',\n'.join(json.dumps(one, separators=(',', ':')) for one in of()) + '\n]'
       for name, of in (('cases', made), ('sizes', sizes), ('features', features), ('enlarged', enlarged))},
}
(here / 'pieces.json').write_text('{' + ',\n'.join(f'"{name}": {text}' for name, text in parts.items()) + '}\n')
