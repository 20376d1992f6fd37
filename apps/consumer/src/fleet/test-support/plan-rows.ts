import type { ModelManifest, VariantDecision } from '@vision-queue/protocol'
import { expect, test } from 'vitest'

import type { Action } from '../action.ts'
import { type Actual, type ActualVersion, emptyVersion, type Failure, type Pool } from '../actual.ts'
import type { Desired, DesiredVersion } from '../desired.ts'
import { parseModelPolicy } from '../model-policy.ts'
import { plan } from '../plan.ts'

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
export const at = 10_000
export const files: Partial<DesiredVersion> = {}
export const newFiles = { signature: 'new' }
export const copying = { signature: 'new', settled: false }
export const unload = { order: { wanted: 'unloaded', at: 1, reloadAt: 0 } } as const
export const load = { order: { wanted: 'loaded', at: 1, reloadAt: 0 } } as const
export const reload = { order: { wanted: 'configured', at: 0, reloadAt: 7 } } as const

export const fp16: VariantDecision = { graph: 'fp16', reason: 'the provider is no CPU', at: 1 }
export const obey = { decision: fp16, obstacle: null }
export const cannot = { decision: fp16, obstacle: 'it has no GPU.' }

export function manifest(
  choice: VariantDecision = { graph: 'fp32', reason: 'it is all there is', at: null },
): ModelManifest {
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

export function pool(id: number, state: Pool['state'], more: Partial<Pool> & { key?: string } = {}): Pool {
  const { key = 'files 0', ...rest } = more
  const target = { folder: '/models/a', key, attempt: '0' }
  return { id, target, following: null, state, trouble: null, inFlight: 0, ...rest }
}
export const loading: Pool['state'] = { phase: 'loading' }
export const loaded: Pool['state'] = { phase: 'loaded', manifest: manifest(), fleet: null }
export const refused: Pool['state'] = { phase: 'refused', detail: 'no graph in /models/a' }
export const runs: Pool['state'] = { phase: 'running', fleet: null }
export const retired: Pool['state'] = { phase: 'retired', overdue: false }
export const lost = { trouble: { detail: 'killed', retryAt: 1, lost: true } }

export const running = (id: number, more: Parameters<typeof pool>[2] = {}): Partial<ActualVersion> => ({
  pools: [pool(id, runs, more)],
  manifest: manifest(),
})
export const failed = (more: Partial<Failure> = {}): Partial<ActualVersion> => ({
  failure: { key: 'files 0', attempt: '0', sentence: 'no graph', outvoted: false, ...more },
})

function desiredOf({ models = 'a', folders = {}, aliases = {}, pinned = {}, problems = [] }: Row): Desired {
  const selection = parseModelPolicy(models).of('a')
  if (selection === null) throw new Error('Not selected')
  const versions = Object.entries(folders).map(([version, found]): [string, DesiredVersion] => {
    const order = { wanted: 'configured', at: 0, reloadAt: 0 } as const
    return [version, { folder: '/models/a', signature: 'files', settled: true, order, ...found }]
  })
  const model = { selection, versions: new Map(versions), aliases, pinned: new Map(Object.entries(pinned)), waiting: 0 }
  return { at, lingerMs: 5000, models: new Map([['a', model]]), loads: { atOnce: 9, first: [] }, problems }
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

/** A test for each row, named after its rule. */
export function check(rows: Record<string, Row>): void {
  test.each(Object.entries(rows))('%s', (_, row) => {
    const [desired, actual] = [desiredOf(row), actualOf(row)]
    const before = structuredClone({ desired, actual })
    expect(plan(desired, actual).map(spoken)).toEqual(row.steps)
    // Planning changes nothing.
    expect({ desired, actual }).toEqual(before)
  })
}
