import { announceChat } from '../chat/chat-announcement.ts'
import { chatDefaults } from '../chat/chat-defaults.ts'
import { openChatJobs } from '../chat/chat-jobs.ts'
import { chatInputSchema, chatOutputSchema, chatParametersSchema, mostImages } from '../chat/chat-schemas.ts'
import { createFeatureCache, isEncoded } from '../chat/feature-cache.ts'
import { openChatModel } from '../chat/open-model.ts'
import type { VisionPiece } from '../chat/vision-encoder.ts'
import { createChatStepper } from '../generation/chat-stepper.ts'
import { steppedTask } from './stepped-task.ts'
import type { Task } from './task.ts'

/** Tokens of a prompt that are fed in one step: those who are reading answers wait for no more. */
const prefillTokens = 128

/**
 * A conversation about images, answered token by token: language models that see, in the three graphs that
 * Hugging Face's exports have (`vision_encoder`, `embed_tokens`, `decoder_model_merged`), or the four of Florence-2. What
 * differs between families is in chat/, a file each; see families.ts.
 */
export const imageTextToText: Task = {
  name: 'image-text-to-text',
  images: { min: 0, max: mostImages },
  graphs: [
    ['vision_encoder', 'embed_tokens', 'encoder_model', 'decoder_model_merged'],
    ['vision_encoder', 'embed_tokens', 'decoder_model_merged'],
    ['vision_encoder', 'embed_tokens', 'decoder_model', 'decoder_with_past_model'],
    ['vision_encoder', 'embed_tokens', 'decoder_model'],
  ],
  input: chatInputSchema,
  parameters: chatParametersSchema(chatDefaults({ config: {} })),
  output: chatOutputSchema,
  sampleInput: { prompt: '' },
  // One image as a whole: tiles of the same size run no otherwise.
  sampleParameters: { max_new_tokens: 3, detail: 'low' },
  async open(model) {
    const { folder } = model
    const chat = await openChatModel(model)
    const cache = createFeatureCache(model.featureCacheBytes)
    const parameters = chatParametersSchema(chatDefaults(folder.generation))
    const steps = createChatStepper<VisionPiece>({
      decoder: chat.decoder,
      embed: chat.decoder.takesEmbeds ? chat.embed : null,
      async encodePieces(pieces) {
        await chat.encoder.encode(pieces)
        cache.recount()
      },
      isEncoded: (piece) => isEncoded({ pieces: [piece] }),
      maxRows: folder.maxBatchSize,
      prefillTokens,
      piecesAtOnce: chat.encoder.piecesAtOnce,
    })
    const stepper = { ...steps, seenImages: () => cache.seen }
    return {
      ...steppedTask({ prepare: openChatJobs(folder, { chat, cache, parameters }), stepper }),
      ...announceChat({
        family: chat.family,
        pieceTokens: chat.encoder.pieceTokens,
        maxPositions: folder.generation.maxPositions,
      }),
      parameters,
    }
  },
}
