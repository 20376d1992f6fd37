import type { ModelManifest } from '@vision-queue/protocol'
import { expect, test } from 'vitest'

import { type Actual, comingPool, type Pool, readyPool, runningPool } from './actual.ts'
import type { Desired, DesiredModel, DesiredVersion } from './desired.ts'
import { highestFirst, parseModelPolicy, servingVersion } from './model-policy.ts'
import { plan } from './plan.ts'
import { type FleetEvent, recordAction, recordEvent } from './record.ts'
import { versionThatServes } from './selected-versions.ts'

/** A world in which anything may happen to one model: its folder, its orders, its engines and its jobs. */
interface World {
  desired: Desired
  actual: Actual
  model: DesiredModel & { versions: Map<string, DesiredVersion>; pinned: Map<string, number> }
  chance: Chance
}

type Chance = <Value>(values: readonly Value[]) => Value

/** Numbers that look random and are the same at every run (mulberry32, public domain). */
function chanceFrom(seed: number): Chance {
  let state = seed
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return (values) => {
    const chosen = values[Math.floor(next() * values.length)]
    if (chosen === undefined) throw new Error('Nothing to choose from')
    return chosen
  }
}

const names = ['1', '2', '3']
const graphs = ['fp32', 'fp16'] as const
const configured = { wanted: 'configured', at: 0, reloadAt: 0 } as const

function folder(signature: string): DesiredVersion {
  return { folder: '/models/a', signature, settled: true, order: configured }
}

function begin(seed: number): World {
  const chance = chanceFrom(seed)
  const selection = parseModelPolicy(chance(['a', 'a@*', 'a@2', 'a@1,a@3', 'a,a@1'])).of('a')
  if (selection === null) throw new Error('Not selected')
  const versions = new Map(names.slice(0, chance([0, 1, 2, 3])).map((version) => [version, folder('0')]))
  const pinned = new Map([['1', chance([0, 1])]])
  const model: World['model'] = { selection, versions, aliases: {}, pinned, waiting: 0 }
  const loads = { atOnce: chance([1, 2, 9]), first: [] }
  const actual: Actual = { models: new Map(), problems: new Set(), nextPoolId: 1 }
  return {
    desired: { at: 0, lingerMs: 3, models: new Map([['a', model]]), loads, problems: [] },
    actual,
    model,
    chance,
  }
}

/** Performs what is planned until there is nothing left to do, which has to come to an end. */
function settle({ desired, actual }: World): void {
  for (let rounds = 0; ; rounds += 1) {
    const actions = plan(desired, actual)
    if (actions.length === 0) return
    if (rounds > 30) throw new Error(`There is no end to it: ${JSON.stringify(actions)}`)
    for (const action of actions) recordAction(actual, action, { at: desired.at, now: desired.at })
  }
}

function poolsOf({ actual }: World): { version: string; pool: Pool }[] {
  return [...(actual.models.get('a')?.versions ?? [])].flatMap(([version, { pools }]) =>
    pools.map((pool) => ({ version, pool })),
  )
}

/** Something that happens to a pool, such as its phase allows. */
function happening({ chance }: World, { version, pool }: { version: string; pool: Pool }, kind: string): FleetEvent[] {
  const of = { model: 'a', version, pool: pool.id }
  const decision = { graph: chance(graphs), reason: 'chance', at: chance([1, 2]) }
  const fleet = chance([null, { decision, obstacle: null }, { decision, obstacle: 'it must not.' }])
  const lost = { detail: 'killed', retryAt: 1, lost: chance([true, false]) }
  switch (kind) {
    case 'loaded':
      return [{ kind, ...of, manifest: manifest(version, chance(graphs)), fleet }]
    case 'refused':
      return [{ kind, ...of, detail: 'bad' }]
    case 'trouble':
      return [{ kind, ...of, trouble: chance([null, lost]) }]
    case 'decided':
      return [{ kind, ...of, fleet }]
    case 'drain-over':
      return [{ kind, ...of }]
    case 'closed':
      return pool.state.phase === 'closing' ? [{ kind, ...of }] : []
    default:
      return []
  }
}

function manifest(version: string, graph: (typeof graphs)[number]): ModelManifest {
  return {
    name: 'a',
    version,
    task: 'image-classification',
    variant: graph,
    choice: { graph, reason: 'chance', at: null, basis: 'capability' },
    provider: 'cpu',
    maxBatchSize: 8,
    inputSchema: {},
    parametersSchema: {},
    outputSchema: {},
    labels: null,
  }
}

/** One thing happens, and whether it may end what serves. */
function disturb(world: World): { mayEnd: boolean } {
  const { desired, model, chance } = world
  const version = chance(names)
  const found = model.versions.get(version)
  desired.at += 1
  switch (chance(['files', 'leave', 'order', 'alias', 'pinned', 'pool', 'pool', 'pool', 'pool', 'jobs'])) {
    case 'files':
      model.versions.set(version, {
        ...(found ?? folder('0')),
        signature: chance(['0', '1']),
        settled: chance([true, false]),
      })
      return { mayEnd: false }
    case 'leave':
      model.versions.delete(version)
      return { mayEnd: true }
    case 'order': {
      const wanted = chance(['configured', 'loaded', 'unloaded'] as const)
      if (found !== undefined) model.versions.set(version, { ...found, order: { wanted, at: desired.at, reloadAt: 0 } })
      return { mayEnd: true }
    }
    case 'alias':
      model.aliases = chance([{}, { stable: version }])
      return { mayEnd: false }
    case 'pinned':
      for (const name of names) model.pinned.set(name, chance([0, 1]))
      return { mayEnd: false }
    case 'jobs':
      for (const { pool } of poolsOf(world)) pool.inFlight = pool.state.phase === 'closing' ? 0 : chance([0, 1])
      return { mayEnd: false }
    default: {
      const pools = poolsOf(world)
      if (pools.length === 0) return { mayEnd: false }
      const kind = chance(['loaded', 'loaded', 'refused', 'trouble', 'decided', 'drain-over', 'closed', 'closed'])
      for (const event of happening(world, chance(pools), kind)) recordEvent(world.actual, event)
      // Engines may be lost, and the fleet may have decided on what can't be run here.
      return { mayEnd: kind === 'trouble' || kind === 'decided' || kind === 'loaded' || kind === 'refused' }
    }
  }
}

function serves({ model, actual }: World): string | null {
  const there = actual.models.get('a')
  return there === undefined ? null : versionThatServes(model.selection, there)
}

/** Whether the fleet has decided on a variant that must not run here. */
function isOverruled(world: World): boolean {
  return poolsOf(world).some(({ pool: { state } }) => state.phase === 'running' && state.fleet?.obstacle != null)
}

/** What must hold whenever nothing is left to do, and does not. */
function broken(world: World): string[] {
  const there = world.actual.models.get('a')
  if (there === undefined) return ['the model was not begun with']
  const ready = [...there.versions].filter(([, version]) => readyPool(version) !== null).map(([version]) => version)
  const queues = [...(serves(world) === null ? [] : [null]), ...ready]
  const told: string[] = []
  if (queues.length !== there.taking.size || !queues.every((queue) => there.taking.has(queue))) {
    told.push('the queues are not those of what is ready')
  }
  for (const [version, { pools }] of there.versions) {
    const phases = pools.map(({ state }) => state.phase)
    const [running, loading] = ['running', 'loading'].map((phase) => phases.filter((one) => one === phase).length)
    if (running === undefined || running > 1) told.push(`several pools of ${version} run`)
    if (loading === undefined || loading > 1) told.push(`several pools of ${version} load`)
    if (phases.includes('loaded') || phases.includes('refused')) told.push(`a pool of ${version} is left as it is`)
    const isGone = !world.model.versions.has(version)
    if (isGone && (running !== 0 || loading !== 0)) told.push(`${version} has no folder and goes on`)
  }
  return told
}

/** From now on all goes well: files are whole, engines start and end, and all jobs are done. */
function calmDown(world: World): void {
  const { desired, model, actual } = world
  desired.at += 10
  for (const [version, found] of model.versions) {
    model.versions.set(version, { ...found, settled: true, order: { ...configured, at: desired.at } })
  }
  for (const name of names) model.pinned.set(name, 0)
  for (let look = 0; look < 12; look += 1) {
    for (const { version, pool } of poolsOf(world)) {
      const of = { model: 'a', version, pool: pool.id }
      pool.inFlight = 0
      recordEvent(actual, { kind: 'trouble', ...of, trouble: null })
      recordEvent(actual, { kind: 'decided', ...of, fleet: null })
      recordEvent(actual, { kind: 'loaded', ...of, manifest: manifest(version, 'fp32'), fleet: null })
      if (pool.state.phase === 'closing') recordEvent(actual, { kind: 'closed', ...of })
    }
    desired.at += 10
    settle(world)
  }
}

/** What MODELS selects when nothing fails, highest first. */
function selectedVersions({ model: { selection, versions, aliases } }: World): string[] {
  return highestFirst(versions.keys()).filter(
    (version, index) =>
      selection.all ||
      selection.exact.has(version) ||
      Object.values(aliases).includes(version) ||
      (selection.latest && index === 0),
  )
}

/** What is not as it should be once all went well. */
function unfinished(world: World): string[] {
  const there = [...(world.actual.models.get('a')?.versions ?? [])]
  const running = there.filter(([, version]) => runningPool(version) !== null).map(([version]) => version)
  const selected = selectedVersions(world)
  const successor = servingVersion(world.model.selection, selected)
  const told: string[] = []
  // If nothing that is selected is there, what runs serves on.
  if (successor !== null && highestFirst(running).join() !== selected.join()) told.push(`${running.join()} run`)
  if (successor !== null && serves(world) !== successor) told.push(`${serves(world)} serves`)
  if (there.some(([, version]) => comingPool(version) !== null)) told.push('a pool still loads')
  if (poolsOf(world).length > running.length) told.push('a pool is left')
  return told
}

test('whatever happens, planning comes to an end, queues follow what is ready, and nothing that serves ends for nothing', () => {
  let served = 0
  const told: string[] = []
  for (let seed = 1; seed <= 150; seed += 1) {
    const world = begin(seed)
    settle(world)
    for (let step = 0; step < 60; step += 1) {
      // Of two things that end it, the first may have waited for the second, such as for a folder to settle.
      const before = isOverruled(world) ? null : serves(world)
      const { mayEnd } = disturb(world)
      settle(world)
      told.push(...broken(world).map((rule) => `seed ${seed}, step ${step}: ${rule}`))
      if (before === null || mayEnd) continue
      served += 1
      if (serves(world) === null) told.push(`seed ${seed}, step ${step}: ${before} served, and nothing does now`)
    }
  }
  expect(told).toEqual([])
  expect(served).toBeGreaterThan(500)
})

test('once all goes well again, what is selected is ready, the right version serves, and nothing else is left', () => {
  const told: string[] = []
  for (let seed = 1; seed <= 150; seed += 1) {
    const world = begin(seed)
    settle(world)
    for (let step = 0; step < 60; step += 1) {
      disturb(world)
      settle(world)
    }
    calmDown(world)
    told.push(...unfinished(world).map((rule) => `seed ${seed}: ${rule}`))
  }
  expect(told).toEqual([])
})
