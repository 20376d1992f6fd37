import { describe, expect, test } from 'vitest'

import { parseHostPatterns, parseTarget } from './url-rules.ts'

const rules = { protocols: ['https:'], ports: [443], hosts: [] } as const

function hostOf(address: string): string {
  const parsed = parseTarget(address, { ...rules, protocols: ['https:', 'http:'], ports: [80, 443] })
  return parsed.kind === 'target' ? parsed.target.hostname : parsed.kind
}

describe('a host is what its name or number says, however it is written', () => {
  test.each([
    ['https://example.com/a.jpg', 'example.com'],
    ['HTTPS://EXAMPLE.COM/a.jpg', 'example.com'],
    ['https://example.com./a.jpg', 'example.com'],
    ['https:example.com/a.jpg', 'example.com'],
    [String.raw`https:\\example.com\a.jpg`, 'example.com'],
    [String.raw`https://evil.test\@example.com/`, 'evil.test'],
    ['https://evil.test#@example.com/', 'evil.test'],
    ['https://evil.test?@example.com/', 'evil.test'],
    ['https://ex\tample.com/', 'example.com'],
    ['https://127.0.0.1/', '127.0.0.1'],
    ['https://127.1/', '127.0.0.1'],
    ['https://2130706433/', '127.0.0.1'],
    ['https://0x7f000001/', '127.0.0.1'],
    ['https://0x7f.0.0.1/', '127.0.0.1'],
    ['https://0177.0.0.1/', '127.0.0.1'],
    ['https://017700000001/', '127.0.0.1'],
    ['https://127.0.0.1./', '127.0.0.1'],
    ['https://0/', '0.0.0.0'],
    ['https://169.16689662/', '169.254.169.254'],
    ['https://0xa9fea9fe/', '169.254.169.254'],
    ['https://%31%32%37.0.0.1/', '127.0.0.1'],
    ['https://①②⑦.⓪.⓪.①/', '127.0.0.1'],
    ['https://１２７．０．０．１/', '127.0.0.1'],
    ['https://127。0。0。1/', '127.0.0.1'],
    ['https://[::1]/', '::1'],
    ['https://[::ffff:127.0.0.1]/', '::ffff:7f00:1'],
    ['https://[0:0:0:0:0:ffff:7f00:1]/', '::ffff:7f00:1'],
    ['https://bücher.test/', 'xn--bcher-kva.test'],
    ['https://ⓔⓧⓐⓜⓟⓛⓔ.com/', 'example.com'],
    ['https://ｌｏｃａｌｈｏｓｔ/', 'localhost'],
    ['https://example.com\u00ad/', 'example.com'],
  ])('%s', (address, host) => {
    expect(hostOf(address)).toBe(host)
  })

  test.each([
    '',
    'example.com',
    '//example.com/',
    '/etc/passwd',
    'https://',
    'https://999.0.0.1/',
    'https://0x100000000/',
    'https://[::1',
    'https://[fe80::1%25eth0]/',
    'https://a b/',
    'https://exa%00mple.com/',
    'https://example.com:99999/',
  ])('%s is no address', (address) => {
    expect(hostOf(address)).toBe('refused')
  })
})

describe('refused by its text, with what was expected', () => {
  test.each([
    ['http://example.com/', 'https://'],
    ['ftp://example.com/', 'https://'],
    ['file:///etc/passwd', 'https://'],
    ['data:image/png;base64,AAAA', 'https://'],
    ['gopher://example.com/', 'https://'],
    ['https://user@example.com/', 'user name'],
    ['https://user:password@example.com/', 'user name'],
    ['https://:password@example.com/', 'user name'],
    ['https://example.com:8443/', 'ports 443'],
    ['https://example.com:80/', 'ports 443'],
    ['https://example.com:22/', 'ports 443'],
    ['https://example.com:6379/', 'ports 443'],
    [`https://example.com/${'a'.repeat(5000)}`, 'at most 4096 characters'],
  ])('%s', (address, expected) => {
    expect(parseTarget(address, rules)).toEqual({ kind: 'refused', expected: expect.stringContaining(expected) })
  })

  test('an empty user name is none', () => {
    expect(parseTarget('https://@example.com/', rules).kind).toBe('target')
  })
})

describe('the list of hosts', () => {
  const hosts = parseHostPatterns('Example.com, *.cdn.example.com ,bücher.test,1.1.1.1,2606:4700::1111') ?? []

  test.each([
    ['https://example.com/', true],
    ['https://EXAMPLE.com./', true],
    ['https://www.example.com/', false],
    ['https://notexample.com/', false],
    ['https://example.com.evil.test/', false],
    ['https://a.cdn.example.com/', true],
    ['https://a.b.cdn.example.com/', true],
    ['https://cdn.example.com/', false],
    ['https://evilcdn.example.com/', false],
    ['https://a.cdn.example.com.evil.test/', false],
    ['https://xn--bcher-kva.test/', true],
    ['https://1.1.1.1/', true],
    ['https://0x01010101/', true],
    ['https://1.1.1.2/', false],
    ['https://[2606:4700:0::1111]/', true],
    ['https://еxample.com/', false], // Its first letter is Cyrillic.
  ])('%s: %s', (address, allowed) => {
    expect(parseTarget(address, { ...rules, hosts }).kind).toBe(allowed ? 'target' : 'refused')
  })

  test('empty: every host', () => {
    expect(parseHostPatterns(' , ')).toEqual([])
  })

  test.each([
    '*',
    'a*.test',
    '*.*.test',
    'https://a.test',
    'a.test/x',
    'a.test:443',
    'a.test:8080',
    'u@a.test',
    '*.1.1.1.1',
    '*.',
    'a b',
  ])('"%s" is no host', (entry) => {
    expect(parseHostPatterns(`example.com,${entry}`)).toBeNull()
  })
})
