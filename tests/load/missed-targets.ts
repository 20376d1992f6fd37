import { isMet, type StoredFigures } from './figures.ts'

/** Why targets of some scenarios are not met, and what that was told from. */
interface Reason {
  scenarios: readonly string[]
  text: string
}

/** What a scenario measures itself is in its section; what was measured by hand says how. */
export const reasons: readonly Reason[] = [
  {
    scenarios: ['cost', 'cost-photo', 'cost-real'],
    text: 'Side by side with the revision that the targets were set at (3734fe2), a job of 50 KB cost 28.9 E there and costs 18.5 E apart and 22.2 E in one process, where all of it but the engine shares a thread (an echo is cheaper on some days than on others, 40 to 75 us here, and jobs are not: 15 to 20 E apart were measured of the same code); the targets are two fifths and a quarter of what was. An echo of the body is 1 E, and what a bare BullMQ queue takes to add, take and finish jobs that hold nothing is 3.0 E more. What is left is spread thin: of the API’s samples no function has more than 6 %; 17 % are objects copied by `...` or given new hidden classes, 13 % collections of garbage, 12 % the kernel ([decision 89](decisions/0089-what-was-looked-for-in-the-cost-of-a-job.md), which also tells what was tried and gave nothing). Of another shape would be a loop of our own in place of BullMQ’s Worker, 0.8 to 1.6 E of the consumer; [decision 58](decisions/0058-a-turn-of-the-queue.md) says why not.',
  },
  {
    scenarios: ['cost-real', 'latency', 'naive', 'end-to-end', 'end-to-end-photos'],
    text: 'Jobs that come slowly cost more, in every process alike. With one client, where each job wakes each process by itself, Redis takes 0.70 ms of CPU a job and with 64 clients 0.30, though its code is the same C; the API 1.5 and 0.49, the consumer 1.5 and 0.36 (`naive`). So it is wake-ups with cold caches that are paid for, and on this virtual machine they are dear: thirty timers a second that do nothing cost a bare Node process 3.9 ms a second, 0.13 ms each. A job passes through four processes and some twelve wake-ups; a naive server has one of each. With 8 clients batches are of two to four jobs, and those share their wake-ups ([decision 94](decisions/0094-waiting-for-the-next-one.md)); what is left there is that a run holds its engine’s thread, so that nothing is fetched meanwhile and an eighth of the cores’ time stays unused. Huge pages for Node’s own code and larger thresholds of the allocator changed nothing.',
  },
  {
    scenarios: ['idle'],
    text: 'At 0.13 ms a wake-up (above) 5 ms a second are 38 of them, with nothing done in any. A consumer with 16 queues has 25 a second and Redis 23, though what recurs runs at the same moments ([decision 84](decisions/0084-what-recurs-runs-together.md)): each queue’s look for stalled jobs, its blocking read and its clock, and the heartbeat. Each stands for a promise in seconds, such as how soon a dead consumer’s jobs are taken over; half as many would halve those. After some thousand jobs, when V8 has compiled what recurs, a service alone on its machine took 9.2 ms a second (consumer 5.5, Redis 3.2, API 0.3, engines nothing, in 30 s of `npm start`).',
  },
  {
    scenarios: ['start'],
    text: 'Of an engine’s 1,030 ms until it takes jobs (by its own reports, four starts): 50 are Node’s, 340 to 380 load the program (ONNX Runtime’s and libvips’ libraries and 2.8 MB of JavaScript), 120 read the folder and its texts, 230 open the session, the rest runs sample batches and asks whether rows of a batch change each other. V8’s code cache for the whole program took 30 ms off, no source maps 40; neither is worth a second way to load a program. The rest is promises kept before the first job instead of after it.',
  },
  {
    scenarios: ['chat'],
    text: 'Only decoding gains from batches here, and it is the smaller part of an answer. On one core, by the graphs alone, lower quartiles: the picture encoder takes 3.68 ms for one picture and 29.3 for 8; the decoder 3.00 ms for a prompt of 100 tokens and 22.3 for 8 of them; a step of it 0.39 ms for one row, 0.81 for 8 and 3.65 for 32. So an answer of 20 tokens is 14.5 ms by itself, 8.5 among 8 and 8.8 among 32: with a model this small, 1.7 is the most that batches can give, with no queue, no picture to decode and nobody to stream to. Those come on top and gain nothing.',
  },
]

/** The reasons of what is not met in these figures. */
export function reasonsOf(figures: StoredFigures): Reason[] {
  const missed = new Set(missedScenarios(figures))
  return reasons.filter(({ scenarios }) => scenarios.some((scenario) => missed.has(scenario)))
}

/** Scenarios with a target that is not met. */
export function missedScenarios(figures: StoredFigures): string[] {
  return Object.entries(figures).flatMap(([scenario, { targets }]) =>
    targets.some((target) => isMet(target) === false) ? [scenario] : [],
  )
}
