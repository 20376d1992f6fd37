import { expect, it } from 'vitest'

import { preprocessorConfigSchema, toPreprocessing } from './preprocessor-config.ts'

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
