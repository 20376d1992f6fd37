import { startTestCluster, type TestRedisGroup, whyNoRedisGroups } from '@vision-queue/test-support/redis-groups'
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { countingSteps, step } from '../test-support/counting-steps.ts'
import { createTurns, type Turns } from './create-turns.ts'

const reason = await whyNoRedisGroups()
if (reason !== null) console.warn(`The tests of turns on a Redis Cluster are skipped. ${reason}`)

describe.skipIf(reason !== null)('on a Cluster', () => {
  let group: TestRedisGroup
  let redis: Cluster
  let turns: Turns

  beforeAll(async () => {
    group = await startTestCluster()
    redis = new Cluster(group.members.map(({ port }) => ({ host: '127.0.0.1', port })))
    turns = createTurns(redis, countingSteps)
  })
  afterAll(async () => {
    redis.disconnect()
    await group.stop()
  })

  /** Script calls of all nodes so far. */
  async function scripts(): Promise<number> {
    const stats = await Promise.all(redis.nodes('master').map(async (node) => node.info('commandstats')))
    return stats
      .map((text) => Number(/cmdstat_evalsha:calls=(\d+)/.exec(text)?.[1] ?? 0))
      .reduce((sum, count) => sum + count, 0)
  }

  test('a chain goes from node to node, with its carry and its replies in order', async () => {
    const replies = await turns.run([
      step('add', '{a}n', 1),
      step('remember', '{a}n', 'over there'),
      step('recall', '{b}n'),
      step('add', '{c}n', 3),
      step('add', '{a}n', 1),
    ])
    expect(replies).toEqual([1, null, 'over there', 3, 2])
    expect(await redis.get('{b}n')).toBe('over there')
  })

  test('steps of one tag travel together, and so do the chains that start there', async () => {
    const tags = ['a', 'b', 'c']
    await Promise.all(tags.map(async (tag) => turns.run([step('add', `{${tag}}warm`, 1)])))
    const before = await scripts()
    await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const tag = tags[index % 3] ?? ''
        return turns.run([step('add', `{${tag}}m`, 1), step('share', `{${tag}}m`), step('read', `{${tag}}m`)])
      }),
    )
    expect((await scripts()) - before).toBe(3)
    expect(await Promise.all(tags.map(async (tag) => redis.get(`{${tag}}m`)))).toEqual(['20', '20', '20'])
  })

  test('a chain that is ended or fails on one node does nothing on the next', async () => {
    await redis.set('{a}word', 'no number')
    const [ended, failed] = await Promise.allSettled([
      turns.run([step('limit', '{a}full', 0), step('add', '{b}never', 1)]),
      turns.run([step('fail', '{a}word'), step('add', '{b}never', 1)]),
    ])
    expect(ended).toMatchObject({ value: ['refused'] })
    expect(failed).toMatchObject({ reason: { message: expect.stringContaining('not an integer') } })
    expect(await redis.exists('{b}never')).toBe(0)
  })

  test('commands in front are done before the chain, wherever their keys are', async () => {
    const [reply] = await turns.run([step('read', '{a}put')], {
      before: [
        ['SET', '{a}put', 'here'],
        ['SET', '{b}put', Buffer.from('there')],
      ],
    })
    expect([reply, await redis.get('{b}put')]).toEqual(['here', 'there'])
    await expect(turns.run([step('add', '{a}undone', 1)], { before: [['INCR', '{a}word']] })).rejects.toThrow(/integer/)
    expect(await redis.exists('{a}undone')).toBe(0)
  })
})
