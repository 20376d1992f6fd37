import { z } from 'zod'

import { lacking } from './lacking.ts'
import { openImageInput, sampleRows } from './model-inputs.ts'
import { openScores } from './model-outputs.ts'
import { openSingleRun } from './single-run.ts'
import { onlyImage, parseInput, type Task } from './task.ts'
import { openTextInput } from './text-input.ts'

const text = 'a statement of 1 to 512 characters'
const inputSchema = z.strictObject({ text: z.string(text).trim().max(512, text).regex(/\S/, text) })
const parametersSchema = z.strictObject({})
const verdictSchema = z.enum(['yes', 'no', 'maybe'])
const score = z.number().min(0).max(1)
const outputSchema = z.object({
  label: verdictSchema,
  confidence: score,
  scores: z.object({ yes: score, no: score, maybe: score }),
})

/** The words that data sets have for the three verdicts. */
const verdicts: Record<string, z.infer<typeof verdictSchema>> = {
  yes: 'yes',
  entailment: 'yes',
  true: 'yes',
  no: 'no',
  contradiction: 'no',
  false: 'no',
  maybe: 'maybe',
  neutral: 'maybe',
  undetermined: 'maybe',
}

/**
 * Whether a statement holds for an image: yes, no, or maybe where the image doesn't decide it. The graph
 * takes an image and a text and gives `logits`, ``[N, 3]``, in the order of the folder's labels.
 */
export const visualEntailment: Task = {
  name: 'visual-entailment',
  input: inputSchema,
  parameters: parametersSchema,
  output: outputSchema,
  sampleInput: { text: 'There is something in the image.' },
  async open(model) {
    const toPixels = openImageInput(model)
    const head = openScores(model)
    const toTokens = await openTextInput(model, {
      output: head.output,
      besides: async () => sampleRows(model, toPixels),
    })
    const order = head.labels.map((label) => verdicts[label.toLowerCase()])
    if (order.length !== 3 || new Set(order).size !== 3 || order.includes(undefined)) {
      throw lacking(model.folder, 'three labels, for yes, no and maybe (or entailment, contradiction and neutral)')
    }
    return {
      async prepare(request) {
        const input = parseInput(inputSchema, request.input, 'input')
        parseInput(parametersSchema, request.parameters, 'parameters')
        const tokens = toTokens(input.text)
        return {
          rows: { ...tokens, ...(await toPixels(onlyImage(request))) },
          decode(outputs) {
            const scores = { yes: 0, no: 0, maybe: 0 }
            const ranked = head.top(outputs, 3).map(({ label, score: itsScore }) => {
              const verdict = verdicts[label.toLowerCase()] ?? 'maybe'
              scores[verdict] = itsScore
              return verdict
            })
            const [label = 'maybe'] = ranked
            return { label, confidence: scores[label], scores }
          },
        }
      },
      run: openSingleRun(model.session, [head.output]),
    }
  },
}
