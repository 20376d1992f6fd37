import { parseInfo, type RedisFacts } from './redis-facts.ts'
import { fail, type Finding, inMegabytes, ok, warn } from './finding.ts'

/** More than jobs, deadlines and heartbeats bear easily: their times are compared across machines. */
const mostSkewMs = 1000
const oldestVersion = [6, 2] as const
/** Of maxmemory. */
const nearlyFull = 0.8

/** What Redis says of itself, judged for a queue that may lose nothing. */
export function judgeRedis({ info, evictionPolicy, skewMs, roundTripMs }: RedisFacts): Finding[] {
  const facts = parseInfo(info)
  const of = (name: string): string => facts.get(name) ?? ''
  return [
    judgeVersion(of('redis_version')),
    evictionPolicy === null
      ? ok('Redis eviction', 'maxmemory-policy noeviction: accepted jobs stay')
      : fail(
          'Redis eviction',
          `maxmemory-policy ${evictionPolicy} drops accepted jobs when memory is full: redis-cli config set maxmemory-policy noeviction, on every node`,
        ),
    judgeMemory(Number(of('used_memory')), Number(of('maxmemory'))),
    ...judgePersistence(of),
    judgeClock(skewMs, roundTripMs),
  ]
}

function judgeVersion(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isOld = major < oldestVersion[0] || (major === oldestVersion[0] && minor < oldestVersion[1])
  if (version === '') return warn('Redis version', 'not told')
  return isOld
    ? fail('Redis version', `${version} is too old: ${oldestVersion.join('.')} or newer (tried with 7.0)`)
    : ok('Redis version', version)
}

function judgeMemory(used: number, most: number): Finding {
  if (most === 0) {
    return warn(
      'Redis memory',
      `${inMegabytes(used)} used, no maxmemory: the kernel ends Redis when the machine is full. Set it above QUEUE_MAX_BYTES and MAX_UPLOADED_BYTES together`,
    )
  }
  const told = `${inMegabytes(used)} of ${inMegabytes(most)} used`
  return used < nearlyFull * most
    ? ok('Redis memory', told)
    : warn('Redis memory', `${told}: writes are refused when it is full`)
}

function judgePersistence(of: (name: string) => string): Finding[] {
  const about = 'Redis persistence'
  const failed = [
    of('aof_enabled') === '1' && of('aof_last_write_status') === 'err' ? 'writing the append-only file' : null,
    of('rdb_last_bgsave_status') === 'err' ? 'the last snapshot' : null,
  ].filter((each) => each !== null)
  return [
    of('aof_enabled') === '1'
      ? ok(about, 'append-only file')
      : warn(about, 'no append-only file: accepted jobs are gone when Redis ends. redis-cli config set appendonly yes'),
    ...(failed.length === 0
      ? []
      : [fail(about, `${failed.join(' and ')} failed: Redis refuses writes then. Is its disk full?`)]),
  ]
}

function judgeClock(skewMs: number, roundTripMs: number): Finding {
  const told = `${Math.abs(Math.round(skewMs))} ms ${skewMs < 0 ? 'behind' : 'ahead of'} Redis, give or take ${Math.ceil(roundTripMs / 2)} ms`
  return Math.abs(skewMs) <= mostSkewMs + roundTripMs / 2
    ? ok('Clock', told)
    : warn('Clock', `this machine is ${told}: deadlines and expires_at are off by that. Is NTP running on both?`)
}
