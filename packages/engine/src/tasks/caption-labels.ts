import { VisionQueueError } from '@vision-queue/protocol'

import { collate, type Row } from '../onnx/collate.ts'
import type { OutputTensor } from '../onnx/tensor.ts'
import { createTokenizer, type TextTokenizer } from '../text/tokenizer.ts'
import { joinColumns, type LabelHead } from './label-head.ts'
import { lacking } from './lacking.ts'
import { requireInput } from './model-inputs.ts'
import { sliceOutput } from './single-run.ts'
import type { TaskModel } from './task.ts'

/** GroundingDinoConfig's max_text_len: what comes later of a text has no logits. */
const mostTokens = 256

/** A text, and which of its tokens are each label's: from `start` up to `end`. */
interface Caption {
  ids: number[]
  typeIds: number[]
  spans: { start: number; end: number }[]
}

/**
 * Graphs of the Grounding DINO kind take one text of all labels, `a cat. a dog.`, and give a logit for each of its tokens:
 * ``[1, places, tokens]``, filled up to 256. A label's is the largest of its tokens, as in the original's
 * post_process_grounded_object_detection; the text is made as the original's processor makes it of a list of labels. What
 * else stands in the text is masked by the graph itself, so that labels see each other no more than they do there.
 */
export function openCaptionLabels({ folder, session }: TaskModel): LabelHead {
  if (folder.tokenizer === null) throw lacking(folder, 'tokenizer.json, which turns text into numbers')
  const tokenizer = createTokenizer({
    ...folder.tokenizer,
    maxLength: Math.min(folder.tokenizer.maxLength, mostTokens),
  })
  const { dims } = requireInput({ folder, session }, 'input_ids')
  const length = dims[1] ?? null
  const most = Math.min(folder.tokenizer.maxLength, mostTokens, length ?? Infinity)
  const toCaption = (labels: readonly string[]): Caption => captionOf(tokenizer, labels, most)
  return {
    check(labels) {
      toCaption(labels)
    },
    async run(image, labels) {
      const { ids, typeIds, spans } = toCaption(labels)
      const filled = (values: readonly number[], padValue: number): Row => {
        const filling = Array.from({ length: (length ?? ids.length) - ids.length }, () => padValue)
        return { type: 'int64', values: [...values, ...filling], padValue }
      }
      const texts: Record<string, Row> = {
        input_ids: filled(ids, tokenizer.padId),
        token_type_ids: filled(typeIds, tokenizer.padTypeId),
        ...(session.inputs.has('attention_mask')
          ? {
              attention_mask: filled(
                ids.map(() => 1),
                0,
              ),
            }
          : {}),
      }
      const { logits, pred_boxes: boxes } = await session.run(collate([{ ...image, ...texts }], session.inputs), [
        'logits',
        'pred_boxes',
      ])
      if (logits === undefined || boxes === undefined) throw new Error('no logits or boxes came out')
      const [, places = 1, tokens = 1] = logits.dims
      if (tokens < ids.length) throw new Error(`logits is [${logits.dims.join(', ')}] for ${ids.length} tokens`)
      const columns = spans.map((span) => largest(sliceOutput(logits, 0), { places, tokens, ...span }))
      return { logits: joinColumns(columns, places), pred_boxes: sliceOutput(boxes, 0) }
    },
  }
}

/** By place the largest logit of some tokens. */
function largest(
  { data }: OutputTensor,
  { places, tokens, start, end }: { places: number; tokens: number; start: number; end: number },
): Float32Array {
  return Float32Array.from({ length: places }, (_, place) =>
    data
      .subarray(place * tokens + start, place * tokens + end)
      .reduce((most, logit) => Math.max(most, logit), -Infinity),
  )
}

/** Throws `invalid_input` for a text that the model would see the beginning of only, and for labels without tokens. */
function captionOf(tokenizer: TextTokenizer, labels: readonly string[], most: number): Caption {
  const texts = labels.map((label) => label.trim().toLowerCase())
  const parts = texts.map((text) => tokenizer.encodePlain(text))
  const stop = tokenizer.encodePlain('.')
  const inner = parts.flatMap((ids) => [...ids, ...stop])
  const plain = tokenizer.encodePlain(`${texts.join('. ')}.`)
  // Where a tokeniser makes other tokens of a label beside others it can't be told which are the label's.
  if (plain.join() !== inner.join() || parts.some((ids) => ids.length === 0)) {
    throw refused('labels that the tokenizer of this model keeps apart in one text')
  }
  const around = tokenizer.encode('').ids.length
  if (plain.length + around > most)
    throw refused(
      `labels of ${most - around} tokens together at most (they have ${plain.length}, with a stop for each)`,
    )
  const { ids, typeIds } = tokenizer.encode(`${texts.join('. ')}.`)
  const before = ids.findIndex((_, at) => plain.every((id, index) => ids[at + index] === id))
  let at = before
  const spans = parts.map((part) => {
    const span = { start: at, end: at + part.length }
    at = span.end + stop.length
    return span
  })
  return { ids, typeIds, spans }
}

function refused(expected: string): VisionQueueError {
  const field = 'input.candidate_labels'
  return new VisionQueueError('invalid_input', `${field}: expected ${expected}.`, { fields: [{ field, expected }] })
}
