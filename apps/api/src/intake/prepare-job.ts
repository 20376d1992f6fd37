import { answerDigest, blobsOf, inputOfParts, partsOfInput, type QueuedJob } from '@vision-queue/queue'
import type { AdmitOptions, BlobBytes, ModelDirectory } from '@vision-queue/queue/producer'

import type { ApiSettings } from '../config.ts'
import type { TakeImages } from './job-images.ts'
import { drawParameters } from './draw-parameters.ts'
import { chooseModel } from './model-choice.ts'
import { paceOf } from './pace.ts'
import { queuePartsOf } from './queue-parts.ts'
import type { Caller, Question } from './submission.ts'
import { createModelValidator } from './validate-for-model.ts'

/** A job that is ready for the queue, and what the queue is to know of it. */
export interface PreparedJob {
  job: QueuedJob
  /** The bytes that came with it. */
  blobs: BlobBytes
  admit: AdmitOptions
}

/** Makes the job of a question: chooses the version, checks what it is asked and takes the images, in this order. */
export type PrepareJob = (question: Question, id: string, caller: Caller) => Promise<PreparedJob>

interface Options {
  models: Pick<ModelDirectory, 'list'>
  takeImages: TakeImages
  settings: ApiSettings
}

export function createJobPreparation({ models, takeImages, settings }: Options): PrepareJob {
  const validateForModel = createModelValidator()
  return async (question, id, caller) => {
    const listed = await models.list()
    const chosen = chooseModel(listed, question.model, settings.DEFAULT_MODEL)
    const { model, manifest } = chosen
    const checked = { ...question, ...validateForModel(manifest, question) }
    const { parameters, drawn } = drawParameters(manifest, checked.parameters)
    const images = await takeImages(question.images, id, caller)
    const texts = partsOfInput(checked.input)
    const createdAt = Date.now()
    const job: QueuedJob = {
      version: 2,
      id,
      model: model.name,
      modelVersion: model.version,
      versionPinned: chosen.pinned,
      parts: [...images.map(({ blob }) => blob), ...texts.parts],
      input: texts.input,
      parameters,
      metadata: question.metadata,
      createdAt,
      deadlineAt: question.deadlineMs === null ? null : createdAt + question.deadlineMs,
      cache: question.cache && manifest.cacheable === true && !drawn,
      replyTo: null,
      owner: caller.owner,
      answersOf: settings.SHARE_ANSWERS === true ? null : caller.owner,
      priority: question.priority,
      retryOf: question.retryOf,
      context: caller.context,
    }
    return {
      job,
      blobs: new Map(images.flatMap(({ blob, bytes }) => (bytes === null ? [] : [[blob.hash, bytes]]))),
      admit: {
        digest: job.cache ? answerDigest(manifest, job) : null,
        pace: paceOf(model.consumers),
        parts: queuePartsOf(model, listed, settings),
        quota: caller.quota,
      },
    }
  }
}

/** Asks again what a job asked, under its own metadata; its deadline is as far away as that one's was. */
export function questionOfJob(old: QueuedJob): Question {
  return {
    model: old.versionPinned ? `${old.model}@${old.modelVersion}` : old.model,
    input: inputOfParts(old),
    inputForm: 'json',
    dropsUnknownInput: false,
    strayNames: [],
    images: blobsOf(old).map((blob) => ({ kind: 'kept', blob })),
    parameters: old.parameters,
    metadata: old.metadata,
    deadlineMs: old.deadlineAt === null ? null : old.deadlineAt - old.createdAt,
    priority: old.priority,
    cache: old.cache,
    retryOf: old.id,
  }
}
