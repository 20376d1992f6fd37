import { describe } from 'vitest'

import {
  cannot,
  check,
  copying,
  failed,
  files,
  fp16,
  loaded,
  loading,
  lost,
  manifest,
  newFiles,
  obey,
  pool,
  refused,
  running,
  runs,
} from './test-support/plan-rows.ts'

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
    'a later decision that this machine must not follow is told, and what runs ends next': {
      folders: { 1: files },
      here: { 1: { pools: [pool(1, { phase: 'running', fleet: cannot })], manifest: manifest() } },
      taking: ['others', '1'],
      steps: [
        "fail 1: The fleet runs the fp16 variant of these files since 1970-01-01T00:00:00.001Z (the provider is no CPU), which this consumer can't: it has no GPU. (outvoted)",
      ],
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
