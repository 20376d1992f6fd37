import { createStepBatcher } from '../src/batching/step-batcher.ts'
import {
  createChatStepper,
  type ChatItem,
  type ChatSequence,
  type GenerationEnd,
} from '../src/generation/chat-stepper.ts'
import type { LogitsRules } from '../src/generation/logits-rules.ts'
import { openRaggedDecoder, type RaggedDecoder } from '../src/generation/ragged-decoder.ts'
import type { SamplingOptions } from '../src/generation/sampling.ts'
import type { TokenConstraint } from '../src/generation/token-constraint.ts'
import { embedTiny, tinyPrompt, type TinyDecoder } from './tiny-decoders.ts'

interface Piece {
  isEncoded: boolean
  isBroken: boolean
}

export interface TinyChatOptions {
  name: string
  /** Of the prompt. */
  length: number
  newTokens: number
  pieces?: number
  sampling?: Partial<SamplingOptions>
  rules?: Partial<LogitsRules>
  constraint?: TokenConstraint
  stop?: string[]
  stream?: boolean
  /** `numbers`: its embeddings are no numbers; `prompt`: it can not be made; `piece`: one of its pieces can't be encoded. */
  broken?: 'numbers' | 'prompt' | 'piece'
  /** It is canceled when so many tokens of all were told of. */
  canceledAfter?: number
}

export interface TinyChat {
  name: string
  options: TinyChatOptions
  item: Omit<ChatItem<Piece>, 'toPrompt' | 'toOutput'>
}

/** A chat about made-up tokens, whose text is the numbers of its tokens. */
export function tinyChat(options: TinyChatOptions): TinyChat {
  const { name, length, newTokens, pieces = 0, stop = [], stream = false, constraint = null } = options
  return {
    name,
    options,
    item: {
      maxRows: 1,
      maxTokens: length + newTokens,
      maxCrossTokens: 6,
      pieces: Array.from({ length: pieces }, (_, at) => ({
        isEncoded: false,
        isBroken: options.broken === 'piece' && at === pieces - 1,
      })),
      rules: {
        repetitionPenalty: 1,
        presencePenalty: 0,
        frequencyPenalty: 0,
        noRepeatNgramSize: 0,
        minLength: 0,
        maxLength: length + newTokens,
        beginLength: length,
        endIds: [],
        forcedFirstId: null,
        forcedLastIds: [],
        suppressedIds: [],
        suppressedFirstIds: [],
        ...options.rules,
      },
      sampling: { temperature: 0, topP: 1, topK: 0, minP: 0, seed: 5, logprobs: null, ...options.sampling },
      constraint,
      stop,
      stream,
      toText: (generated) => generated.join(' '),
    },
  }
}

export interface ChatRun {
  outcomes: Map<string, GenerationEnd | { code: string; detail: string } | 'canceled'>
  texts: Map<string, string>
  /** What was run, with how many pieces, tokens or rows. */
  log: { kind: 'encode' | 'prefill' | 'decode'; size: number }[]
  launched: string[]
  ended: string[]
  peakBytes: number
  /** The most sequences that ran at a time. */
  most: number
}

export interface ChatLimits {
  maxRows?: number
  maxBytes?: number
  prefillTokens?: number
  piecesAtOnce?: number
  /** Each chat joins so many steps after the one before. Default: all at once. */
  apart?: number
}

interface Waiting {
  name: string
  prepared: ChatItem<Piece>
  deadlineAt: null
  canceled: boolean
  canceledAfter: number
}

/** Answers chats from beginning to end by a real decoder. */
export async function runChats(tiny: TinyDecoder, chats: readonly TinyChat[], limits: ChatLimits): Promise<ChatRun> {
  const run: ChatRun = {
    outcomes: new Map(),
    texts: new Map(),
    log: [],
    launched: [],
    ended: [],
    peakBytes: 0,
    most: 0,
  }
  const decoder = openRaggedDecoder(tiny.sessions, limits.maxBytes === undefined ? {} : { maxBytes: limits.maxBytes })
  const stepper = loggedStepper(decoder, run, limits)
  const ends = new Map<string, GenerationEnd>()
  const items = chats.map((chat): Waiting => ({
    name: chat.name,
    prepared: toItem(tiny, chat, ends),
    deadlineAt: null,
    canceled: false,
    canceledAfter: chat.options.canceledAfter ?? Infinity,
  }))
  await answerAll(stepper, { items, run, ends, apart: limits.apart ?? 0 })
  run.peakBytes = decoder.peakBytes
  return run
}

type ChatStepper = ReturnType<typeof createChatStepper<Piece>>

function loggedStepper(
  decoder: RaggedDecoder,
  { log }: ChatRun,
  { maxRows = 8, prefillTokens = 8, piecesAtOnce = 4 }: ChatLimits,
): ChatStepper {
  return createChatStepper<Piece>({
    decoder: {
      ...decoder,
      async prefill(row, tokens) {
        const before = row.length
        const logits = await decoder.prefill(row, tokens)
        log.push({ kind: 'prefill', size: row.length - before })
        return logits
      },
      async decode(next, embeds) {
        log.push({ kind: 'decode', size: next.length })
        return decoder.decode(next, embeds)
      },
    },
    embed: decoder.takesEmbeds ? async (ids) => embedTiny(ids) : null,
    async encodePieces(pieces) {
      if (pieces.some(({ isBroken }) => isBroken)) throw new Error('a tile of 12 values')
      for (const piece of pieces) piece.isEncoded = true
      log.push({ kind: 'encode', size: pieces.length })
    },
    isEncoded: ({ isEncoded }) => isEncoded,
    maxRows,
    prefillTokens,
    piecesAtOnce,
  })
}

async function answerAll(
  stepper: ChatStepper,
  { items, run, ends, apart }: { items: Waiting[]; run: ChatRun; ends: Map<string, GenerationEnd>; apart: number },
): Promise<void> {
  const going = new Set<string>()
  const waiting = [...items]
  let steps = 0
  await new Promise<void>((resolve) => {
    const choose: ChatStepper['choose'] = (sequences) => {
      steps += 1
      if (apart > 0 && steps % apart === 0) addNext()
      for (const item of items) if (run.log.length >= item.canceledAfter && going.has(item.name)) item.canceled = true
      return stepper.choose(sequences)
    }
    const batcher = createStepBatcher<ChatItem<Piece>, ChatSequence<Piece>, Waiting>(
      { ...stepper, choose },
      {
        async onLaunch(launched) {
          for (const { name } of launched) going.add(name)
          run.launched.push(...launched.map(({ name }) => name))
          run.most = Math.max(run.most, going.size)
        },
        onText(pieces) {
          for (const { item, piece } of pieces) run.texts.set(item.name, (run.texts.get(item.name) ?? '') + piece.text)
        },
        onSettled(outcomes) {
          for (const outcome of outcomes) {
            const { name } = outcome.item
            going.delete(name)
            run.ended.push(name)
            if (outcome.kind === 'canceled') run.outcomes.set(name, 'canceled')
            else if (outcome.kind === 'error') run.outcomes.set(name, outcome.error)
            else {
              const end = ends.get(name)
              if (end !== undefined) run.outcomes.set(name, end)
            }
            addNext()
          }
          if (run.ended.length === items.length) resolve()
        },
      },
    )
    function addNext(): void {
      const item = waiting.shift()
      if (item !== undefined) batcher.add(item)
    }
    const atFirst = apart === 0 ? waiting.length : 1
    for (let count = 0; count < atFirst; count += 1) addNext()
  })
}

function toItem(tiny: TinyDecoder, { item, options }: TinyChat, ends: Map<string, GenerationEnd>): ChatItem<Piece> {
  return {
    ...item,
    toOutput(end) {
      // Rounded: a sum may come out otherwise in its last digit where other rows share the run.
      const rounded = end.logprobs?.map((one) => ({
        ...one,
        logprob: Math.round(one.logprob * 1e3) / 1e3,
        alternatives: one.alternatives.map(({ token }) => ({ token, logprob: 0 })),
      }))
      ends.set(options.name, { ...end, ids: [...end.ids], logprobs: rounded ?? null })
      return {}
    },
    async toPrompt() {
      if (item.pieces.some(({ isEncoded }) => !isEncoded)) throw new Error('its pieces were not encoded')
      if (options.broken === 'prompt') throw new Error('no prompt')
      const prompt = tinyPrompt(tiny, options.length, options.length)
      return options.broken === 'numbers' ? { ...prompt, embeds: prompt.embeds?.fill(NaN) ?? null } : prompt
    },
  }
}
