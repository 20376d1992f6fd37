import { classifier, halves, tokensOf } from '../public-graphs.ts'
import { imageMean, imageStd, usual, likeVit, labels, of, type Layout } from './folder.ts'

const one = classifier(4)

function classifies(architecture: string | null, processor: object, config: object = {}): Layout['files'] {
  const files = { 'preprocessor_config.json': processor, 'onnx/model.onnx': one }
  return of(architecture, files, { ...labels(4), ...config })
}

/** Classifiers and embeddings of images. */
export const classifiers: readonly Layout[] = [
  { name: 'ViT, DeiT, BEiT, Swin', files: classifies('ViTForImageClassification', likeVit) },
  {
    name: 'the same, saved by a fast processor of Transformers 4.5x or 5',
    files: classifies('ViTForImageClassification', {
      ...likeVit,
      image_processor_type: 'ViTImageProcessorFast',
      crop_size: null,
      data_format: 'channels_first',
      default_to_square: true,
      device: null,
      disable_grouping: null,
      do_center_crop: null,
      do_convert_rgb: null,
      do_pad: null,
      input_data_format: null,
      pad_size: null,
      return_tensors: null,
    }),
  },
  {
    name: 'ViT by optimum-cli: the graph beside config.json',
    files: of('ViTForImageClassification', { 'preprocessor_config.json': likeVit, 'model.onnx': one }, labels(4)),
  },
  {
    name: 'ViT with all variants of transformers.js (`_fp16`, `_int8`, `_quantized`, `_uint8`, `_q4`, `_q4f16`, `_bnb4`)',
    files: {
      ...classifies('ViTForImageClassification', likeVit, { 'transformers.js_config': { dtype: 'q8' } }),
      'onnx/model_fp16.onnx': classifier(4, halves),
      ...Object.fromEntries(
        ['int8', 'quantized', 'uint8', 'q4', 'q4f16', 'bnb4'].map((suffix) => [`onnx/model_${suffix}.onnx`, one]),
      ),
    },
  },
  {
    name: 'ViT with `model_fp16.onnx` alone, half floats in and out',
    files: of(
      'ViTForImageClassification',
      { 'preprocessor_config.json': likeVit, 'onnx/model_fp16.onnx': classifier(4, halves) },
      labels(4),
    ),
  },
  {
    name: 'ResNet, ConvNeXt',
    files: classifies('ResNetForImageClassification', {
      crop_pct: 0.875,
      do_normalize: true,
      do_resize: true,
      feature_extractor_type: 'ConvNextFeatureExtractor',
      image_mean: imageMean,
      image_std: imageStd,
      resample: 3,
      size: 224,
    }),
  },
  {
    name: 'MobileNetV1, MobileNetV2',
    files: classifies('MobileNetV2ForImageClassification', {
      ...likeVit,
      crop_size: { height: 224, width: 224 },
      do_center_crop: true,
      image_processor_type: 'MobileNetV2FeatureExtractor',
      size: { shortest_edge: 256 },
    }),
  },
  {
    name: 'EfficientNet',
    files: classifies('EfficientNetForImageClassification', {
      ...likeVit,
      do_center_crop: false,
      image_processor_type: 'EfficientNetImageProcessor',
      include_top: true,
      resample: 0,
      rescale_offset: false,
    }),
  },
  {
    name: 'MobileViT',
    files: classifies('MobileViTForImageClassification', {
      crop_size: { height: 256, width: 256 },
      do_center_crop: true,
      do_flip_channel_order: true,
      do_rescale: true,
      do_resize: true,
      image_processor_type: 'MobileViTImageProcessor',
      resample: 2,
      rescale_factor: 1 / 255,
      size: { shortest_edge: 288 },
    }),
  },
  {
    name: 'timm, its settings in config.json (`pretrained_cfg`)',
    files: classifies(
      'TimmWrapperForImageClassification',
      { architecture: 'mobilenetv4_conv_small' },
      {
        architecture: 'mobilenetv4_conv_small',
        pretrained_cfg: {
          input_size: [3, 224, 224],
          interpolation: 'bicubic',
          crop_pct: 0.875,
          mean: imageMean,
          std: imageStd,
        },
      },
    ),
  },
  {
    name: 'timm without its settings',
    files: classifies('TimmWrapperForImageClassification', { architecture: 'mobilenetv4_conv_small' }),
  },
  {
    name: 'DINOv2, DINOv3',
    files: of('Dinov2Model', {
      'preprocessor_config.json': {
        ...usual,
        crop_size: { height: 224, width: 224 },
        do_center_crop: true,
        do_convert_rgb: true,
        image_mean: imageMean,
        image_processor_type: 'BitImageProcessor',
        image_std: imageStd,
        resample: 3,
        size: { shortest_edge: 256 },
      },
      'onnx/model.onnx': tokensOf('last_hidden_state', 384),
    }),
  },
]
