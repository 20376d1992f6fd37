import type { ModelManifest } from '@vision-queue/protocol'

import { refusal } from '../../expectation.ts'
import type { JsonValue, Question } from '../../intake/submission.ts'
import { questionOf, type SubmissionLimits } from '../native/question.ts'
import { type ChatForm, chatFormOf, noChat } from './chat-form.ts'
import { type Choices, choicesOfFormat } from './choices-of-format.ts'
import { type Conversation, readConversation, textOf } from './conversation.ts'
import { parametersOf } from './parameters.ts'
import type { ChatRequest } from './request-schema.ts'

/** The jobs that a request asks for, one for each choice, and how the label that one answers with is written. */
export interface ChatQuestions {
  questions: Question[]
  writeLabel: Choices['write']
}

/** What a request asks of this model. Throws `invalid_request` for what the model can't do, each by its name. */
export function questionsOf(request: ChatRequest, manifest: ModelManifest, limits: SubmissionLimits): ChatQuestions {
  const form = chatFormOf(manifest)
  if (form === null) throw noChat(manifest)
  const conversation = readConversation(request.messages, limits)
  const choices = form.inputs.has('candidate_labels') ? choicesOfFormat(request.response_format) : null
  const parameters = parametersOf(form, { request, conversation, choosesLabels: choices !== null })
  const envelope = {
    model: request.model,
    metadata: metadataOf(request),
    priority: request.priority,
    deadline_ms: request.deadline_ms,
    cache: request.cache,
  }
  const inputs = {
    input: { ...inputOf(form, conversation), ...labelsOf(form, choices) },
    inputForm: 'json',
    dropsUnknownInput: false,
    images: imagesOf(form, conversation),
  } as const
  const ask = (seed: Record<string, JsonValue>): Question =>
    questionOf({ ...envelope, parameters: { ...parameters, ...seed } }, inputs, limits)
  const questions = Array.from({ length: request.n }, (_, choice) => ask(seedOf(parameters, choice)))
  return { questions, writeLabel: choices?.write ?? ((label) => label) }
}

function inputOf({ kind }: ChatForm, { turns }: Conversation): Record<string, JsonValue> {
  switch (kind) {
    case 'messages':
      return { messages: turns.map(({ role, content }) => ({ role, content })) }
    case 'question':
    case 'statement': {
      const asked = turns.findLast(({ role }) => role === 'user')
      const text = asked === undefined ? '' : textOf(asked)
      return text === '' ? {} : { [kind === 'question' ? 'question' : 'text']: text }
    }
    case 'caption': {
      // What the assistant has begun to say is how the text begins; a request to describe the image is no part of it.
      const last = turns.at(-1)
      const begun = last?.role === 'assistant' ? textOf(last) : ''
      return begun === '' ? {} : { prompt: begun }
    }
    case 'labels':
      return {}
    default:
      return kind satisfies never
  }
}

/** Whole conversations have all their images; a question is about those of its turn, else of the last turn that has some. */
function imagesOf({ kind }: ChatForm, { images, imagesOfTurn }: Conversation): Question['images'] {
  return kind === 'messages' ? images : (imagesOfTurn.findLast((ofTurn) => ofTurn.length > 0) ?? [])
}

function labelsOf({ required }: ChatForm, choices: Choices | null): Record<string, JsonValue> {
  if (choices !== null) return { candidate_labels: choices.labels }
  if (!required.has('candidate_labels')) return {}
  const expected =
    'the labels to choose from, as {"type":"choice","choices":[...]} or a json_schema that is an enum, alone or as the only property'
  throw refusal('invalid_request', [{ field: 'response_format', expected }])
}

function seedOf(parameters: Record<string, JsonValue>, choice: number): Record<string, JsonValue> {
  const { seed } = parameters
  return typeof seed === 'number' ? { seed: seed + choice } : {}
}

function metadataOf({ user, metadata }: ChatRequest): Record<string, string> | undefined {
  return user === undefined ? metadata : { user, ...metadata }
}
