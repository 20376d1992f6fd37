/** A shipped model with inputs that it takes, so that only the part under attack is wrong. */
export interface TargetModel {
  name: string
  input: Readonly<Record<string, string | readonly string[]>>
}

/** One model of each task. */
export const targetModels: readonly TargetModel[] = [
  { name: 'shapes-vqa', input: { question: 'How many shapes are there?' } },
  { name: 'shapes-clip', input: { candidate_labels: ['a red circle', 'a blue square'] } },
  { name: 'shapes-classify', input: {} },
  { name: 'shapes-detect', input: {} },
  { name: 'shapes-caption', input: { prompt: 'a' } },
  { name: 'shapes-embed', input: {} },
  { name: 'shapes-entailment', input: { text: 'There is a red circle.' } },
]
