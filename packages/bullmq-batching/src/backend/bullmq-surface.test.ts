import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import * as bullmq from 'bullmq'
import { expect, test } from 'vitest'

/**
 * What we lean on in BullMQ beyond its documentation. A failure here is no fault by itself: it says that the new
 * version changed something that the batching backend copies in meaning. Read the difference, mend our steps if the
 * meaning changed, run BullMQ's own test suite on the backend (docs/decisions/0058), and then write the new values here.
 */
const packageFile = createRequire(import.meta.url).resolve('bullmq/package.json')
const folder = dirname(packageFile)
const commands = join(folder, 'dist/esm/commands')

function read(file: string): string {
  return readFileSync(file, 'utf8')
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

/** A script's text with all that it includes, in the order of reading. */
function whole(file: string, seen = new Set<string>()): string {
  if (seen.has(file)) return ''
  seen.add(file)
  const text = read(file)
  const parts = [...text.matchAll(/^--- @include "(.+)"/gm)].map(([, name = '']) =>
    whole(join(dirname(file), `${name}.lua`), seen),
  )
  return [text, ...parts].join('\n')
}

test('the pinned version is the one that was reviewed, and is pinned exactly', () => {
  const own: unknown = JSON.parse(read(new URL('../../package.json', import.meta.url).pathname))
  // Of whoever uses this package, so that there is one.
  expect(own).toMatchObject({ peerDependencies: { bullmq: '6.7.0' } })
  expect(own).not.toHaveProperty('dependencies')
  expect(JSON.parse(read(packageFile))).toMatchObject({ version: '6.7.0' })
})

test.each([
  ['addStandardJob-9', 'src/steps/add-step.ts'],
  ['addPrioritizedJob-9', 'src/steps/add-step.ts'],
  ['moveToActive-11', 'src/steps/take-step.ts'],
  ['moveToFinished-14', 'src/steps/finish-step.ts, and finishes that BullMQ itself does'],
  ['moveJobFromActiveToWait-9', 'src/steps/back-step.ts'],
  ['moveStalledJobsToWait-9', 'the locks and the set `stalled`'],
  ['extendLocks-1', 'the locks'],
  ['pause-7', 'the field `paused` and the marker'],
])('%s does what it did: else review %s', (script) => {
  expect(digest(whole(join(commands, `${script}.lua`)))).toMatchSnapshot()
})

test('no script came or went', () => {
  expect(readdirSync(commands).filter((name) => name.endsWith('.lua'))).toMatchSnapshot()
})

test('IQueueBackend has the methods that it had, with the same parameters: a new one may need a lock translated', () => {
  const declared = read(join(folder, 'dist/esm/interfaces/queue-backend.d.ts')).replaceAll(/\/\*[\s\S]*?\*\//g, '')
  expect(declared.replaceAll(/\s+/g, ' ')).toMatchSnapshot()
})

test('RedisQueueBackend’s parts that we call or replace are as they were', () => {
  const names = [
    'constructor',
    'addJob',
    'addJobs',
    'moveToActive',
    'moveToCompleted',
    'moveToFailed',
    'moveToDelayed',
    'retryJob',
    'moveJobFromActiveToWait',
    'moveToWaitingChildren',
    'extendLock',
    'extendLocks',
    'waitForJob',
    'disconnectBlocking',
    'reconnectBlocking',
    'close',
    'getKeepJobs',
    'finishedErrors',
    'toKey',
    'addJobToTransaction',
    'moveToFinishedArgs',
  ]
  const sources = names.map((name) => {
    const method: unknown = Reflect.get(bullmq.RedisQueueBackend.prototype, name)
    return [name, typeof method === 'function' ? digest(method.toString()) : 'gone']
  })
  const functions = [bullmq.createRedisBackend, bullmq.raw2NextJobData].map((one) => [one.name, digest(one.toString())])
  expect(Object.fromEntries([...sources, ...functions])).toMatchSnapshot()
})

test('the Worker asks as it did: one after the other, again at once, and with its own tokens', () => {
  const names = [
    'mainLoop',
    '_getNextJob',
    'nextJobFromJobData',
    'handleCompleted',
    'handleFailed',
    'close',
    'pause',
    'whenCurrentJobsFinished',
  ]
  const sources = names.map((name) => {
    const method: unknown = Reflect.get(bullmq.Worker.prototype, name)
    return [name, typeof method === 'function' ? digest(method.toString()) : 'gone']
  })
  expect(Object.fromEntries(sources)).toMatchSnapshot()
})

test('job options are those that were reviewed: a new one goes BullMQ’s own way until plain-job.ts knows it', () => {
  const declared = ['interfaces/base-job-options.d.ts', 'types/job-options.d.ts', 'interfaces/worker-options.d.ts'].map(
    (file) =>
      read(join(folder, 'dist/esm', file))
        .replaceAll(/\/\*[\s\S]*?\*\//g, '')
        .replaceAll(/\s+/g, ' '),
  )
  expect(declared).toMatchSnapshot()
})
