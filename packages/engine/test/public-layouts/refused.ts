import { classifier, decoder, named } from '../public-graphs.ts'
import { likeVit, labels, text, of, type Layout } from './folder.ts'

const one = classifier(4)

const seeing = {
  ...text,
  'onnx/vision_encoder.onnx': named(['pixel_values', 'pixel_attention_mask'], { image_features: 3 }),
  'onnx/embed_tokens.onnx': named(['input_ids'], { inputs_embeds: 3 }),
  'onnx/decoder_model_merged.onnx': decoder({ embeds: true }),
}
const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 346000000\n`

/** Models of tasks that are lacking, and what people save instead of a graph. */
export const lacking: readonly Layout[] = [
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
    name: 'SAM',
    files: of('SamModel', {
      'onnx/vision_encoder.onnx': named(['pixel_values'], { image_embeddings: 4 }),
      'onnx/prompt_encoder_mask_decoder.onnx': named(['input_points'], { pred_masks: 5 }),
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
