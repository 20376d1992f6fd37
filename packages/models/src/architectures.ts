import type { GraphFacts } from './onnx-graph.ts'

/** Families of which Hugging Face's `<family>Model` is a backbone that makes features of an image. */
const backbones =
  'ViT|ViTMAE|ViTMSN|ViTHybrid|DeiT|Beit|Data2VecVision|Swin|Swinv2|Dinov2|Dinov2WithRegisters|DINOv3ViT|DINOv3ConvNext|' +
  'ConvNext|ConvNextV2|ResNet|RegNet|MobileNetV1|MobileNetV2|MobileViT|MobileViTV2|EfficientNet|EfficientFormer|Levit|Cvt|' +
  'FocalNet|Hiera|IJepa|Pvt|PvtV2|PoolFormer|Bit|TimmWrapper|SwiftFormer|ImageGPT'

/**
 * The task of an architecture as `config.json` names it, the first that fits. The names are Hugging Face's, those of
 * tasks that this release doesn't have among them: a refusal then says what the model is for. Which of them are
 * served is the list of tasks in the engine.
 */
const byArchitecture: readonly (readonly [RegExp, string])[] = [
  [/ForImageClassification(WithTeacher)?$/, 'image-classification'],
  [/^(OwlViT|Owlv2|GroundingDino|MMGroundingDino|OmDetTurbo)\w*$/, 'zero-shot-object-detection'],
  [/ForObjectDetection$/, 'object-detection'],
  [/^(Sam|Sam2|SlimSam|EdgeTam)\w*Model$/, 'mask-generation'],
  [/For(Semantic|Universal|Instance|Image|Panoptic)Segmentation$/, 'image-segmentation'],
  [/^(BiRefNet|ISNet|U2Net|RMBG\w*|BriaRMBG)$/, 'image-segmentation'],
  [/ForImageMatting$/, 'image-segmentation'],
  [/ForDepthEstimation$/, 'depth-estimation'],
  [/ForImageSuperResolution$/, 'image-to-image'],
  [/ForPoseEstimation$/, 'keypoint-detection'],
  [/ForQuestionAnswering$/, 'visual-question-answering'],
  [/^(VisionEncoderDecoderModel|Blip\w*ForConditionalGeneration|Pix2StructForConditionalGeneration)$/, 'image-to-text'],
  [/^(CLIP|Siglip2?|Altclip|AltCLIP|ChineseCLIP|MetaClip2)VisionModel(WithProjection)?$/, 'image-feature-extraction'],
  [
    /^(\w*CLIP|MetaClip2|Siglip2?|Align|GroupViT|VisionTextDualEncoder)Model(WithProjection)?$/,
    'zero-shot-image-classification',
  ],
  [new RegExp(`^(${backbones})(Model|Backbone)$`), 'image-feature-extraction'],
  [
    /^(Llava|Idefics|SmolVLM|Qwen\d?_?\d?_?VL|Qwen2VL|PaliGemma|Gemma3|Florence2|Mllama|InternVL|Pixtral|Mistral3|Moondream|Phi3V|Phi4Multimodal|Kosmos|Fuyu|Paligemma)\w*$/i,
    'image-text-to-text',
  ],
  [/ForImageTextToText$/, 'image-text-to-text'],
  [/^(Whisper|Moonshine|Speech2Text)\w*$/, 'automatic-speech-recognition'],
  [/ForCTC$/, 'automatic-speech-recognition'],
  [/ForAudioClassification$/, 'audio-classification'],
  [/ForSequenceClassification$/, 'text-classification'],
  [/ForTokenClassification$/, 'token-classification'],
  [/ForMaskedLM$/, 'fill-mask'],
  [/ForCausalLM$/, 'text-generation'],
  [/ForConditionalGeneration$/, 'text2text-generation'],
]

/** A folder's graphs by name, and what the file of each says of its inputs and outputs, where it could be read. */
export type GraphNames = ReadonlyMap<string, Pick<GraphFacts, 'inputs' | 'outputs' | 'ranks'> | null>

/** What a folder is for by an architecture and its graphs; null where that says nothing. */
export function taskOf(architectures: readonly string[], graphs: GraphNames): string | null {
  // One tower of a model of two, and language models with eyes, are named after the whole or the half.
  if (graphs.has('vision_encoder') && graphs.has('embed_tokens')) return 'image-text-to-text'
  const named = architectures.map((name) => byArchitecture.find(([form]) => form.test(name))?.[1]).find(Boolean)
  if (named === 'zero-shot-image-classification' && graphs.has('vision_model') && !graphs.has('text_model')) {
    return graphs.has('model') ? named : 'image-feature-extraction'
  }
  return named ?? taskOfGraphs(graphs)
}

/** By the names of inputs and outputs that all of Hugging Face's exports of a task share, and no other's. */
function taskOfGraphs(graphs: GraphNames): string | null {
  if (graphs.has('prompt_encoder_mask_decoder')) return 'mask-generation'
  const encoder = graphs.get('encoder_model')
  if (encoder !== undefined && (graphs.has('decoder_model_merged') || graphs.has('decoder_model'))) {
    return encoder?.inputs.includes('pixel_values') === true ? 'image-to-text' : null
  }
  if (graphs.has('vision_model') && graphs.has('text_model')) return 'zero-shot-image-classification'
  const only = graphs.get('model') ?? graphs.get('vision_model')
  if (only?.inputs.includes('pixel_values') !== true) return null
  const gives = (name: string): boolean => only.outputs.includes(name)
  const takesText = only.inputs.includes('input_ids')
  if (gives('pred_boxes')) return takesText ? 'zero-shot-object-detection' : 'object-detection'
  if (gives('predicted_depth')) return 'depth-estimation'
  if (gives('alphas')) return 'image-segmentation'
  if (gives('logits_per_image')) return 'zero-shot-image-classification'
  const rank = gives('logits') ? only.ranks.get('logits') : undefined
  if (rank === 2 && takesText && only.inputs.includes('pixel_mask')) return 'visual-question-answering'
  if (rank !== undefined && !takesText) {
    if (rank === 4) return 'image-segmentation'
    if (rank === 2 && only.outputs.length === 1) return 'image-classification'
  }
  const features = ['image_embeds', 'pooler_output', 'last_hidden_state']
  return !takesText && features.some(gives) ? 'image-feature-extraction' : null
}
