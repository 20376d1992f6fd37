import { z } from 'zod'

/** The ports in a list separated by commas; null where one isn't, or there is none. */
export function parsePorts(list: string): number[] | null {
  const ports = list.split(',').map((port) => (/^\s*\d+\s*$/.test(port) ? Number(port) : 0))
  return ports.every((port) => port >= 1 && port <= 65_535) ? ports : null
}

/** An address without user, query and fragment; given without a slash at its end. */
export function publicUrlSetting(): z.ZodType<string> {
  const isPublicUrl = (text: string): boolean => {
    if (!URL.canParse(text)) return false
    const { protocol, username, password } = new URL(text)
    return ['http:', 'https:'].includes(protocol) && username === '' && password === '' && !/[?#\s]/.test(text)
  }
  return z
    .string()
    .refine(isPublicUrl, 'expected an address like https://example.com/vq, without user, query and fragment')
    .transform((text) => new URL(text).href.replace(/\/+$/, ''))
}

/** The origins of web pages. */
export function originsSetting(): z.ZodType<string[]> {
  const expected = 'expected origins like https://app.example.com, separated by commas, or *'
  const isOrigin = (text: string): boolean => text === '*' || (URL.canParse(text) && new URL(text).origin === text)
  return z
    .string()
    .transform((text) => text.split(',').map((origin) => origin.trim()))
    .refine((origins) => origins.every(isOrigin), expected)
}
