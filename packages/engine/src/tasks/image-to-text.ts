import { describeFields, VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import { createBeamSearch } from '../generation/beam-search.ts'
import { hiddenStates, openDecoder } from '../generation/decoder.ts'
import type { GenerationFiles } from '@vision-queue/models'
import { createGenerationStepper } from '../generation/generation-stepper.ts'
import { createGreedySearch } from '../generation/greedy-search.ts'
import type { LogitsRules } from '../generation/logits-rules.ts'
import { modelRules } from '../generation/model-rules.ts'
import { toBlock } from '../generation/row-block.ts'
import { beginSequence } from '../generation/running-sequence.ts'
import { createTokenizer } from '../text/tokenizer.ts'
import { openCtc } from './ctc-text.ts'
import { openImageInput } from './model-inputs.ts'
import { openSingleRun } from './single-run.ts'
import { steppedTask } from './stepped-task.ts'
import { onlyImage, parseInput, type PreparedSequence, type Task, type TaskRequest } from './task.ts'

const prompt = 'a text of at most 512 characters'
const inputSchema = z.strictObject({
  prompt: z.string(prompt).trim().max(512, prompt).optional().describe('how the text begins; it is part of the answer'),
})
const parametersSchema = z.strictObject({
  max_new_tokens: z
    .int()
    .min(1)
    .max(1024)
    .optional()
    .describe("the most tokens to generate; default: the model's own, else 64"),
  num_beams: z.int().min(1).max(8).default(1).describe('1: greedy search, which streams; more: beam search'),
  length_penalty: z.number().min(-10).max(10).optional().describe('with beams: above 0 favours longer texts'),
  early_stopping: z.boolean().optional().describe('with beams: stop as soon as so many texts are finished'),
  repetition_penalty: z.number().min(0.1).max(10).optional().describe('above 1 makes repeated tokens unlikelier'),
  no_repeat_ngram_size: z.int().min(0).max(64).optional().describe('no run of so many tokens comes twice; 0: off'),
  stop: z
    .array(z.string().min(1).max(64))
    .max(4)
    .default([])
    .describe('the text ends before the first of these; greedy search only'),
})
const outputSchema = z.object({
  text: z.string(),
  tokens: z.int().describe('how many tokens were generated, an end token included; of a recogniser, characters'),
  score: z.number().min(0).max(1).optional().describe('of a recogniser: how sure it is of a character on average'),
})
type Parameters = z.infer<typeof parametersSchema>

const defaultNewTokens = 64

/**
 * A text about an image, generated token by token by an encoder and a decoder in Hugging Face
 * Optimum's export layout: `encoder_model.onnx` (`pixel_values` -> `last_hidden_state`,
 * ``float32 [N, length, width]``) and the decoder's one or two graphs (generation/decoder.ts). What
 * the caller leaves open is taken from `generation_config.json`. Or one graph that reads a line of text (ctc-text.ts).
 */
export const imageToText: Task = {
  name: 'image-to-text',
  graphs: [
    ['encoder_model', 'decoder_model_merged'],
    ['encoder_model', 'decoder_model', 'decoder_with_past_model'],
    ['model'],
  ],
  input: inputSchema,
  parameters: parametersSchema,
  output: outputSchema,
  sampleInput: {},
  sampleParameters: { max_new_tokens: 4 },
  open(model) {
    const { folder, session } = model
    if (model.sessions.has('model')) return openCtc(model, refuseGeneration)
    const toPixels = openImageInput(model)
    const lacking = (what: string): VisionQueueError =>
      new VisionQueueError('model_unavailable', `${folder.name}/${folder.version}: image-to-text needs ${what}.`)
    if (folder.tokenizer === null) throw lacking('tokenizer.json, which turns numbers into text')
    if (!session.outputs.has('last_hidden_state')) throw lacking('onnx/encoder_model.onnx that gives last_hidden_state')
    const tokenizer = createTokenizer(folder.tokenizer)
    const { config } = folder.generation
    const startId = config.decoder_start_token_id ?? config.bos_token_id ?? null
    if (startId === null) throw lacking('decoder_start_token_id in generation_config.json')
    const dropped = new Set([
      startId,
      ...(config.eos_token_id ?? []),
      ...(config.pad_token_id == null ? [] : [config.pad_token_id]),
    ])
    const decoder = openDecoder(model.sessions)

    return steppedTask({
      stepper: createGenerationStepper({
        encode: openSingleRun(session, ['last_hidden_state']),
        decoder,
        maxRows: folder.maxBatchSize,
      }),
      async prepare(request): Promise<PreparedSequence> {
        const input = parseInput(inputSchema, request.input, 'input')
        const parameters = parseInput(parametersSchema, request.parameters, 'parameters')
        if (parameters.num_beams > 1 && parameters.stop.length > 0) {
          const expected = 'none with beams, which finish in another order than they are read'
          const fields = [{ field: 'parameters.stop', expected }]
          throw new VisionQueueError('invalid_input', `parameters.stop: ${expected}.`, { fields })
        }
        const promptIds = input.prompt === undefined || input.prompt === '' ? [] : tokenizer.encodePlain(input.prompt)
        const begin = [startId, ...promptIds]
        const rules = toRules(folder.generation, parameters, begin.length)
        if (rules.maxLength <= begin.length) {
          const expected = `at most ${folder.generation.maxPositions - 1} tokens`
          const fields = [{ field: 'input.prompt', expected }]
          throw new VisionQueueError('invalid_input', `input.prompt: ${expected}.`, { fields })
        }
        const pixels = await toPixels(onlyImage(request))
        return {
          maxRows: parameters.num_beams,
          rows: pixels,
          decode({ last_hidden_state: states }) {
            if (states === undefined) throw new Error('no last_hidden_state came out')
            return beginSequence({
              begin,
              search:
                parameters.num_beams === 1
                  ? createGreedySearch(begin, rules)
                  : createBeamSearch(begin, rules, {
                      numBeams: parameters.num_beams,
                      lengthPenalty: parameters.length_penalty ?? config.length_penalty ?? 1,
                      earlyStopping: parameters.early_stopping ?? config.early_stopping === true,
                    }),
              cross: toBlock(1, [[hiddenStates, { data: states.data, dims: [1, ...states.dims] }]]),
              toText: (generated) => tokenizer.decode([...promptIds, ...generated], dropped).trim(),
              stop: parameters.stop,
              stream: request.stream ?? false,
            })
          },
        }
      },
    })
  },
}

/** A recogniser reads what is there: nothing that steers generating means anything to it. The warm-up's is let pass. */
function refuseGeneration(request: TaskRequest): void {
  const input = parseInput(inputSchema, request.input, 'input')
  parseInput(parametersSchema, request.parameters, 'parameters')
  const given = Object.keys(request.parameters).filter((name) => name !== 'max_new_tokens')
  const names = [...(input.prompt ? ['input.prompt'] : []), ...given.map((name) => `parameters.${name}`)]
  if (names.length === 0) return
  const expected = 'nothing, as this model reads a line of text and does not generate'
  const fields = names.map((field) => ({ field, expected }))
  throw new VisionQueueError('invalid_input', describeFields(fields), { fields })
}

/** The caller's wishes over the model's own settings, within the positions that the decoder knows. */
function toRules(files: GenerationFiles, parameters: Parameters, beginLength: number): LogitsRules {
  const { config } = files
  const ownLength = config.max_length == null ? defaultNewTokens : Math.max(1, config.max_length - beginLength)
  const newTokens = parameters.max_new_tokens ?? config.max_new_tokens ?? ownLength
  return {
    ...modelRules(files, { beginLength, newTokens }),
    repetitionPenalty: parameters.repetition_penalty ?? config.repetition_penalty ?? 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    noRepeatNgramSize: parameters.no_repeat_ngram_size ?? config.no_repeat_ngram_size ?? 0,
    minLength: Math.max(
      config.min_length ?? 0,
      config.min_new_tokens == null ? 0 : beginLength + config.min_new_tokens,
    ),
  }
}
