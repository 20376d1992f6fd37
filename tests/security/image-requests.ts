import { requestBytes } from './http-message.ts'
import type { Random } from './random.ts'
import type { TargetModel } from './served-tasks.ts'

/** The ways in which an image can be sent; the announced type is drawn, as the bytes alone should count. */
export const imageForms = ['json', 'multipart', 'raw', 'upload'] as const
export type ImageForm = (typeof imageForms)[number]

const boundary = 'vq-fuzz-boundary'
const types = ['image/jpeg', 'image/png', 'image/webp'] as const

/** A request that is right but for its image. Half of the submissions wait for their answer. */
export function imageRequest(form: ImageForm, image: Buffer, { name, input }: TargetModel, random: Random): Buffer {
  const wait = random.chance(0.5) ? [['Prefer', 'wait=60'] as const] : []
  const type = random.pick(types)
  switch (form) {
    case 'upload':
      return requestBytes({ target: '/images', headers: [['Content-Type', type]], body: image })
    case 'raw':
      return requestBytes({
        target: `/jobs?${query({ model: name, ...input })}`,
        headers: [['Content-Type', type], ...wait],
        body: image,
      })
    case 'json':
      return requestBytes({
        target: '/jobs',
        headers: [['Content-Type', 'application/json'], ...wait],
        body: JSON.stringify({ model: name, input: { ...input, image: image.toString('base64') } }),
      })
    case 'multipart': {
      const texts = [...new URLSearchParams(query({ model: name, ...input }))].map(([field, value]) =>
        part(`Content-Disposition: form-data; name="${field}"`, value),
      )
      const file = part(
        `Content-Disposition: form-data; name="image"; filename="../../x.jpg"\r\nContent-Type: ${type}`,
        image,
      )
      return requestBytes({
        target: '/jobs',
        headers: [['Content-Type', `multipart/form-data; boundary=${boundary}`], ...wait],
        body: Buffer.concat([...texts, file, Buffer.from(`--${boundary}--\r\n`)]),
      })
    }
    default:
      return form satisfies never
  }
}

function part(head: string, content: Buffer | string): Buffer {
  return Buffer.concat([Buffer.from(`--${boundary}\r\n${head}\r\n\r\n`), Buffer.from(content), Buffer.from('\r\n')])
}

/** Lists as repeated fields. */
export function query(fields: Readonly<Record<string, string | readonly string[]>>): string {
  const pairs = Object.entries(fields).flatMap(([name, value]) =>
    [value].flat().map((each): [string, string] => [name, each]),
  )
  return new URLSearchParams(pairs).toString()
}
