import type { ModelFolder } from '@vision-queue/models'

import { type AnswerConstraints, openAnswerConstraints } from '../generation/constraints/answer-constraints.ts'
import type { ChatItem } from '../generation/chat-stepper.ts'
import type { TokenConstraint } from '../generation/token-constraint.ts'
import { parseInput, type TaskRequest } from '../tasks/task.ts'
import { readTokenBytes } from '../text/token-bytes.ts'
import { toAnswer } from './chat-answer.ts'
import { toAnswerFormat, toRules, toSampling } from './chat-defaults.ts'
import { createEarlyPixels } from './early-pixels.ts'
import type { PlannedImage } from './chat-family.ts'
import { chatInputSchema, type ChatParameters, type chatParametersSchema } from './chat-schemas.ts'
import { type Conversation, refuse, toConversation } from './conversation.ts'
import { type FeatureCache, isEncoded, type VisionImage } from './feature-cache.ts'
import { openPromptFeeder } from './fed-prompt.ts'
import type { ChatModel } from './open-model.ts'
import type { PromptIds } from './prompt-text.ts'
import type { VisionPiece } from './vision-encoder.ts'
import { cachedImage, patchTokens } from './vision-images.ts'

/** Some ten photos of 13 tiles, each 512 pixels wide. */
const earlyPixelBytes = 128 * 1024 ** 2

interface Options {
  chat: ChatModel
  cache: FeatureCache
  parameters: ReturnType<typeof chatParametersSchema>
}

/**
 * Prepares jobs of a chat: what is asked is checked, counted in tokens and refused where it is too long, before an
 * image is decoded; then the images that aren't known yet are decoded, and the job is ready for the stepper.
 */
export function openChatJobs(
  folder: ModelFolder,
  { chat, cache, parameters: schema }: Options,
): (request: TaskRequest) => Promise<ChatItem<VisionPiece>> {
  const { family, tokenizer } = chat
  const { config, maxPositions } = folder.generation
  const endIds = new Set(config.eos_token_id)
  const startId = config.decoder_start_token_id ?? config.bos_token_id ?? 0
  const dropped = new Set([...endIds, ...(config.pad_token_id == null ? [] : [config.pad_token_id])])
  if (chat.textEncoder !== null) dropped.add(startId)
  // Where special tokens are part of the text, the one that begins it is not.
  if (config.bos_token_id != null) dropped.add(config.bos_token_id)
  // Both take a second of a large vocabulary, while others' tokens go on: they are begun by the first job that needs them.
  const tokenBytes = once(async () =>
    folder.tokenizer === null ? [] : readTokenBytes(folder.tokenizer, (ids) => tokenizer.decode(ids, new Set())),
  )
  const constraints = once(async () => openAnswerConstraints({ tokens: await tokenBytes(), endIds: [...endIds] }))
  const early = createEarlyPixels(earlyPixelBytes)
  const feed = openPromptFeeder(chat, { startId })
  const toText = (ids: readonly number[]): string =>
    tokenizer.decode(ids, dropped, family.keepsSpecialTokens ?? false).trim()

  return async (request) => {
    const parameters = parseInput(schema, request.parameters, 'parameters')
    const conversation = toConversation(parseInput(chatInputSchema, request.input, 'input'), request.images.length)
    checkParameters(parameters)
    const toConstraint = await constraintOf(parameters, constraints)
    const images = planImages(request.images, { chat, parameters, conversation })
    const prompt = chat.writePrompt(conversation, images)
    checkLength(prompt, conversation, maxPositions)
    const beginLength = chat.textEncoder === null ? prompt.ids.length : 1
    const rules = toRules(folder.generation, parameters, beginLength)
    const size = {
      maxTokens: rules.maxLength,
      maxCrossTokens: chat.textEncoder === null ? 0 : prompt.textTokens + prompt.imageTokens,
    }
    checkMemory(chat, size)
    const bytesOfTokens = parameters.logprobs ? await tokenBytes() : []
    const seen = await Promise.all(
      images.map(async ({ plan }, index) => {
        const file = request.images[index] ?? new Uint8Array()
        const image = await cachedImage(cache, { pixels: chat.pixels, file, plan })
        await early.load(image, plan)
        return image
      }),
    )
    const cachedImages = seen.filter(isEncoded).length
    const { readAnswer } = family
    return {
      maxRows: 1,
      ...size,
      pieces: piecesToEncode(seen),
      toPrompt: async () => feed(prompt, images, seen),
      rules,
      sampling: toSampling(parameters),
      constraint: toConstraint?.() ?? null,
      stop: parameters.stop,
      stream: request.stream ?? false,
      toText,
      toOutput: (end) =>
        toAnswer(end, {
          prompt,
          images,
          cachedImages,
          endIds,
          bytesOf: (id) => bytesOfTokens[id] ?? null,
          nameOf: (id) => tokenizer.decode([id], new Set(), true),
          read: readAnswer === undefined ? null : (text) => readAnswer(text, conversation, images),
        }),
    }
  }
}

/** Each piece once, though an image may be in a conversation twice. */
function piecesToEncode(images: readonly VisionImage[]): VisionPiece[] {
  return [...new Set(images.flatMap(({ pieces }) => pieces).filter(({ features }) => features === null))]
}

function checkParameters({ logprobs, top_logprobs: top }: ChatParameters): void {
  if (!logprobs && top !== undefined) throw refuse('parameters.top_logprobs', 'none without logprobs: true')
}

async function constraintOf(
  { response_format: format }: ChatParameters,
  constraints: () => Promise<AnswerConstraints>,
): Promise<(() => TokenConstraint) | null> {
  const wanted = toAnswerFormat(format)
  return wanted === null ? null : (await constraints()).compile(wanted, 'parameters.response_format')
}

/** By the headers alone. */
function planImages(
  files: readonly Uint8Array[],
  { chat, parameters, conversation }: { chat: ChatModel; parameters: ChatParameters; conversation: Conversation },
): PlannedImage[] {
  const { images: allowed, detail } = chat.family
  if (files.length < allowed.min || files.length > allowed.max) {
    const wanted = allowed.max === allowed.min ? `${allowed.min}` : `at least ${allowed.min}`
    throw refuse(
      conversation.field,
      `${wanted} image${wanted === '1' ? '' : 's'} for this model (there are ${files.length})`,
    )
  }
  return files.map((file) => {
    const plan = chat.pixels.planOf(file, { detail: detail ?? parameters.detail, maxPixels: parameters.max_pixels })
    const tokens = plan.rule === 'patches' ? patchTokens(plan) : plan.pieces * (chat.encoder.pieceTokens ?? 0)
    return { plan, tokens }
  })
}

/** At least one token has to have room behind the prompt. The last token of an answer needs no place. */
function checkLength({ textTokens, imageTokens }: PromptIds, { field }: Conversation, most: number): void {
  const total = textTokens + imageTokens
  if (total <= most) return
  const images = imageTokens === 0 ? '' : ` and its images ${imageTokens}`
  throw refuse(
    field,
    `at most ${most} tokens, which is all that the model can read; the text is ${textTokens}${images}`,
  )
}

/** What would never fit is refused before an image of it is decoded. */
function checkMemory({ decoder }: ChatModel, size: { maxTokens: number; maxCrossTokens: number }): void {
  const bytes = decoder.bytesOf([size])
  if (bytes <= decoder.maxBytes) return
  const mb = (count: number): string => (count / 1024 ** 2).toFixed(1)
  const expected = `fewer, or a shorter prompt: together they are up to ${size.maxTokens} tokens, whose keys and values take ${mb(bytes)} MB of ${mb(decoder.maxBytes)}`
  throw refuse('parameters.max_new_tokens', expected)
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | null = null
  return () => (made ??= { value: make() }).value
}
