import { describe, expect, it } from 'vitest'

import { openChatTemplate } from './chat-template.ts'
import type { Turn } from './conversation.ts'

const open = (source: string) =>
  openChatTemplate(
    { file: 'chat_template.jinja', source },
    { tokens: { bos_token: '<s>', eos_token: '</s>' }, placeholder: '<image>', shownAs: 'model/1' },
  )
const render = (source: string, turns: Turn[]): string => open(source)({ turns, field: 'input.messages' })
const text = (words: string) => ({ type: 'text', text: words }) as const
const image = { type: 'image' } as const

/** Templates of public folders, shortened where that changes nothing here. */
const smolvlm =
  "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
const vicuna =
  "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system here') }}{% endif %}{{ bos_token }}{% for message in messages %}{{ message['role'].upper() + ': ' + message['content'] + ' ' }}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"

describe('a chat template', () => {
  it('shows turns, images in any of them and where the answer begins', () => {
    const turns: Turn[] = [
      { role: 'user', parts: [image, text('What is it?')] },
      { role: 'assistant', parts: [text('A cat.')] },
      { role: 'user', parts: [text('And here?'), image] },
    ]
    expect(render(smolvlm, turns)).toBe(
      '<|im_start|>User:<image>What is it?<end_of_utterance>\nAssistant: A cat.<end_of_utterance>\nUser: And here?<image><end_of_utterance>\nAssistant:',
    )
  })
  it('that takes texts gets the places of images in them', () => {
    expect(render(vicuna, [{ role: 'user', parts: [image, text('What is it?')] }])).toBe(
      '<s>USER: <image>\nWhat is it? ASSISTANT:',
    )
  })
  it('that has no place for a role refuses it by the number of the message', () => {
    const turns: Turn[] = [
      { role: 'system', parts: [text('Be brief.')] },
      { role: 'user', parts: [text('Hi')] },
    ]
    expect(() => render(vicuna, turns)).toThrow(/input\.messages\.0\.role: none that is system/)
  })
  it('that leaves a system message out without a word counts as one that has no place for it', () => {
    const silent =
      "{% for m in messages if m['role'] != 'system' %}{% for p in m['content'] %}{{ p['text'] if p['type'] == 'text' else '<image>' }}{% endfor %}{% endfor %}"
    const turns: Turn[] = [
      { role: 'system', parts: [text('Be brief.')] },
      { role: 'user', parts: [text('Hi')] },
    ]
    expect(() => render(silent, turns)).toThrow(/input\.messages\.0\.role/)
  })
  it('says in its own words what is wrong with a conversation', () => {
    const alternating =
      "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{% for p in m['content'] %}{{ p['text'] if p['type'] == 'text' else '<image>' }}{% endfor %}{% endfor %}"
    const turns: Turn[] = [
      { role: 'user', parts: [text('a')] },
      { role: 'user', parts: [text('b')] },
    ]
    expect(() => render(alternating, turns)).toThrow(/roles must alternate/)
  })
  it.each([
    ['is no template', '{% for message in %}', /model\/1\/chat_template\.jinja: the chat template can not be read: /],
    [
      'shows no message',
      'hello',
      /model\/1\/chat_template\.jinja: the chat template does not show the text and the image/,
    ],
    ['fails', "{{ raise_exception('never') }}", /the chat template fails: never/],
  ])('that %s makes no model', (_, source, sentence) => {
    expect(() => open(source)).toThrow(sentence)
  })
})
