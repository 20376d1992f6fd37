// oxlint-disable max-lines-per-function -- because a suite is one list of cases
import { createHash, randomBytes } from 'node:crypto'

import type { ImageFacts } from '@vision-queue/protocol'
import { describe, expect, test } from 'vitest'

import type { BlobAddress, Blobs } from './blobs.ts'
import type { Budget } from './budget.ts'

/** Stores of one kind that share what they store, as two processes do; opened once before the tests. */
export interface BlobStores {
  blobs: readonly [Blobs, Blobs]
  budgets: readonly [Budget, Budget]
}

interface Made {
  bytes: Buffer
  address: BlobAddress
  facts: ImageFacts
}

/** Bytes that nobody has stored before. */
function made(space: string | null = null): Made {
  const bytes = randomBytes(100)
  const hash = createHash('sha256').update(bytes).digest('hex')
  return { bytes, address: { space, hash }, facts: { hash, bytes: 100, type: 'image/png', width: 3, height: 2 } }
}

const long = 60_000

/** What every store of blobs keeps to. `stores` gives what was opened before the tests. */
export function blobsConformance(name: string, stores: () => BlobStores): void {
  const first = (): Blobs => stores().blobs[0]
  const other = (): Blobs => stores().blobs[1]

  async function keep({ address, bytes, facts }: Made, holder = 'a', forMs = long): Promise<void> {
    await first().hold(address, holder, forMs, { facts })
    await first().put(address, bytes, forMs)
  }

  describe(`blobs in ${name}`, () => {
    test('are held first, then put, and read by everybody who knows the address', async () => {
      const one = made()
      expect(await first().hold(one.address, 'a', long)).toMatchObject({ stored: false, facts: null })
      expect(await other().read(one.address)).toBeNull()
      expect(await other().find(one.address, 'a')).toBeNull()
      await first().put(one.address, one.bytes, long)
      expect(Buffer.from((await other().read(one.address)) ?? [])).toEqual(one.bytes)
      expect(await other().hold(one.address, 'b', long)).toMatchObject({ stored: true })
    })

    test('tell a holder what is known of them, and when its hold lapses', async () => {
      const one = made()
      await keep(one)
      const found = await other().find(one.address, 'a')
      expect(found?.facts).toEqual(one.facts)
      expect(Math.abs((found?.lapsesAt ?? 0) - Date.now() - long)).toBeLessThan(10_000)
      expect(await other().find(one.address, 'b')).toBeNull()
      expect(await other().hold(one.address, 'b', long)).toMatchObject({ facts: one.facts })
    })

    test('live until the last holder lets go, whoever has put them', async () => {
      const one = made()
      await keep(one)
      await other().hold(one.address, 'b', long)
      expect([await first().release(one.address, 'a'), await first().release(one.address, 'a')]).toEqual([true, false])
      expect(await first().read(one.address)).not.toBeNull()
      expect(await first().find(one.address, 'a')).toBeNull()
      expect(await other().release(one.address, 'b')).toBe(true)
      expect(await first().read(one.address)).toBeNull()
      expect(await first().hold(one.address, 'c', long)).toMatchObject({ stored: false, facts: null })
    })

    test('live as long as the hold that lapses last; a shorter one shortens none', async () => {
      const one = made()
      await keep(one, 'a', 150)
      await other().hold(one.address, 'b', 1200)
      await other().hold(one.address, 'b', 10)
      await expect.poll(async () => first().find(one.address, 'a')).toBeNull()
      expect(await first().release(one.address, 'a')).toBe(false)
      expect(await first().read(one.address)).not.toBeNull()
      await expect.poll(async () => first().read(one.address), { timeout: 5000 }).toBeNull()
      expect(await first().hold(one.address, 'c', long)).toMatchObject({ stored: false })
    })

    test('that two put at once are stored once, for the longer of both', async () => {
      const one = made()
      const holders = [first().hold(one.address, 'a', 300), other().hold(one.address, 'b', long)]
      expect((await Promise.all(holders)).map((hold) => hold?.stored)).toEqual([false, false])
      await Promise.all([first().put(one.address, one.bytes, 300), other().put(one.address, one.bytes, long)])
      await other().hold(one.address, 'b', long)
      await expect.poll(async () => first().find(one.address, 'a')).toBeNull()
      expect(Buffer.from((await first().read(one.address)) ?? [])).toEqual(one.bytes)
    })

    test('are held through another holder only while that one holds, whose hold then lapses later', async () => {
      const one = made()
      const through = { holder: 'upload:x', forMs: long }
      expect(await first().hold(one.address, 'a', 100, { through })).toBeNull()
      await keep(one, 'upload:x', 1000)
      const strange = { holder: 'upload:y', forMs: long }
      expect(await first().hold(one.address, 'a', 100, { through: strange })).toBeNull()
      expect(await first().find(one.address, 'a')).toBeNull()
      const held = await other().hold(one.address, 'a', 100, { through })
      expect(held).toMatchObject({ stored: true, facts: one.facts })
      expect(held?.lapsesAt).toBe((await first().find(one.address, 'upload:x'))?.lapsesAt)
      expect(held?.lapsesAt).toBeGreaterThan(Date.now() + 30_000)
      await first().release(one.address, 'upload:x')
      expect(await first().hold(one.address, 'b', 100, { through })).toBeNull()
    })

    test('of one space are not found in another', async () => {
      const mine = made('mine')
      await keep(mine)
      for (const space of [null, 'other', 'min']) {
        const address = { space, hash: mine.address.hash }
        expect(await other().read(address)).toBeNull()
        expect(await other().hold(address, 'b', long)).toMatchObject({ stored: false })
        await other().release(address, 'b')
        expect(await other().release(address, 'a')).toBe(false)
      }
      expect(await first().read(mine.address)).not.toBeNull()
    })

    test('are bytes of any size and of any kind of view', async () => {
      const one = made()
      const whole = Buffer.concat([Buffer.alloc(7), one.bytes, Buffer.alloc(7)])
      await first().hold(one.address, 'a', long)
      await first().put(one.address, new Uint8Array(whole.buffer, whole.byteOffset + 7, 100), long)
      expect(Buffer.from((await other().read(one.address)) ?? [])).toEqual(one.bytes)
    })
  })

  describe(`a budget in ${name}`, () => {
    const budget = (): Budget => stores().budgets[0]
    const elsewhere = (): Budget => stores().budgets[1]
    const entry = (bytes: number, forMs = long): Parameters<Budget['take']>[1] => ({ bytes, forMs, maxBytes: 250 })
    const ids = ['a', 'b', 'c', 'd', 'e', 'f']
    async function empty(): Promise<void> {
      for (const id of ids) await budget().release(id)
    }

    test('is exact under a burst, and counts an entry once', async () => {
      await empty()
      const taken = await Promise.all(
        ids.map(async (id, index) => (index % 2 === 0 ? budget() : elsewhere()).take(id, entry(100))),
      )
      expect(taken.filter(({ taken: its }) => its)).toEqual([0, 1].map(() => ({ taken: true, isNew: true })))
      const entered = ids.filter((_, index) => taken[index]?.taken === true)
      const again = await Promise.all(entered.map(async (id) => elsewhere().take(id, entry(100))))
      expect(again).toEqual(entered.map(() => ({ taken: true, isNew: false })))
      await empty()
      expect(await budget().take('a', entry(250))).toMatchObject({ taken: true })
      expect(await budget().take('b', entry(1))).toMatchObject({ taken: false })
    })

    test('has room again when entries lapse, and says when', async () => {
      await empty()
      await budget().take('a', entry(100, 1000))
      await budget().take('b', entry(150, long))
      const refusal = async (bytes: number): Promise<number> => {
        const reply = await elsewhere().take('c', entry(bytes))
        if (reply.taken) throw new Error('there was room')
        return reply.roomInMs
      }
      // The first to go makes room for 100 bytes, both for more.
      expect(await refusal(100)).toBeLessThanOrEqual(1000)
      expect(await refusal(101)).toBeGreaterThan(1000)
      await expect.poll(async () => (await elsewhere().take('c', entry(100))).taken, { timeout: 5000 }).toBe(true)
    })

    test('an entry that is taken again lapses later, never sooner', async () => {
      await empty()
      await budget().take('a', entry(250, 300))
      await budget().take('a', entry(250, long))
      await budget().take('a', entry(250, 10))
      await elsewhere().extend('b', long)
      await new Promise((resolve) => void setTimeout(resolve, 400))
      expect(await elsewhere().take('b', entry(1))).toMatchObject({ taken: false })
      await empty()
      await budget().take('c', entry(250, 300))
      await elsewhere().extend('c', long)
      await new Promise((resolve) => void setTimeout(resolve, 400))
      expect(await elsewhere().take('b', entry(1))).toMatchObject({ taken: false })
    })
  })
}
