import { describe } from 'vitest'

import {
  check,
  copying,
  failed,
  files,
  loading,
  newFiles,
  pool,
  retired,
  running,
  runs,
  unload,
} from './test-support/plan-rows.ts'

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
