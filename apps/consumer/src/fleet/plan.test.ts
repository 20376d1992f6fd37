import { describe } from 'vitest'

import { emptyVersion } from './actual.ts'
import {
  at,
  check,
  copying,
  failed,
  files,
  load,
  loading,
  lost,
  pool,
  reload,
  retired,
  running,
  unload,
} from './test-support/plan-rows.ts'

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
