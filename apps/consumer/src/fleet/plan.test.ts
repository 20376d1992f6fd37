// oxlint-disable max-lines -- because it is one table, a row for each rule
import type { ModelManifest, VariantDecision } from '@vision-queue/protocol'
import { describe, expect, test } from 'vitest'

import type { Action } from './action.ts'
import { type Actual, type ActualVersion, emptyVersion, type Failure, type Pool } from './actual.ts'
import type { Desired, DesiredVersion } from './desired.ts'
import { parseModelPolicy } from './model-policy.ts'
import { plan } from './plan.ts'

/**
 * One rule each: what is wanted of model `a`, what is open here, and the steps that follow at once. What a row leaves
 * out is as in a consumer at rest: all folders are known, aliases point where their file says.
 */
interface Row {
  /** MODELS. Default: `a`, its latest version. */
  models?: string
  /** The repository. */
  folders?: Record<string, Partial<DesiredVersion>>
  aliases?: Record<string, string>
  pinned?: Record<string, number>
  problems?: string[]
  /** Null: the model is new here. */
  here?: Record<string, Partial<ActualVersion>> | null
  pointing?: Record<string, string>
  /** Queues; `others`: of jobs that are not pinned. */
  taking?: string[]
  seen?: Record<string, number | null>
  reported?: string[]
  steps: string[]
}

/** The look took place at 10,000 ms; what is replaced lingers for 5000 ms. */
const at = 10_000
const files: Partial<DesiredVersion> = {}
const newFiles = { signature: 'new' }
const copying = { signature: 'new', settled: false }
const unload = { order: { wanted: 'unloaded', at: 1, reloadAt: 0 } } as const
const load = { order: { wanted: 'loaded', at: 1, reloadAt: 0 } } as const
const reload = { order: { wanted: 'configured', at: 0, reloadAt: 7 } } as const

const fp16: VariantDecision = { graph: 'fp16', reason: 'the provider is no CPU', at: 1 }
const obey = { decision: fp16, obstacle: null }
const cannot = { decision: fp16, obstacle: 'it has no GPU.' }

function manifest(choice: VariantDecision = { graph: 'fp32', reason: 'it is all there is', at: null }): ModelManifest {
  return {
    name: 'a',
    version: '1',
    task: 'image-classification',
    variant: choice.graph,
    choice: { ...choice, basis: 'capability' },
    provider: 'cpu',
    maxBatchSize: 8,
    inputSchema: {},
    parametersSchema: {},
    outputSchema: {},
    labels: null,
  }
}

function pool(id: number, state: Pool['state'], more: Partial<Pool> & { key?: string } = {}): Pool {
  const { key = 'files 0', ...rest } = more
  const target = { folder: '/models/a', key, attempt: '0' }
  return { id, target, following: null, state, trouble: null, inFlight: 0, ...rest }
}
const loading: Pool['state'] = { phase: 'loading' }
const loaded: Pool['state'] = { phase: 'loaded', manifest: manifest(), fleet: null }
const refused: Pool['state'] = { phase: 'refused', detail: 'no graph in /models/a' }
const runs: Pool['state'] = { phase: 'running', fleet: null }
const retired: Pool['state'] = { phase: 'retired', overdue: false }
const lost = { trouble: { detail: 'killed', retryAt: 1, lost: true } }

const running = (id: number, more: Parameters<typeof pool>[2] = {}): Partial<ActualVersion> => ({
  pools: [pool(id, runs, more)],
  manifest: manifest(),
})
const failed = (more: Partial<Failure> = {}): Partial<ActualVersion> => ({
  failure: { key: 'files 0', attempt: '0', sentence: 'no graph', outvoted: false, ...more },
})

function desiredOf({ models = 'a', folders = {}, aliases = {}, pinned = {}, problems = [] }: Row): Desired {
  const selection = parseModelPolicy(models).of('a')
  if (selection === null) throw new Error('Not selected')
  const versions = Object.entries(folders).map(([version, found]): [string, DesiredVersion] => {
    const order = { wanted: 'configured', at: 0, reloadAt: 0 } as const
    return [version, { folder: '/models/a', signature: 'files', settled: true, order, ...found }]
  })
  const model = { selection, versions: new Map(versions), aliases, pinned: new Map(Object.entries(pinned)) }
  return { at, lingerMs: 5000, models: new Map([['a', model]]), problems }
}

function actualOf(row: Row): Actual {
  const { folders = {}, aliases = {}, here = {}, pointing = aliases, taking = [], reported = [] } = row
  const known = Object.fromEntries(Object.keys(folders).map((version) => [version, null]))
  const actual: Actual = { models: new Map(), problems: new Set(reported), nextPoolId: 9 }
  if (here === null) return actual
  const versions = Object.entries(here).map(([version, one]) => [version, { ...emptyVersion(), ...one }] as const)
  actual.models.set('a', {
    versions: new Map(versions),
    aliases: new Map(Object.entries(pointing)),
    taking: new Set(taking.map((queue) => (queue === 'others' ? null : queue))),
    folders: new Map(Object.entries(row.seen ?? known)),
  })
  return actual
}

function spoken(action: Action): string {
  switch (action.kind) {
    case 'report':
    case 'end-report':
      return `${action.kind} ${action.problem}`
    case 'add-model':
      return [action.kind, ...action.waitedFor].join(' ')
    case 'point-aliases':
      return `point-aliases ${JSON.stringify(Object.fromEntries(action.aliases))}`
    case 'open-pool':
      return `open ${action.version} (${action.target.key})${action.following === null ? '' : ` as ${action.following.graph}`}`
    case 'take-over':
      return `pool ${action.pool} takes over ${action.version}`
    case 'retire-pool':
    case 'close-pool':
      return `${action.kind.split('-')[0]} pool ${action.pool}`
    case 'fail':
      return `fail ${action.version}: ${action.failure.sentence}${action.failure.outvoted ? ' (outvoted)' : ''}`
    case 'take-jobs':
    case 'stop-taking':
      return `${action.kind} ${action.pinnedTo ?? 'others'}`
    case 'see-folder':
    case 'miss-folder':
    case 'forget':
    case 'clear-failure':
    case 'date-decision':
    case 'keep-for-pinned':
    case 'end-keeping':
    case 'remove-version':
      return `${action.kind} ${action.version}`
    default:
      return action satisfies never
  }
}

function check(rows: Record<string, Row>): void {
  test.each(Object.entries(rows))('%s', (_, row) => {
    const [desired, actual] = [desiredOf(row), actualOf(row)]
    const before = structuredClone({ desired, actual })
    expect(plan(desired, actual).map(spoken)).toEqual(row.steps)
    // Planning changes nothing.
    expect({ desired, actual }).toEqual(before)
  })
}

describe('what is loaded', () => {
  check({
    'a new model begins with the versions that pinned jobs wait for': {
      folders: { 1: files, 2: files },
      pinned: { 1: 3, 2: 0 },
      here: null,
      steps: ['add-model 1'],
    },
    'the latest version is the highest': { folders: { 9: files, 10: files }, steps: ['open 10 (files 0)'] },
    'all selected versions are loaded side by side': {
      models: 'a@*',
      folders: { 1: files, 2: files },
      steps: ['open 2 (files 0)', 'open 1 (files 0)'],
    },
    'one exact version is loaded and no other': {
      models: 'a@1',
      folders: { 1: files, 2: files },
      steps: ['open 1 (files 0)'],
    },
    'a version that stays for pinned jobs is loaded beside the latest': {
      folders: { 1: files, 2: files },
      here: { 1: { replacedAt: 9999 } },
      steps: ['open 2 (files 0)', 'open 1 (files 0)'],
    },
    'a folder that is still being copied is not loaded': { folders: { 1: { settled: false } }, steps: [] },
    'what loads is left to it': { folders: { 1: files }, here: { 1: { pools: [pool(1, loading)] } }, steps: [] },
    'what runs its files is left alone': {
      folders: { 1: files },
      here: { 1: running(1) },
      taking: ['others', '1'],
      steps: [],
    },
    'other files are loaded beside those that run': {
      folders: { 1: newFiles },
      here: { 1: running(1) },
      taking: ['others', '1'],
      steps: ['open 1 (new 0)'],
    },
    'files that change while they are loaded are loaded anew': {
      folders: { 1: newFiles },
      here: { 1: { pools: [pool(1, loading)] } },
      steps: ['close pool 1', 'open 1 (new 0)'],
    },
    'while a folder changes, what loads goes on': {
      folders: { 1: copying },
      here: { 1: { pools: [pool(1, loading)] } },
      steps: [],
    },
    'files that are put back end the load of those that came between': {
      folders: { 1: files },
      here: { 1: { pools: [pool(1, runs), pool(2, loading, { key: 'new 0' })] } },
      taking: ['others', '1'],
      steps: ['close pool 2'],
    },
  })
})

describe('what became of a load', () => {
  check({
    'a loaded pool takes over': {
      folders: { 1: files },
      here: { 1: { pools: [pool(1, loaded)] } },
      steps: ['pool 1 takes over 1'],
    },
    'the pool before it takes no more jobs': {
      folders: { 1: newFiles },
      here: { 1: { pools: [pool(1, runs), pool(2, loaded, { key: 'new 0' })] } },
      taking: ['others', '1'],
      steps: ['retire pool 1', 'pool 2 takes over 1'],
    },
    'refused files are told, without where they lie': {
      folders: { 1: files },
      here: { 1: { pools: [pool(1, refused)] } },
      steps: ['close pool 1', 'fail 1: no graph in 1'],
    },
    'files that failed are not tried again': { folders: { 1: files }, here: { 1: failed() }, steps: [] },
    'files that failed beside what runs leave it running': {
      folders: { 1: newFiles },
      here: { 1: { ...running(1), ...failed({ key: 'new 0' }) } },
      taking: ['others', '1'],
      steps: [],
    },
    'a failed folder that has changed is tried again': {
      folders: { 1: newFiles },
      here: { 1: failed() },
      steps: ['open 1 (new 0)'],
    },
    'a failed folder is not tried while it changes': { folders: { 1: copying }, here: { 1: failed() }, steps: [] },
    'a failure is forgiven once the files that run are back': {
      folders: { 1: files },
      here: { 1: { ...running(1), ...failed({ key: 'new 0' }) } },
      taking: ['others', '1'],
      steps: ['clear-failure 1'],
    },
    'below a version that failed the next one is loaded': {
      folders: { 1: files, 2: files },
      here: { 2: failed() },
      steps: ['open 1 (files 0)'],
    },
    'below a version whose engines die while they load the next one is loaded, and the first is still tried': {
      folders: { 1: files, 2: files },
      here: { 2: { pools: [pool(1, loading, lost)] } },
      steps: ['open 1 (files 0)'],
    },
    'the version below is given up once the one above has loaded': {
      folders: { 1: files, 2: files },
      here: { 1: { pools: [pool(1, loading)] }, 2: running(2) },
      taking: ['others', '2'],
      steps: ['close pool 1'],
    },
  })
})

describe('replaced versions', () => {
  check({
    'while the new version warms, the old one serves': {
      folders: { 1: files, 2: files },
      here: { 1: running(1), 2: { pools: [pool(2, loading)] } },
      taking: ['others', '1'],
      steps: [],
    },
    'once the new one is ready, the old one stays for pinned jobs alone': {
      folders: { 1: files, 2: files },
      here: { 1: running(1), 2: running(2) },
      taking: ['others', '1'],
      steps: ['keep-for-pinned 1'],
    },
    'if the new one fails, the old one serves on': {
      folders: { 1: files, 2: files },
      here: { 1: running(1), 2: failed() },
      taking: ['others', '1'],
      steps: [],
    },
    'an old version of an alias is no successor of the one that serves': {
      folders: { 1: files, 2: files, 3: files },
      aliases: { stable: '1' },
      here: { 1: running(1), 2: running(2), 3: { pools: [pool(3, loading)] } },
      taking: ['others', '1', '2'],
      steps: [],
    },
    'it stays while pinned jobs wait': {
      folders: { 1: files, 2: files },
      pinned: { 1: 1 },
      here: { 1: { ...running(1), replacedAt: 0 }, 2: running(2) },
      taking: ['others', '1', '2'],
      steps: [],
    },
    'it stays a while in any case, for an API that has not heard of its end': {
      folders: { 1: files, 2: files },
      pinned: { 1: 0 },
      here: { 1: { ...running(1), replacedAt: 5001 }, 2: running(2) },
      taking: ['others', '1', '2'],
      steps: [],
    },
    'it stays if Redis did not say whether jobs wait': {
      folders: { 1: files, 2: files },
      here: { 1: { ...running(1), replacedAt: 0 }, 2: running(2) },
      taking: ['others', '1', '2'],
      steps: [],
    },
    'it goes after the last pinned job': {
      folders: { 1: files, 2: files },
      pinned: { 1: 0 },
      here: { 1: { ...running(1), replacedAt: 5000 }, 2: running(2) },
      taking: ['others', '1', '2'],
      steps: ['retire pool 1', 'end-keeping 1'],
    },
    'it is no longer on its way out when it is wanted again': {
      folders: { 1: files, 2: unload },
      here: { 1: { ...running(1), replacedAt: 0 } },
      taking: ['1'],
      steps: ['end-keeping 1'],
    },
    'a retired pool finishes its jobs': {
      folders: { 1: files },
      here: { 1: { pools: [pool(1, retired, { inFlight: 1 }), pool(2, runs)] } },
      taking: ['others', '1'],
      steps: [],
    },
    'a retired pool is closed after its last job': {
      folders: { 1: files },
      here: { 1: { pools: [pool(1, retired), pool(2, runs)] } },
      taking: ['others', '1'],
      steps: ['close pool 1'],
    },
    'a retired pool that takes too long is closed': {
      folders: { 1: files },
      here: { 1: { pools: [pool(1, { phase: 'retired', overdue: true }, { inFlight: 1 }), pool(2, runs)] } },
      taking: ['others', '1'],
      steps: ['close pool 1'],
    },
  })
})

describe('orders', () => {
  check({
    'unload ends what runs, whatever is selected': {
      models: 'a@*',
      folders: { 1: unload },
      here: { 1: running(1) },
      taking: ['others', '1'],
      steps: ['retire pool 1'],
    },
    'unload ends what loads, and what stayed for pinned jobs': {
      folders: { 1: unload },
      here: { 1: { pools: [pool(1, loading)], replacedAt: 9999 } },
      steps: ['close pool 1', 'end-keeping 1'],
    },
    'unload of the latest goes back to the version before': {
      folders: { 1: files, 2: unload },
      steps: ['open 1 (files 0)'],
    },
    'load brings a version beside what is selected': {
      folders: { 1: load, 2: files },
      here: { 2: running(1) },
      taking: ['others', '2'],
      steps: ['open 1 (files 0)'],
    },
    'load tries a failed version again': { folders: { 1: load }, here: { 1: failed() }, steps: ['open 1 (files 0)'] },
    'reload loads the same files beside those that run': {
      folders: { 1: reload },
      here: { 1: running(1) },
      taking: ['others', '1'],
      steps: ['open 1 (files 7)'],
    },
    'reload tries a failed version again': {
      folders: { 1: reload },
      here: { 1: failed() },
      steps: ['open 1 (files 7)'],
    },
  })
})

describe('aliases', () => {
  check({
    'the version of an alias is loaded beside the latest': {
      folders: { 1: files, 2: files },
      aliases: { stable: '1' },
      steps: ['open 2 (files 0)', 'open 1 (files 0)'],
    },
    'an alias is announced as its file says': {
      folders: { 1: files },
      aliases: { stable: '1' },
      pointing: {},
      steps: ['point-aliases {"stable":"1"}'],
    },
    'an alias that is pointed elsewhere keeps its version until the other one is ready': {
      models: 'a@3',
      folders: { 1: files, 2: files, 3: files },
      aliases: { stable: '2' },
      pointing: { stable: '1' },
      here: { 1: running(1), 2: { pools: [pool(2, loading)] }, 3: running(3) },
      taking: ['others', '1', '3'],
      steps: [],
    },
    'an alias follows when the other version is ready': {
      folders: { 1: files, 2: files },
      aliases: { stable: '2' },
      pointing: { stable: '1' },
      here: { 1: running(1), 2: running(2) },
      taking: ['others', '1', '2'],
      steps: ['point-aliases {"stable":"2"}'],
    },
    'an alias does not wait for another version if its own is not ready either': {
      models: 'a@3',
      folders: { 1: files, 2: files, 3: files },
      aliases: { stable: '2' },
      pointing: { stable: '1' },
      here: { 1: { pools: [pool(1, loading)] }, 2: { pools: [pool(2, loading)] }, 3: running(3) },
      taking: ['others', '3'],
      steps: ['point-aliases {"stable":"2"}'],
    },
    'an alias is pointed at once to a version that will not come': {
      folders: { 1: files },
      aliases: { stable: '7' },
      pointing: { stable: '1' },
      here: { 1: running(1) },
      taking: ['others', '1'],
      steps: ['point-aliases {"stable":"7"}'],
    },
  })
})

describe('the repository', () => {
  check({
    'a new folder is noted': { folders: { 1: { settled: false } }, seen: {}, steps: ['see-folder 1'] },
    'a folder that left is noted': { seen: { 1: null }, steps: ['miss-folder 1'] },
    'a version that left is forgotten, not at the same look': { seen: { 1: at }, steps: [] },
    'a version that left is forgotten at the next look': { seen: { 1: 9000 }, steps: ['forget 1'] },
    'a folder that came back is not forgotten': { folders: { 1: copying }, seen: { 1: 9000 }, steps: ['see-folder 1'] },
    'a version whose folder left ends': { here: { 1: running(1) }, taking: ['others', '1'], steps: ['retire pool 1'] },
    'of a version whose folder left something is there until its engines have ended': {
      here: { 1: { pools: [pool(1, { phase: 'closing' })] } },
      steps: [],
    },
    'nothing stays of a version whose folder left': { here: { 1: emptyVersion() }, steps: ['remove-version 1'] },
    'a version that MODELS names and that is not there is told with those that are': {
      models: 'a@9',
      folders: { 1: files, 2: files },
      steps: ['fail 9: a has no version 9; it has: 2, 1.'],
    },
    'that is told once': {
      models: 'a@9',
      here: { 9: failed({ key: '', attempt: '', sentence: 'a has no version 9; it has: none.' }) },
      steps: [],
    },
    'a named version whose folder left ends and is told': {
      models: 'a@9',
      here: { 9: running(1, lost) },
      steps: ['retire pool 1', 'fail 9: a has no version 9; it has: none.'],
    },
    'a named version is loaded when it comes': {
      models: 'a@9',
      folders: { 9: files },
      here: { 9: failed({ key: '', attempt: '', sentence: 'a has no version 9; it has: none.' }) },
      steps: ['open 9 (files 0)'],
    },
    'a problem is told when it begins': { problems: ['empty'], steps: ['report empty'] },
    'a problem is not told again while it lasts': { problems: ['empty'], reported: ['empty'], steps: [] },
    'a problem that is over may be told again': { reported: ['empty'], steps: ['end-report empty'] },
  })
})

describe('the variant of the fleet', () => {
  const decided = { phase: 'loaded', manifest: manifest(), fleet: obey } as const
  const undecided = { phase: 'loaded', manifest: manifest(), fleet: cannot } as const
  check({
    'another variant than this machine would choose is loaded in its place': {
      folders: { 1: files },
      here: { 1: { pools: [pool(1, decided)] } },
      steps: ['close pool 1', 'open 1 (files 0) as fp16'],
    },
    'a pool that follows takes over without asking again': {
      folders: { 1: files },
      here: { 1: { pools: [pool(1, decided, { following: fp16 })] } },
      steps: ['pool 1 takes over 1'],
    },
    'a pool of the same variant takes over': {
      folders: { 1: files },
      here: { 1: { pools: [pool(1, { phase: 'loaded', manifest: manifest(fp16), fleet: obey })] } },
      steps: ['pool 1 takes over 1'],
    },
    'a machine that must not run the variant does not serve': {
      folders: { 1: files },
      here: { 1: { pools: [pool(1, undecided)] } },
      steps: [
        'close pool 1',
        "fail 1: The fleet runs the fp16 variant of these files since 1970-01-01T00:00:00.001Z (the provider is no CPU), which this consumer can't: it has no GPU. (outvoted)",
      ],
    },
    'a machine that cannot load the variant does not serve': {
      folders: { 1: files },
      here: { 1: { pools: [pool(1, refused, { following: fp16 })] } },
      steps: [
        'close pool 1',
        "fail 1: The fleet runs the fp16 variant of these files since 1970-01-01T00:00:00.001Z (the provider is no CPU), which this consumer can't: no graph in 1 (outvoted)",
      ],
    },
    'what it runs ends if it cannot follow': {
      folders: { 1: files },
      here: { 1: { ...running(1), ...failed({ outvoted: true }) } },
      taking: ['others', '1'],
      steps: ['retire pool 1'],
    },
    'below a version that cannot follow no older one is loaded': {
      folders: { 1: files, 2: files },
      here: { 2: failed({ outvoted: true }) },
      steps: [],
    },
    'a later decision is followed beside what runs': {
      folders: { 1: files },
      here: { 1: { pools: [pool(1, { phase: 'running', fleet: obey })], manifest: manifest() } },
      taking: ['others', '1'],
      steps: ['open 1 (files 0) as fp16'],
    },
    'a later decision waits while other files load': {
      folders: { 1: newFiles },
      here: {
        1: {
          pools: [pool(1, { phase: 'running', fleet: obey }), pool(2, loading, { key: 'new 0' })],
          manifest: manifest(),
        },
      },
      taking: ['others', '1'],
      steps: [],
    },
    'the same decision with another date is announced with it': {
      folders: { 1: files },
      here: { 1: { pools: [pool(1, { phase: 'running', fleet: obey })], manifest: manifest({ ...fp16, at: 0 }) } },
      taking: ['others', '1'],
      steps: ['date-decision 1'],
    },
    'the same decision changes nothing': {
      folders: { 1: files },
      here: { 1: { pools: [pool(1, { phase: 'running', fleet: obey })], manifest: manifest(fp16) } },
      taking: ['others', '1'],
      steps: [],
    },
  })
})

describe('queues', () => {
  check({
    'what is ready takes its pinned jobs, and those that name no version': {
      folders: { 1: files },
      here: { 1: running(1) },
      steps: ['take-jobs others', 'take-jobs 1'],
    },
    'a version that stays for pinned jobs takes no others': {
      folders: { 1: files, 2: files },
      here: { 1: { ...running(1), replacedAt: 9999 }, 2: { pools: [pool(2, loading)] } },
      steps: ['take-jobs 1'],
    },
    'a version that has lost its engines takes no more jobs, and is not loaded anew': {
      folders: { 1: files },
      here: { 1: running(1, lost) },
      taking: ['others', '1'],
      steps: ['stop-taking others', 'stop-taking 1'],
    },
    'it takes jobs again when an engine is back': {
      folders: { 1: files },
      here: { 1: running(1, { trouble: { detail: 'killed', retryAt: 1, lost: false } }) },
      steps: ['take-jobs others', 'take-jobs 1'],
    },
    'without a version that may serve, pinned jobs alone are taken': {
      folders: { 1: files, 3: files },
      aliases: { stable: '1' },
      here: { 1: running(1), 3: failed({ outvoted: true }) },
      taking: ['others', '1'],
      steps: ['stop-taking others'],
    },
    'what was unloaded takes no jobs': {
      folders: { 1: unload },
      here: { 1: { pools: [pool(1, retired, { inFlight: 1 })] } },
      taking: ['others', '1'],
      steps: ['stop-taking others', 'stop-taking 1'],
    },
  })
})
