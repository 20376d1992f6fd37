import { decoder, halves, tokensOf, vilt } from '../public-graphs.ts'
import { half, usual, likeVit, labels, text, of, type Layout } from './folder.ts'

const generation = {
  'generation_config.json': {
    bos_token_id: 1,
    decoder_start_token_id: 1,
    eos_token_id: [2],
    pad_token_id: 15,
    max_length: 12,
  },
}
const captioner = (decoderGraph: Uint8Array, suffix = '', ofEncoder = suffix): Layout['files'] => ({
  ...text,
  ...generation,
  'preprocessor_config.json': likeVit,
  [`onnx/encoder_model${ofEncoder}.onnx`]: tokensOf('last_hidden_state', 8),
  [`onnx/decoder_model_merged${suffix}.onnx`]: decoderGraph,
})
/** Models that write or answer. */
export const generators: readonly Layout[] = [
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
]
