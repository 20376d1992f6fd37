import { tinyTokenizer } from '@vision-queue/models/test/tiny-model'

import { classifier, clip, decoder, detector, halves, named, tokensOf, vilt } from './public-graphs.ts'

/** A folder as people bring it: what it is like, and its files. */
export interface Layout {
  name: string
  files: Record<string, object | Uint8Array | string>
}

const half = [0.5, 0.5, 0.5]
const [imageMean, imageStd] = [
  [0.485, 0.456, 0.406],
  [0.229, 0.224, 0.225],
]
const usual = { do_normalize: true, do_rescale: true, do_resize: true, rescale_factor: 1 / 255 }
const likeVit = { ...usual, image_mean: half, image_std: half, resample: 2, size: { height: 224, width: 224 } }
const likeClip = {
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
const detr = { ...usual, format: 'coco_detection', image_mean: imageMean, image_std: imageStd, resample: 2 }
const labels = (count: number) => ({
  id2label: Object.fromEntries(Array.from({ length: count }, (_, index) => [String(index), `label ${index}`])),
})
const text = {
  'tokenizer.json': tinyTokenizer,
  'tokenizer_config.json': { model_max_length: 77, pad_token: '[PAD]', unk_token: '[UNK]' },
}
const generation = {
  'generation_config.json': {
    bos_token_id: 1,
    decoder_start_token_id: 1,
    eos_token_id: [2],
    pad_token_id: 15,
    max_length: 12,
  },
}
const one = classifier(4)

/** `config.json` with its architecture, and the other files. */
function of(architecture: string | null, files: Layout['files'], config: object = {}): Layout['files'] {
  return { 'config.json': { ...(architecture === null ? {} : { architectures: [architecture] }), ...config }, ...files }
}

function classifies(architecture: string | null, processor: object, config: object = {}): Layout['files'] {
  const files = { 'preprocessor_config.json': processor, 'onnx/model.onnx': one }
  return of(architecture, files, { ...labels(4), ...config })
}

const [openai, siglip] = [clip('clip'), clip('siglip')]
const clipText = { ...text, 'preprocessor_config.json': likeClip }
const clipConfig = { model_type: 'clip', logit_scale_init_value: 2.6592 }
const siglipText = {
  'tokenizer.json': tinyTokenizer,
  'tokenizer_config.json': { model_max_length: 64, pad_token: '[PAD]' },
  'preprocessor_config.json': {
    ...likeVit,
    do_convert_rgb: null,
    image_processor_type: 'SiglipImageProcessor',
    resample: 3,
  },
}
const captioner = (decoderGraph: Uint8Array, suffix = '', ofEncoder = suffix): Layout['files'] => ({
  ...text,
  ...generation,
  'preprocessor_config.json': likeVit,
  [`onnx/encoder_model${ofEncoder}.onnx`]: tokensOf('last_hidden_state', 8),
  [`onnx/decoder_model_merged${suffix}.onnx`]: decoderGraph,
})
const seeing = {
  ...text,
  'onnx/vision_encoder.onnx': named(['pixel_values', 'pixel_attention_mask'], { image_features: 3 }),
  'onnx/embed_tokens.onnx': named(['input_ids'], { inputs_embeds: 3 }),
  'onnx/decoder_model_merged.onnx': decoder({ embeds: true }),
}
const detects = (architecture: string, processor: object): Layout['files'] =>
  of(architecture, { 'preprocessor_config.json': processor, 'onnx/model.onnx': detector(91) }, labels(91))
const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 346000000\n`

/** The public layouts that were looked at, and what people save instead of them. */
export const layouts: readonly Layout[] = [
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
  { name: 'CLIP, one graph', files: of('CLIPModel', { ...clipText, 'onnx/model.onnx': openai.model }, clipConfig) },
  {
    name: 'CLIP, two towers',
    files: of(
      'CLIPModel',
      { ...clipText, 'onnx/text_model.onnx': openai.text_model, 'onnx/vision_model.onnx': openai.vision_model },
      clipConfig,
    ),
  },
  {
    name: 'CLIP, all three',
    files: of(
      'CLIPModel',
      {
        ...clipText,
        'onnx/model.onnx': openai.model,
        'onnx/text_model.onnx': openai.text_model,
        'onnx/vision_model.onnx': openai.vision_model,
      },
      clipConfig,
    ),
  },
  {
    name: 'CLIP, the image tower alone',
    files: of('CLIPVisionModelWithProjection', {
      'preprocessor_config.json': likeClip,
      'onnx/vision_model.onnx': openai.vision_model,
    }),
  },
  {
    name: 'SigLIP, SigLIP 2, one graph',
    files: of('SiglipModel', { ...siglipText, 'onnx/model.onnx': siglip.model }, { model_type: 'siglip' }),
  },
  {
    name: 'SigLIP, all three',
    files: of(
      'SiglipModel',
      {
        ...siglipText,
        'onnx/model.onnx': siglip.model,
        'onnx/text_model.onnx': siglip.text_model,
        'onnx/vision_model.onnx': siglip.vision_model,
      },
      { model_type: 'siglip' },
    ),
  },
  {
    name: 'SigLIP, two towers',
    files: of(
      'SiglipModel',
      { ...siglipText, 'onnx/text_model.onnx': siglip.text_model, 'onnx/vision_model.onnx': siglip.vision_model },
      { model_type: 'siglip' },
    ),
  },
  { name: 'ViT-GPT2', files: of('VisionEncoderDecoderModel', captioner(decoder())) },
  { name: 'TrOCR', files: of('VisionEncoderDecoderModel', captioner(decoder({ sides: true }))) },
  {
    name: 'TrOCR with half floats as keys and values',
    files: of('VisionEncoderDecoderModel', captioner(decoder({ sides: true, type: halves }), '_fp16')),
  },
  {
    name: 'TrOCR, `_q4` alone',
    files: of('VisionEncoderDecoderModel', captioner(decoder({ sides: true }), '_q4')),
  },
  {
    name: 'TrOCR, each graph in another variant',
    files: of('VisionEncoderDecoderModel', captioner(decoder({ sides: true }), '_q4', '_fp16')),
  },
  {
    name: 'Donut',
    files: of('VisionEncoderDecoderModel', {
      ...captioner(decoder({ sides: true })),
      'preprocessor_config.json': {
        ...usual,
        do_align_long_axis: false,
        do_pad: true,
        do_thumbnail: true,
        image_mean: half,
        image_processor_type: 'DonutImageProcessor',
        image_std: half,
        resample: 2,
        size: { height: 320, width: 240 },
      },
    }),
  },
  {
    name: 'ViLT',
    files: of(
      'ViltForQuestionAnswering',
      {
        ...text,
        'preprocessor_config.json': {
          ...usual,
          do_pad: true,
          image_mean: half,
          image_processor_type: 'ViltImageProcessor',
          image_std: half,
          resample: 3,
          size: { shortest_edge: 96 },
          size_divisor: 32,
        },
        'onnx/model.onnx': vilt(4),
      },
      { ...labels(4), model_type: 'vilt' },
    ),
  },
  { name: 'SmolVLM, Idefics3', files: of('Idefics3ForConditionalGeneration', seeing) },
  { name: 'LLaVA, FastVLM', files: of('LlavaForConditionalGeneration', seeing) },
  { name: 'Qwen2-VL, Qwen2.5-VL', files: of('Qwen2VLForConditionalGeneration', seeing) },
  { name: 'Gemma 3, PaliGemma', files: of('PaliGemmaForConditionalGeneration', seeing) },
  {
    name: 'Florence-2',
    files: of('Florence2ForConditionalGeneration', {
      ...seeing,
      'onnx/encoder_model.onnx': named(['attention_mask', 'inputs_embeds'], { last_hidden_state: 3 }),
    }),
  },
  {
    name: 'DETR, YOLOS',
    files: detects('DetrForObjectDetection', {
      ...detr,
      do_pad: true,
      image_processor_type: 'DetrFeatureExtractor',
      size: { longest_edge: 1333, shortest_edge: 800 },
    }),
  },
  {
    name: 'RT-DETR, D-FINE, RF-DETR',
    files: detects('RTDetrForObjectDetection', {
      ...detr,
      do_convert_annotations: true,
      do_normalize: false,
      do_pad: false,
      image_processor_type: 'RTDetrImageProcessor',
      size: { height: 640, width: 640 },
    }),
  },
  {
    name: 'OWL-ViT, Grounding DINO',
    files: of('OwlViTForObjectDetection', {
      ...text,
      'onnx/model.onnx': named(['pixel_values', 'input_ids'], { logits: 3, pred_boxes: 3 }),
    }),
  },
  {
    name: 'SegFormer, MaskFormer',
    files: of('SegformerForSemanticSegmentation', { 'onnx/model.onnx': named(['pixel_values'], { logits: 4 }) }),
  },
  {
    name: 'SAM',
    files: of('SamModel', {
      'onnx/vision_encoder.onnx': named(['pixel_values'], { image_embeddings: 4 }),
      'onnx/prompt_encoder_mask_decoder.onnx': named(['input_points'], { pred_masks: 5 }),
    }),
  },
  {
    name: 'background removal (MODNet, BiRefNet)',
    files: of(null, { 'onnx/model.onnx': named(['pixel_values'], { alphas: 4 }) }),
  },
  {
    name: 'Depth Anything, DPT',
    files: of('DepthAnythingForDepthEstimation', {
      'onnx/model.onnx': named(['pixel_values'], { predicted_depth: 3 }),
    }),
  },
  { name: 'BERT and other models of text', files: of('BertForSequenceClassification', { 'onnx/model.onnx': one }) },
  { name: 'one graph with names of its own (YOLO, PP-OCR)', files: { 'model.onnx': named(['x'], { output0: 3 }) } },
  {
    name: 'onnxruntime-genai',
    files: { 'genai_config.json': {}, 'config.json': {}, 'model.onnx': one, 'vision.onnx': one },
  },
  {
    name: 'a clone without Git LFS',
    files: of(
      'ViTForImageClassification',
      { 'preprocessor_config.json': likeVit, 'onnx/model.onnx': pointer },
      labels(4),
    ),
  },
  {
    name: 'a web page saved as model.onnx',
    files: of(
      'ViTForImageClassification',
      { 'preprocessor_config.json': likeVit, 'onnx/model.onnx': '<!doctype html>\n<html></html>' },
      labels(4),
    ),
  },
  {
    name: 'a download that was cut off',
    files: of(
      'ViTForImageClassification',
      { 'preprocessor_config.json': likeVit, 'onnx/model.onnx': one.subarray(0, 200) },
      labels(4),
    ),
  },
  {
    name: 'weights of PyTorch alone',
    files: of('ViTForImageClassification', { 'model.safetensors': 'weights', 'preprocessor_config.json': likeVit }),
  },
]
