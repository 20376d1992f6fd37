import { afterAll, describe, expect, it } from 'vitest'

import { writeChatFolder } from '../../test/open-chat.ts'
import type { TinyFamily } from '../../test/chat-folders.ts'
import { load, removeFolders } from '../../test/tiny-folder.ts'

afterAll(removeFolders)

async function announcedBy(family: TinyFamily, positions?: number) {
  const config = { model_type: family, text_config: { max_position_embeddings: positions } }
  const folder = await writeChatFolder(family, {}, positions === undefined ? {} : { 'config.json': config })
  return (await load(folder)).manifest
}

describe('a chat model announces, so that the API refuses before a job is queued,', () => {
  it('as many images as it can read: each is four tokens of ten here, and one stays for a word', async () => {
    const { images, inputSchema } = await announcedBy('llava', 10)
    expect(images).toEqual({ min: 0, max: 2 })
    expect(inputSchema['description']).toBe('text and images are at most 10 tokens together')
  })

  it('at most sixteen where more would fit, and one where its family takes one', async () => {
    expect((await announcedBy('llava')).images).toEqual({ min: 0, max: 16 })
    expect((await announcedBy('florence2')).images).toEqual({ min: 1, max: 1 })
  })
})
