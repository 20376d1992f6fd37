import { tinyTokenizer } from '@vision-queue/models/test/tiny-model'

/** A folder as people bring it: what it is like, and its files. */
export interface Layout {
  name: string
  files: Record<string, object | Uint8Array | string>
}

/** Values of public preprocessor_config.json files. */
export const half = [0.5, 0.5, 0.5]
/** Of ImageNet. */
export const [imageMean, imageStd] = [
  [0.485, 0.456, 0.406],
  [0.229, 0.224, 0.225],
]
/** Switches that most processors write. */
export const usual = { do_normalize: true, do_rescale: true, do_resize: true, rescale_factor: 1 / 255 }
/** ViT's file. */
export const likeVit = { ...usual, image_mean: half, image_std: half, resample: 2, size: { height: 224, width: 224 } }
/** CLIP's. */
export const likeClip = {
  crop_size: 224,
  do_center_crop: true,
  do_normalize: true,
  do_resize: true,
  feature_extractor_type: 'CLIPFeatureExtractor',
  image_mean: [0.48145466, 0.4578275, 0.40821073],
  image_std: [0.26862954, 0.26130258, 0.27577711],
  resample: 3,
  size: 224,
}
/** What DETR's and its kin's have in common. */
export const detr = { ...usual, format: 'coco_detection', image_mean: imageMean, image_std: imageStd, resample: 2 }
/** `id2label` of so many. */
export const labels = (count: number) => ({
  id2label: Object.fromEntries(Array.from({ length: count }, (_, index) => [String(index), `label ${index}`])),
})
/** The files of a tokenizer. */
export const text = {
  'tokenizer.json': tinyTokenizer,
  'tokenizer_config.json': { model_max_length: 77, pad_token: '[PAD]', unk_token: '[UNK]' },
}
/** `config.json` with its architecture, and the other files. */
export function of(architecture: string | null, files: Layout['files'], config: object = {}): Layout['files'] {
  return { 'config.json': { ...(architecture === null ? {} : { architectures: [architecture] }), ...config }, ...files }
}
