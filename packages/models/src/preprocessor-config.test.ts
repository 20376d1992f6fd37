import { expect, it } from 'vitest'

import { toPreprocessing } from './preprocessing.ts'
import { preprocessorConfigSchema } from './preprocessor-config.ts'
import { type Resize, resizedSize } from './resize-rules.ts'

const common = {
  do_normalize: true,
  image_mean: [0.48145466, 0.4578275, 0.40821073],
  image_std: [0.26862954, 0.26130258, 0.27577711],
}

/** In the form of well-known models' own files. */
it.each([
  [
    'CLIP',
    {
      ...common,
      crop_size: { height: 224, width: 224 },
      do_center_crop: true,
      do_convert_rgb: true,
      do_rescale: true,
      do_resize: true,
      feature_extractor_type: 'CLIPFeatureExtractor',
      image_processor_type: 'CLIPImageProcessor',
      resample: 3,
      rescale_factor: 0.00392156862745098,
      size: { shortest_edge: 224 },
    },
    { resize: { height: 224, width: 224, fit: 'cover' }, crop: true, height: 224, kernel: 'cubic' },
  ],
  [
    'CLIP of old, whose size is the shorter edge',
    {
      ...common,
      crop_size: 224,
      do_center_crop: true,
      feature_extractor_type: 'CLIPFeatureExtractor',
      resample: 3,
      size: 224,
    },
    { resize: { height: 224, fit: 'cover' }, crop: true, height: 224 },
  ],
  [
    'ViT of old, whose size is a square',
    { ...common, do_resize: true, feature_extractor_type: 'ViTFeatureExtractor', resample: 2, size: 224 },
    { resize: { height: 224, width: 224, fit: 'fill' }, crop: false, kernel: 'linear' },
  ],
  [
    'ResNet-50, by ConvNeXt: 224 / 0.875 and the centre of it',
    {
      ...common,
      crop_pct: 0.875,
      do_resize: true,
      feature_extractor_type: 'ConvNextFeatureExtractor',
      resample: 3,
      size: 224,
    },
    { resize: { height: 256, width: 256, fit: 'cover' }, crop: true, height: 224, width: 224 },
  ],
  [
    'ConvNeXt of 384, which is not cropped',
    { ...common, crop_pct: 1, image_processor_type: 'ConvNextImageProcessor', size: { shortest_edge: 384 } },
    { resize: { height: 384, width: 384, fit: 'fill' }, crop: false, height: 384 },
  ],
  [
    'a model that is given pixels as they are',
    { do_resize: false, do_normalize: false, do_rescale: false, size: { height: 32, width: 32 } },
    { resize: null, crop: false, height: 32, scale: [1], shift: [-0] },
  ],
])('understands %s', (_, config, expected) => {
  expect(toPreprocessing(preprocessorConfigSchema.parse(config))).toMatchObject(expected)
})

it("takes the graph's size where the config has none, and says nothing where neither has", () => {
  const config = preprocessorConfigSchema.parse({ do_normalize: false })
  expect(toPreprocessing(config, { height: 8, width: 6 })).toMatchObject({
    resize: { height: 8, width: 6, fit: 'fill' },
    height: 8,
    width: 6,
  })
  expect(toPreprocessing(config)).toBeNull()
})

it('takes null for absent, and fields that change nothing, by name', () => {
  const written = {
    ...common,
    image_processor_type: 'ViTImageProcessorFast',
    size: { height: 224, width: 224 },
    crop_size: null,
    data_format: 'channels_first',
    default_to_square: true,
    device: null,
    disable_grouping: null,
    do_center_crop: null,
    do_convert_rgb: null,
    do_pad: null,
    format: 'coco_detection',
    do_convert_annotations: true,
    image_seq_length: 577,
    return_tensors: null,
    resample: null,
  }
  expect(toPreprocessing(preprocessorConfigSchema.parse(written))).toMatchObject({
    resize: { height: 224, width: 224, fit: 'fill' },
    crop: false,
    varies: false,
    kernel: 'linear',
  })
  for (const field of ['do_tile', 'pad_mode']) {
    const parsed = preprocessorConfigSchema.safeParse({ ...written, [field]: 'x' })
    expect(parsed.error?.issues).toMatchObject([{ path: [field], message: 'not supported' }])
  }
})

it.each([
  [
    'EfficientNet divides twice where it classifies',
    { image_processor_type: 'EfficientNetImageProcessor' },
    1 / 127.5,
    4,
    -2,
  ],
  ['and once where it does not', { include_top: false }, 1 / 127.5, 2, -1],
  ['an offset is taken away after rescaling', { rescale_offset: true, rescale_factor: 1 / 127.5 }, 2 / 127.5, 2, -3],
])('%s', (_, extra, scale, times, shift) => {
  const config = { size: 8, image_mean: 0.5, image_std: 0.5, ...extra }
  const made = toPreprocessing(preprocessorConfigSchema.parse(config))
  const factor = 'rescale_factor' in extra ? 1 : times / 2
  expect(made?.scale[0]).toBeCloseTo(scale * factor, 6)
  expect(made?.shift[0]).toBeCloseTo(shift, 6)
})

it('MobileViT never normalises and has blue first', () => {
  const config = { image_processor_type: 'MobileViTImageProcessor', size: { shortest_edge: 9 } }
  expect(toPreprocessing(preprocessorConfigSchema.parse(config))).toMatchObject({
    isBgr: true,
    shift: [-0],
    varies: true,
  })
})

it.each([
  ['a long strip by its longer edge', { fit: 'edges', shortest: 800, longest: 1333 }, [480, 4800], [133, 1333]],
  ['upright', { fit: 'edges', shortest: 800, longest: 1333 }, [640, 480], [1066, 800]],
  ['one that has it already', { fit: 'edges', shortest: 800, longest: 1333 }, [800, 801], [800, 801]],
  [
    'exact products, whatever the quotient rounds to',
    { fit: 'cover', height: 224, width: 224 },
    [49, 3 * 49],
    [224, 672],
  ],
  ['GLPN', { fit: 'divided', divisor: 32 }, [480, 641], [480, 640]],
  ['Qwen, small', { fit: 'pixels', factor: 28, minPixels: 3136, maxPixels: 1e6 }, [20, 30], [56, 84]],
  ['Qwen, large', { fit: 'pixels', factor: 28, minPixels: 3136, maxPixels: 100_000 }, [1000, 2000], [196, 420]],
] satisfies [string, Resize, number[], number[]][])('%s', (_, rule, [height = 0, width = 0], expected) => {
  const made = resizedSize(rule, { height, width })
  expect([made.height, made.width]).toEqual(expected)
})
