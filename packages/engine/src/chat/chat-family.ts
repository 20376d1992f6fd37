import type { ChatFiles, ModelFolder } from '@vision-queue/models'

import type { ImagePlan } from '../images/image-plan.ts'
import type { SpecialTokens } from './chat-template.ts'
import type { Conversation } from './conversation.ts'
import type { PromptPositions } from './positions.ts'

/** One of a job's images, as the prompt sees it. */
export interface PlannedImage {
  plan: ImagePlan
  /** How many of the prompt's places are its features. */
  tokens: number
}

/** What a family is given of a folder. */
export interface FamilyModel {
  folder: ModelFolder
  files: ChatFiles
  tokens: SpecialTokens
  /** The id of a token by its text; throws `model_unavailable` where tokenizer.json has none. */
  idOf: (token: string) => number
  /** Features of one piece of an image, as the encoder gave them; null where it depends on the image. */
  pieceTokens: number | null
  /** How many axes the decoder's positions have: 1, or 3 for M-RoPE; 0 where it takes none. */
  positionAxes: number
}

/** A kind of language model that sees, by what Hugging Face's processors and models of it do. */
export interface ChatFamily {
  /** Its name in sentences, such as `Qwen-VL`. */
  name: string
  /** config.json's `model_type`s. */
  modelTypes: readonly string[]
  /** Throws `model_unavailable` where the folder lacks what the family needs, or can't be served for a reason. */
  open: (model: FamilyModel) => OpenFamily
}

/** What differs between families once a folder is open. */
export interface OpenFamily {
  /** What the chat template writes for an image. */
  placeholder: string
  /** The token that holds the place of one feature in the prompt; null where features go before the text instead. */
  featureToken: { text: string; id: number } | null
  /** What becomes of an image's placeholder before the prompt is tokenised. */
  expand: (image: PlannedImage) => string
  /** The prompt of a folder without a chat template; null: there must be one. */
  plainPrompt: ((conversation: Conversation, images: number) => string) | null
  /** Whether the tokenizer puts its special tokens around the prompt where that doesn't begin with one. */
  addsSpecialTokens: boolean
  /** How many images a job may have. */
  images: { min: number; max: number }
  /** The details that images may be looked at in; a family may know one only. Default: the caller's. */
  detail?: 'low'
  /** Where the ids of a prompt stand, by axis. */
  positions: (ids: readonly number[], images: readonly PlannedImage[]) => PromptPositions
  /** Reads the whole text of an answer, where that is more than words; see Florence-2. Default: the text is the answer. */
  readAnswer?: (text: string, conversation: Conversation, images: readonly PlannedImage[]) => ReadAnswer
  /** Whether special tokens are part of the answer's text, as places are. Default: no. */
  keepsSpecialTokens?: boolean
}

/** An answer that names places in the image. */
export interface ReadAnswer {
  text: string
  /** Null where it is one that names none. */
  regions: Region[] | null
}

/** A place in an image, in pixels of the upright original. */
export type Region =
  | { label: string; box: { xmin: number; ymin: number; xmax: number; ymax: number } }
  /** Corners in their order. */
  | { label: string; polygon: { x: number; y: number }[] }
