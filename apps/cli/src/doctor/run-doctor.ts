import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { apiSettings } from '@vision-queue/api/config'
import { consumerSettings } from '@vision-queue/consumer/config'
import { startSettings } from '@vision-queue/local/config'
import { parseSettings, SettingsError, type SettingsSchema } from '@vision-queue/process'

import { cliSettings } from '../config.ts'
import type { Output } from '../run-key-command.ts'
import { checkDisk, checkNode, checkPort, checkSettings } from './check-machine.ts'
import { checkBlobStore } from './check-blob-store.ts'
import { checkModels } from './check-models.ts'
import { fail, type Finding } from './finding.ts'
import { checkRedis } from './redis-facts.ts'

export const doctorUsage = `vq doctor
    looks at what this machine would serve with: Node, settings, Redis, blob store, port, models, disk; with the variables
    that API and consumers get. Exit code 1: something keeps jobs from being served, or loses them
`

const schemas = [apiSettings, consumerSettings, startSettings, cliSettings]
/** `npm start` can't take a free port, which the API can: PORT is judged as the API's. */
const judged = [apiSettings, consumerSettings, startSettings.omit({ PORT: true }), cliSettings]
const projectRoot = fileURLToPath(new URL('../../../../', import.meta.url))

/** Resolves to the exit code. */
export async function runDoctor(env: Record<string, string | undefined>, output: Output): Promise<number> {
  const findings: Finding[] = [checkNode(process.versions.node), ...badSettings(env), ...checkSettings(schemas, env)]
  const value = <S extends SettingsSchema>(schema: S) => parseSettings(schema, onlyGood(schema, env))
  const [api, consumer, start] = [value(apiSettings), value(consumerSettings), value(startSettings)]
  const repository = resolve(projectRoot, consumer.MODEL_REPOSITORY)
  const timeoutMs = value(cliSettings).REDIS_COMMAND_TIMEOUT_MS
  const found = await Promise.all([
    env['REDIS_URL'] ? checkRedis(api.REDIS_URL, timeoutMs) : [noRedis],
    checkBlobStore(api.BLOB_STORE, env['REDIS_URL'] ? { redisUrl: api.REDIS_URL, timeoutMs } : null),
    checkPort(api.HOST, api.PORT),
    checkModels(repository, consumer.MODELS),
    checkDisk('Disk of models', repository),
    ...(env['REDIS_URL'] ? [] : [checkDisk('Disk of Redis', resolve(projectRoot, start.DATA_DIR))]),
  ])
  findings.push(...found.flat())
  for (const { level, about, told } of findings) output.result(`${level.padEnd(4)}  ${about}: ${told}`)
  const bad = findings.filter(({ level }) => level === 'fail').length
  const odd = findings.filter(({ level }) => level === 'warn').length
  output.note(`${findings.length} looked at: ${bad} to be mended, ${odd} to be known.`)
  return bad === 0 ? 0 : 1
}

const noRedis: Finding = {
  level: 'warn',
  about: 'Redis',
  told: 'REDIS_URL is not set: npm start brings one up of its own. Set it to have yours looked at',
}

function badSettings(env: Record<string, string | undefined>): Finding[] {
  const problems = judged.flatMap((schema) => problemsOf(schema, env))
  return [...new Set(problems)].map((problem) => fail('Settings', problem))
}

function problemsOf(schema: SettingsSchema, env: Record<string, string | undefined>): readonly string[] {
  try {
    parseSettings(schema, env)
    return []
  } catch (error) {
    if (error instanceof SettingsError) return error.problems
    throw error
  }
}

/** With the defaults in the place of what can't be used, so that the other checks go on. */
function onlyGood(schema: SettingsSchema, env: Record<string, string | undefined>): Record<string, string | undefined> {
  const bad = new Set(problemsOf(schema, env).map((problem) => /^[A-Z_]+/.exec(problem)?.[0]))
  return Object.fromEntries(Object.entries(env).filter(([name]) => !bad.has(name)))
}
