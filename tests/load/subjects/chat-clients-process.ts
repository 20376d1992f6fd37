import { setTimeout as sleep } from 'node:timers/promises'

import { createAskChat } from './ask-chat.ts'
import { chatPlanSchema } from './chat-plan.ts'
import { Counter, serveDrive } from './serve-drive.ts'

/** The clients of a load of chats. Argument: ChatPlan as JSON. At a pause what is under way is given up. */
const plan = chatPlanSchema.parse(JSON.parse(process.argv[2] ?? 'null'))
const ask = createAskChat(plan)
const counter = new Counter()
let asked = 0
let pausing = new AbortController()
let running: Promise<void>[] = []

async function client(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const question = plan.questions[asked % plan.questions.length]
    asked += 1
    if (question === undefined) return
    try {
      const { tokens, firstTextMs, wholeMs } = await ask(question, signal)
      counter.done(1, wholeMs)
      counter.generated(tokens, firstTextMs)
    } catch (error) {
      if (signal.aborted) return
      counter.failed(String(error))
      await sleep(20)
    }
  }
}

serveDrive(counter, {
  async go() {
    pausing = new AbortController()
    const { signal } = pausing
    running = Array.from({ length: plan.clients }, async () => client(signal))
  },
  async pause() {
    pausing.abort()
    await Promise.all(running)
    running = []
  },
})
