import { z } from 'zod'

import { type Judged, overlapOf } from './average-precision.ts'

/** What to ask for an example, and whether what came back is right. */
export interface Asked {
  input: Record<string, unknown>
  judgeOutput(output: unknown): Verdict
}
export interface Verdict {
  right: boolean
  said: string
  /** Of a detector, for the precision over all pictures. */
  objects?: Judged
}

const expect = (truth: string, said: string): Verdict => ({
  right: said === truth,
  said: `${JSON.stringify(said)} for ${JSON.stringify(truth)}`,
})

const best = (answers: string[]): string => answers[0] ?? ''
const boxSchema = z.object({ xmin: z.number(), ymin: z.number(), xmax: z.number(), ymax: z.number() })
const placedSchema = z.object({ label: z.string(), box: boxSchema })
const foundSchema = placedSchema.extend({ score: z.number() })
/** A find of less is a guess. */
const sure = 0.5

/** Right where everything is found once and nothing else, in a box that overlaps the true one by half. */
function judgeObjects({ found, truth }: Judged): boolean {
  const finds = found.filter(({ score }) => score >= sure)
  return (
    finds.length === truth.length &&
    truth.every(({ label, box }) => finds.some((find) => find.label === label && overlapOf(find.box, box) >= 0.5))
  )
}

const labelsSchema = z.object({ labels: z.array(z.object({ label: z.string() })) })

/** How the examples of each task are asked and judged, by the task's name. */
export const judges: Record<string, (example: Record<string, unknown>) => Asked> = {
  'visual-question-answering': (example) => {
    const { question, answer } = z.object({ question: z.string(), answer: z.string() }).parse(example)
    const outputSchema = z.object({ answers: z.array(z.object({ answer: z.string() })) })
    return {
      input: { question },
      judgeOutput: (output) => expect(answer, best(outputSchema.parse(output).answers.map((given) => given.answer))),
    }
  },
  'visual-entailment': (example) => {
    const { text, label } = z.object({ text: z.string(), label: z.string() }).parse(example)
    return {
      input: { text },
      judgeOutput: (output) => expect(label, z.object({ label: z.string() }).parse(output).label),
    }
  },
  'image-to-text': (example) => {
    const textSchema = z.object({ text: z.string() })
    const { text, names } = z
      .object({ text: z.string().optional(), names: z.array(z.string()).optional() })
      .parse(example)
    if (names === undefined)
      return { input: {}, judgeOutput: (output) => expect(text ?? '', textSchema.parse(output).text) }
    return {
      input: {},
      judgeOutput(output) {
        const said = textSchema.parse(output).text
        return {
          right: names.every((name) => said.includes(name)),
          said: `${JSON.stringify(said)} without one of ${names.join(', ')}`,
        }
      },
    }
  },
  'image-text-to-text': (example) => {
    const { prompt, messages, text } = z
      .object({ prompt: z.string().optional(), messages: z.array(z.unknown()).optional(), text: z.string() })
      .parse(example)
    return {
      input: messages === undefined ? { prompt } : { messages },
      judgeOutput: (output) => expect(text, z.object({ text: z.string() }).parse(output).text),
    }
  },
  'image-classification': (example) => {
    const { label } = z.object({ label: z.string() }).parse(example)
    return {
      input: {},
      judgeOutput: (output) => expect(label, best(labelsSchema.parse(output).labels.map((given) => given.label))),
    }
  },
  'object-detection': (example) => {
    const { objects: truth } = z.object({ objects: z.array(placedSchema) }).parse(example)
    return {
      input: {},
      judgeOutput(output) {
        const { objects: found } = z.object({ objects: z.array(foundSchema) }).parse(output)
        const objects = { found, truth }
        return { right: judgeObjects(objects), said: JSON.stringify(objects), objects }
      },
    }
  },
  'zero-shot-image-classification': (example) => {
    const caseSchema = z.object({ candidate_labels: z.array(z.string()), label: z.string() })
    const { candidate_labels: candidates, label } = caseSchema.parse(example)
    return {
      input: { candidate_labels: candidates },
      judgeOutput: (output) => expect(label, best(labelsSchema.parse(output).labels.map((given) => given.label))),
    }
  },
}
