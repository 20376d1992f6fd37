import { fixedOutputs } from '../fixed-outputs.ts'
import { detector } from '../public-graphs.ts'
import { groundingGraph, owlGraph } from '../tiny-graphs.ts'
import { detr, half, imageMean, imageStd, labels, likeClip, of, text, usual, type Layout } from './folder.ts'

const zeros = (...dims: number[]) => ({
  dims,
  values: Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, (_, index) => Math.sin(index)),
})

/** Models that find where something is. */
export const detectors: readonly Layout[] = [
  {
    name: 'DETR, YOLOS',
    files: of(
      'DetrForObjectDetection',
      {
        'preprocessor_config.json': {
          ...detr,
          do_pad: true,
          image_processor_type: 'DetrFeatureExtractor',
          size: { longest_edge: 96, shortest_edge: 64 },
        },
        'onnx/model.onnx': fixedOutputs({ logits: zeros(4, 92), pred_boxes: zeros(4, 4) }, null, 'pixel_mask'),
      },
      labels(91),
    ),
  },
  {
    name: 'RT-DETR, D-FINE, RF-DETR',
    files: of(
      'RTDetrForObjectDetection',
      {
        'preprocessor_config.json': {
          ...detr,
          do_convert_annotations: true,
          do_normalize: false,
          do_pad: false,
          image_processor_type: 'RTDetrImageProcessor',
          size: { height: 640, width: 640 },
        },
        'onnx/model.onnx': detector(91),
      },
      labels(91),
    ),
  },
  {
    name: 'OWL-ViT',
    files: of('OwlViTForObjectDetection', {
      ...text,
      'preprocessor_config.json': {
        ...likeClip,
        crop_size: { height: 768, width: 768 },
        do_center_crop: false,
        feature_extractor_type: 'OwlViTFeatureExtractor',
        size: { height: 768, width: 768 },
      },
      'onnx/model.onnx': owlGraph(null),
    }),
  },
  {
    name: 'Grounding DINO',
    files: of('GroundingDinoForObjectDetection', {
      ...text,
      'preprocessor_config.json': {
        ...detr,
        do_convert_annotations: true,
        do_pad: true,
        image_processor_type: 'GroundingDinoImageProcessor',
        pad_size: null,
        size: { longest_edge: 96, shortest_edge: 64 },
      },
      'onnx/model.onnx': groundingGraph(null),
    }),
  },
  {
    name: 'SegFormer',
    files: of(
      'SegformerForSemanticSegmentation',
      {
        'preprocessor_config.json': {
          ...usual,
          do_reduce_labels: false,
          feature_extractor_type: 'SegformerFeatureExtractor',
          image_mean: imageMean,
          image_std: imageStd,
          resample: 2,
          size: { height: 64, width: 64 },
        },
        'onnx/model.onnx': fixedOutputs({ logits: zeros(5, 4, 4) }, null),
      },
      labels(5),
    ),
  },
  {
    name: 'MaskFormer, Mask2Former',
    files: of(
      'Mask2FormerForUniversalSegmentation',
      {
        'preprocessor_config.json': {
          ...usual,
          ignore_index: 255,
          image_mean: imageMean,
          image_processor_type: 'Mask2FormerImageProcessor',
          image_std: imageStd,
          num_labels: 5,
          reduce_labels: false,
          resample: 2,
          size: { height: 64, width: 64 },
        },
        'onnx/model.onnx': fixedOutputs(
          { class_queries_logits: zeros(3, 6), masks_queries_logits: zeros(3, 4, 4) },
          null,
        ),
      },
      labels(5),
    ),
  },
  {
    name: 'background removal (RMBG, BiRefNet)',
    files: of(null, {
      'preprocessor_config.json': {
        ...usual,
        do_pad: false,
        feature_extractor_type: 'ImageFeatureExtractor',
        image_mean: half,
        image_std: [1, 1, 1],
        resample: 2,
        size: { height: 64, width: 64 },
      },
      'onnx/model.onnx': fixedOutputs({ alphas: zeros(1, 64, 64) }, null),
    }),
  },
  {
    name: 'Depth Anything, DPT',
    files: of('DepthAnythingForDepthEstimation', {
      'preprocessor_config.json': {
        ...usual,
        do_pad: false,
        ensure_multiple_of: 14,
        image_mean: imageMean,
        image_processor_type: 'DPTImageProcessor',
        image_std: imageStd,
        keep_aspect_ratio: true,
        resample: 3,
        size: { height: 56, width: 56 },
        size_divisor: null,
      },
      'onnx/model.onnx': fixedOutputs({ predicted_depth: zeros(4, 4) }, null),
    }),
  },
]
