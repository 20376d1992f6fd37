import { requestBytes } from './http-message.ts'
import { oddTexts } from './odd-text.ts'
import type { Random } from './random.ts'
import type { TargetModel } from './served-tasks.ts'

/**
 * A form whose frame is wrong: boundaries that are missing, long or inside the content, parts without names, with
 * two, with megabytes of headers, fields that come twice, a file where a text belongs and the other way round.
 */
export function oddForm(image: Buffer, { name: model, input }: TargetModel, random: Random): Buffer {
  const boundary = random.pick([
    'b',
    'x'.repeat(70),
    'x'.repeat(3000),
    "a'()+_,-./:=?",
    '-',
    '--',
    'b"b',
    'b b',
    '\u00e4',
  ])
  const odd = (): string => random.pick(oddTexts)
  const plain = (name: string, value: string): Buffer => part(`form-data; name="${name}"`, Buffer.from(value))
  const fields = Object.entries(input).flatMap(([name, value]) => [value].flat().map((each) => plain(name, each)))
  const file = part('form-data; name="image"; filename="x"', image)
  const parts = [plain('model', model), ...fields, file]
  const changes: (() => Buffer[])[] = [
    () => [...parts, file],
    () => [...parts, plain('model', model)],
    () => [...parts, plain('image', odd())],
    () => [
      ...parts,
      plain(
        odd()
          .slice(0, 200)
          .replaceAll(/["\r\n]/g, ''),
        odd(),
      ),
    ],
    () => [...parts, plain('__proto__', 'x'), plain('constructor', 'y')],
    () => [
      ...parts,
      plain('parameters', random.pick(['{"top_k":1e999}', '[]', '[['.repeat(3000), '{"__proto__":1}', odd()])),
    ],
    () => [...parts, plain('metadata', random.pick(['{"__proto__":"x"}', '{"a":1}', 'null', odd()]))],
    () => [...parts, plain('deadline_ms', random.pick(['1', '0', '-1', '1e3', '99999999999999999999', '٣', odd()]))],
    () => [...parts, plain('cache', random.pick(['TRUE', '1', '', odd()]))],
    () => [...parts, ...Array.from({ length: random.int(200, 600) }, () => plain('a', 'b'))],
    () => [...parts, part('form-data', Buffer.from('no name'))],
    () => [...parts, part('', Buffer.from('nothing'))],
    () => [...parts, part(`form-data; name="${'n'.repeat(random.int(8000, 20_000))}"`, Buffer.from('long name'))],
    () => [...parts, part('form-data; name="question"; filename="q.txt"', Buffer.from('a text as a file'))],
    () => [...parts, part('form-data; name*=UTF-8\'\'%00%ff; name="a"', Buffer.from('x'))],
    () => [...parts, part('form-data; name="a"', random.bytes(64))],
    () => [plain('model', model), ...fields],
    () => [file, file, file],
    () => [],
  ]
  const content = random
    .pick(changes)()
    .map((each) => Buffer.concat([Buffer.from(`--${boundary}\r\n`, 'latin1'), each]))
  const whole = Buffer.concat([...content, Buffer.from(`--${boundary}--\r\n`, 'latin1')])
  const frames: (() => Buffer)[] = [
    () => whole,
    () => whole,
    () => whole,
    () => whole.subarray(0, random.int(0, whole.length)),
    () => Buffer.concat([whole, whole]),
    () => Buffer.concat([Buffer.from('preamble\r\n'), whole]),
    () => Buffer.from(whole.toString('latin1').replaceAll('\r\n', '\n'), 'latin1'),
  ]
  const announced = random.pick([
    `multipart/form-data; boundary=${boundary}`,
    `multipart/form-data; boundary=${boundary}`,
    `multipart/form-data; boundary="${boundary}"`,
    `multipart/form-data; charset=utf-7; boundary=${boundary}`,
    'multipart/form-data',
    'multipart/form-data; boundary=',
    `multipart/mixed; boundary=${boundary}`,
  ])
  return requestBytes({ target: '/jobs', headers: [['Content-Type', announced]], body: random.pick(frames)() })
}

function part(disposition: string, content: Buffer): Buffer {
  const head = disposition === '' ? '' : `Content-Disposition: ${disposition}\r\n`
  return Buffer.concat([Buffer.from(`${head}\r\n`), content, Buffer.from('\r\n')])
}
