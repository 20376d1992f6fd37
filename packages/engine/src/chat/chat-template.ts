import { Template } from '@huggingface/jinja'
import { VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import type { ChatTemplateFile } from '@vision-queue/models'
import { type Conversation, refuse, textOf, type Turn } from './conversation.ts'

/** A conversation to the text of a prompt that ends where the answer begins; `placeholder` stands once for each image. */
export type RenderPrompt = (conversation: Conversation) => string

const specialTokenSchema = z.union([
  z.string(),
  z.looseObject({ content: z.string() }).transform((token) => token.content),
])
const specialTokensSchema = z.looseObject({
  bos_token: specialTokenSchema.nullish(),
  eos_token: specialTokenSchema.nullish(),
  unk_token: specialTokenSchema.nullish(),
  pad_token: specialTokenSchema.nullish(),
  image_token: specialTokenSchema.nullish(),
  boi_token: specialTokenSchema.nullish(),
  eoi_token: specialTokenSchema.nullish(),
})
export type SpecialTokens = z.infer<typeof specialTokensSchema>

/** The special tokens that tokenizer_config.json names, which templates write. */
export function specialTokens(tokenizerConfig: Record<string, unknown>): SpecialTokens {
  const parsed = specialTokensSchema.safeParse(tokenizerConfig)
  if (parsed.success) return parsed.data
  throw new VisionQueueError('model_unavailable', 'tokenizer_config.json: a special token is no text.', {
    cause: parsed.error,
  })
}

/** How a template takes a turn's content: a list of parts, as newer ones do, or a text with placeholders in it. */
type Form = 'parts' | 'text'
type Roles = Record<Turn['role'], Form | null>

/**
 * Opens a chat template of Hugging Face's kind, in the Jinja of their libraries. Which form of content it takes, and which
 * roles, is found out by trying: a template says it nowhere, and one that is given the other form leaves texts out
 * without a word. Throws `model_unavailable` naming the file and the reason where it is no template or shows no text.
 */
export function openChatTemplate(
  { file, source }: ChatTemplateFile,
  { tokens, placeholder, shownAs }: { tokens: SpecialTokens; placeholder: string; shownAs: string },
): RenderPrompt {
  const broken = (why: string, cause?: unknown): VisionQueueError =>
    new VisionQueueError('model_unavailable', `${shownAs}/${file}: the chat template ${why}.`, { cause })
  const template = parse(source, broken)
  const named = Object.fromEntries(Object.entries(tokens).filter(([, token]) => typeof token === 'string'))
  const render = (turns: readonly Turn[], forms: Roles): string =>
    template.render({
      ...named,
      messages: turns.map((turn) => ({ role: turn.role, content: contentOf(turn, forms[turn.role], placeholder) })),
      add_generation_prompt: true,
      tools: null,
    })
  const roles = tryRoles(render, placeholder)
  if (roles.user === null) {
    const why = reasonOf(() => render([probeTurn('user')], { system: 'parts', user: 'parts', assistant: 'parts' }))
    throw broken(why === null ? `does not show the text and the image (${placeholder}) of a message` : `fails: ${why}`)
  }

  return ({ turns, field }) => {
    for (const [index, { role }] of turns.entries()) {
      if (roles[role] === null)
        throw refuse(`${field}.${index}.role`, `none that is ${role}: the model's chat template has no place for it`)
    }
    try {
      return render(turns, roles)
    } catch (error) {
      throw refuse(field, `a conversation that the model's chat template takes; it says: ${messageOf(error)}`)
    }
  }
}

function parse(source: string, broken: (why: string, cause: unknown) => VisionQueueError): Template {
  try {
    return new Template(source)
  } catch (error) {
    throw broken(`can not be read: ${messageOf(error)}`, error)
  }
}

/** Words that no template writes by itself. */
const probe = 'vq probe'

function probeTurn(role: Turn['role']): Turn {
  return { role, parts: [...(role === 'user' ? [{ type: 'image' } as const] : []), { type: 'text', text: probe }] }
}

function tryRoles(render: (turns: readonly Turn[], forms: Roles) => string, placeholder: string): Roles {
  const plain: Turn = { role: 'user', parts: [{ type: 'text', text: 'x' }] }
  const roles: Roles = { system: null, user: null, assistant: null }
  const tries: [Turn['role'], readonly Turn[]][] = [
    ['user', [probeTurn('user')]],
    ['system', [probeTurn('system'), plain]],
    ['assistant', [plain, probeTurn('assistant'), plain]],
  ]
  for (const [role, turns] of tries) {
    roles[role] =
      (['parts', 'text'] as const).find((form) => {
        try {
          const text = render(turns, { ...roles, [role]: form })
          return text.includes(probe) && countOf(text, placeholder) === (role === 'user' ? 1 : 0)
        } catch {
          return false
        }
      }) ?? null
  }
  return roles
}

/** How often a text has another in it. */
export function countOf(text: string, part: string): number {
  return text.split(part).length - 1
}

/** Templates that take texts have the placeholders in them, each on a line of its own as the older models were trained. */
function contentOf(turn: Turn, form: Form | null, placeholder: string): unknown {
  if (form !== 'text') return turn.parts.map((part) => ({ ...part }))
  const images = turn.parts.filter(({ type }) => type === 'image').map(() => `${placeholder}\n`)
  return `${images.join('')}${textOf(turn)}`
}

function reasonOf(run: () => unknown): string | null {
  try {
    run()
    return null
  } catch (error) {
    return messageOf(error)
  }
}

/** The template's own words, such as those of its `raise_exception`, cut to a sentence's length. */
function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]?.slice(0, 200) ?? ''
}
