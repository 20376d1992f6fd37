import { setTimeout as delay } from 'node:timers/promises'

import { createStepBatcher, type EngineModel } from '@vision-queue/engine/parts'
import type { EngineOptions } from '@vision-queue/engine/messages'
import { type Fate, takeFate } from './fates.ts'

/**
 * A model without a graph, whose questions say what goes wrong; anything else is echoed.
 * `die`: the process kills itself during the run, as a native crash would end it; `die preparing`:
 * while the job is prepared; `hang`: the run never ends; `throw`: it throws; `sleep 300`: it blocks
 * the thread for 300 ms; `wait 300`: the run takes 300 ms and does not block the thread; `grow 64`: it holds 64 MB more
 * from then on; `eat`: it takes more and more and never ends; `environment`: answers with the names of its environment
 * variables; `device`: with the number of its device; `images`: with the sizes of the job's images.
 * A model named `stepping` answers in steps of 10 ms, as many as the question says (`5 steps`), and
 * kills itself at the third step of a question that says `die`. A model named `unloadable` says that it can't be loaded.
 * A file `fates.json` in the model's folder holds what becomes of its next processes while they load, one each (see
 * writeFates).
 */
export async function loadUnrulyModel({
  name,
  version,
  folder,
  execution,
}: EngineOptions): Promise<EngineModel<string>> {
  if (name === 'unloadable') throw new TypeError('secret path of the model')
  meetFate(takeFate(folder))
  const deviceId = execution?.deviceId ?? null
  const manifest = { name, version, task: 'echo', variant: 'fp32', provider: 'cpu', maxBatchSize: 4, labels: null }
  return {
    ...(name === 'stepping' ? { openSteps } : {}),
    manifest: { ...manifest, inputSchema: {}, parametersSchema: {}, outputSchema: {} },
    async prepare({ input, images }) {
      const question = typeof input['question'] === 'string' ? input['question'] : ''
      if (question === 'die preparing') process.kill(process.pid, 'SIGKILL')
      return question === 'images' ? images.map(({ byteLength }) => byteLength).join(' ') : question
    },
    async run(questions) {
      for (const question of questions) {
        if (question === 'die') process.kill(process.pid, 'SIGKILL')
        if (question === 'throw') throw new Error('a tensor of 12 values')
        if (question === 'hang') block(Infinity)
        if (question === 'eat') eat()
      }
      for (const mb of numbersAfter('grow', questions)) held.push(Buffer.alloc(mb * 2 ** 20, 1))
      block(Math.max(0, ...numbersAfter('sleep', questions)))
      const [waitMs = 0] = numbersAfter('wait', questions)
      if (waitMs > 0) await delay(waitMs)
      return questions.map((question) => ({
        answer: question === 'environment' ? Object.keys(process.env) : question === 'device' ? deviceId : question,
        pid: process.pid,
      }))
    },
  }
}

const held: Buffer[] = []

const openSteps: NonNullable<EngineModel<string>['openSteps']> = (events) =>
  createStepBatcher(
    {
      maxRows: 4,
      rowsOf: () => 1,
      start: async (questions: readonly string[]) =>
        questions.map((question) => ({ question, steps: Number.parseInt(question, 10), done: 0 })),
      choose: (sequences) => sequences,
      phaseOf: ({ done }) => (done === 0 ? 'prefill' : 'decode'),
      async step(sequences) {
        block(10)
        return sequences.map((sequence) => {
          sequence.done += 1
          if (sequence.done === 3 && sequence.question.includes('die')) process.kill(process.pid, 'SIGKILL')
          const output = sequence.done < sequence.steps ? null : { answer: sequence.question, pid: process.pid }
          return { piece: { text: String(sequence.done % 10), index: sequence.done - 1 }, output }
        })
      },
    },
    events,
  )

/** The numbers of the questions that begin with the word. */
function numbersAfter(word: string, questions: readonly string[]): number[] {
  return questions.flatMap((question) => {
    const [first, number] = question.split(' ')
    return first === word ? Number(number) : []
  })
}

function meetFate(fate: Fate | null): void {
  if (fate === 'SIGKILL' || fate === 'SIGSEGV') process.kill(process.pid, fate)
  if (fate === 'hang') block(Infinity)
  if (fate === 'out of memory') throw new Error('std::bad_alloc')
}

function eat(): never {
  for (;;) {
    held.push(Buffer.alloc(16 * 2 ** 20, 1))
    block(10)
  }
}

function block(milliseconds: number): void {
  if (milliseconds > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}
