import { lacking } from '../tasks/lacking.ts'
import { requireInput } from '../tasks/model-inputs.ts'
import type { TaskModel } from '../tasks/task.ts'
import type { Session } from '../onnx/session.ts'
import { openRaggedDecoder, type RaggedDecoder } from '../generation/ragged-decoder.ts'
import { openVisionPixels, type VisionPixels } from '../images/vision-pixels.ts'
import { blankImage } from '../images/image-preprocessing.ts'
import { createTokenizer, type TextTokenizer } from '../text/tokenizer.ts'
import type { OpenFamily } from './chat-family.ts'
import { specialTokens } from './chat-template.ts'
import { findFamily } from './families.ts'
import { openPromptWriter, type WritePrompt } from './prompt-text.ts'
import { type EmbedIds, openTextEmbedder } from './text-embedder.ts'
import { piecesOf } from './vision-images.ts'
import { openVisionEncoder, type VisionEncoder, type VisionPiece } from './vision-encoder.ts'

/** A language model that sees, open: what its jobs are prepared and answered with. */
export interface ChatModel {
  family: OpenFamily
  tokenizer: TextTokenizer
  pixels: VisionPixels
  encoder: VisionEncoder
  embed: EmbedIds
  decoder: RaggedDecoder
  writePrompt: WritePrompt
  /** Of families with an encoder for the prompt. */
  textEncoder: Session | null
}

/** Opens the graphs of a folder as its family has it; throws `model_unavailable` naming what is missing. */
export async function openChatModel(model: TaskModel): Promise<ChatModel> {
  const { folder, sessions } = model
  const shownAs = `${folder.name}/${folder.version}`
  const sessionOf = (name: string): Session => {
    const session = sessions.get(name)
    if (session === undefined) throw lacking(folder, `onnx/${name}.onnx`)
    return session
  }
  if (folder.chat === null) throw lacking(folder, 'config.json')
  if (folder.tokenizer === null) throw lacking(folder, 'tokenizer.json, which turns text into numbers')
  const kind = findFamily(folder)
  const tokenizer = createTokenizer({ ...folder.tokenizer, maxLength: Infinity })
  const tokens = specialTokens(folder.tokenizer.config)
  const decoder = openRaggedDecoder(sessions, { maxBytes: model.generationCacheBytes })
  const embed = openTextEmbedder(sessionOf('embed_tokens'), shownAs)
  const vision = sessionOf('vision_encoder')
  const pixels = openVisionPixels(model, requireInput({ folder, session: vision }, 'pixel_values'))
  const samples = await samplePieces(pixels)
  const encoder = await openVisionEncoder(vision, { samples, shownAs })
  const family = kind.open({
    folder,
    files: folder.chat,
    tokens,
    idOf(token) {
      const [id, ...others] = tokenizer.encodePlain(token)
      if (id !== undefined && others.length === 0) return id
      throw lacking(folder, `the token ${token} in tokenizer.json, as ${kind.name}'s prompts have it`)
    },
    pieceTokens: encoder.pieceTokens,
    positionAxes: decoder.positionAxes,
  })
  const textEncoder = sessions.get('encoder_model') ?? null
  if (family.featureToken !== null && !decoder.takesEmbeds) {
    throw lacking(folder, 'a decoder that takes inputs_embeds, into which images are put')
  }
  if (family.featureToken === null && textEncoder === null) throw lacking(folder, 'onnx/encoder_model.onnx')
  return {
    family,
    tokenizer,
    pixels,
    encoder,
    embed,
    decoder,
    writePrompt: openPromptWriter(folder, { family, tokens, tokenizer }),
    textEncoder: family.featureToken === null ? textEncoder : null,
  }
}

/** The first piece of a white image and of a red one, as small as the model sees images. */
async function samplePieces(pixels: VisionPixels): Promise<VisionPiece[]> {
  const images = ['#ffffff', '#ff0000'].map(async (colour) => {
    const file = await blankImage({ width: 64, height: 64 }, colour)
    const plan = pixels.planOf(file, { detail: 'low' })
    const [first] = piecesOf(pixels, file, plan)
    await first?.load?.()
    return first ?? []
  })
  return (await Promise.all(images)).flat()
}
