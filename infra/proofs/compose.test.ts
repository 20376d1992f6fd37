import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { apiSettings } from '@vision-queue/api/config'
import { consumerSettings } from '@vision-queue/consumer/config'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'

import { root } from './commands.ts'

const service = z.object({
  image: z.string(),
  read_only: z.boolean().optional(),
  cap_drop: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.string()).optional(),
  mem_limit: z.string().optional(),
  volumes: z.array(z.string()).optional(),
  networks: z.object({ default: z.object({ ipv4_address: z.string() }) }).optional(),
  stop_grace_period: z.string().optional(),
})
const composeSchema = z.object({ services: z.record(z.string(), service) })

const { services } = composeSchema.parse(parse(read('compose.yaml'), { merge: true }))
const named = Object.entries(services)

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

describe('compose.yaml', () => {
  test('every service runs without capabilities on a root that it can not write', () => {
    for (const [name, { read_only: readOnly, cap_drop: dropped }] of named) {
      expect({ name, readOnly, dropped }).toEqual({ name, readOnly: true, dropped: ['ALL'] })
    }
  })

  test('every setting of API and consumers is one that they know', () => {
    const known = [
      ['api-', apiSettings],
      ['consumer-', consumerSettings],
    ] as const
    for (const [prefix, settings] of known) {
      const found = named.filter(([name]) => name.startsWith(prefix))
      expect(found).toHaveLength(2)
      for (const [, { environment }] of found) {
        expect(Object.keys(settings.shape)).toEqual(expect.arrayContaining(Object.keys(environment ?? {})))
      }
    }
  })

  test('a service that is stopped has longer than it takes to finish what it holds', () => {
    const shutdownMs = consumerSettings.shape.SHUTDOWN_TIMEOUT_MS.parse(undefined)
    for (const [name, { stop_grace_period: grace }] of named.filter(([each]) => /^(api|consumer)-/.test(each))) {
      expect({ name, longer: Number.parseInt(grace ?? '0', 10) * 1000 > shutdownMs + 5000 }).toEqual({
        name,
        longer: true,
      })
    }
  })

  test('nginx knows the addresses of all APIs, each twice, and Prometheus the names of all processes', () => {
    const upstreams = read('infra/nginx/upstreams.conf')
    const targets = JSON.stringify(parse(read('infra/compose/prometheus.yml')))
    for (const [name, { networks }] of named.filter(([each]) => each.startsWith('api-'))) {
      const address = `${networks?.default.ipv4_address ?? 'no address'}:3000`
      expect(upstreams.split(address)).toHaveLength(3)
      expect(targets).toContain(`"${name}:3000"`)
    }
    for (const [name] of named.filter(([each]) => each.startsWith('consumer-')))
      expect(targets).toContain(`"${name}:9090"`)
  })

  test('every file of the repository that a service mounts is there', () => {
    const mounted = named.flatMap(([, { volumes = [] }]) => volumes.filter((volume) => volume.startsWith('./')))
    expect(mounted.length).toBeGreaterThan(3)
    const missing = mounted.map((volume) => volume.split(':')[0] ?? '').filter((path) => !existsSync(join(root, path)))
    expect(missing).toEqual([])
  })
})
