import { classifier, named } from '../public-graphs.ts'
import { likeVit, labels, of, type Layout } from './folder.ts'

const one = classifier(4)

const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 346000000\n`

/** Models of tasks that are lacking, and what people save instead of a graph. */
export const lacking: readonly Layout[] = [
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
