import { tinyTokenizer } from '@vision-queue/models/test/tiny-model'

import { clip } from '../public-graphs.ts'
import { likeVit, likeClip, text, of, type Layout } from './folder.ts'

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
/** CLIP and SigLIP. */
export const imagesAndTexts: readonly Layout[] = [
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
]
