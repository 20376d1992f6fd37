/** A language of bytes. What is repeated is never empty. */
export type Grammar =
  | { kind: 'bytes'; has: Uint8Array }
  | { kind: 'sequence'; parts: readonly Grammar[] }
  | { kind: 'either'; options: readonly Grammar[] }
  | { kind: 'repeat'; of: Grammar; min: number; max: number }
  /** Known only when it is asked for: how a grammar contains itself. */
  | { kind: 'later'; get: () => Grammar }

export function sequence(...parts: Grammar[]): Grammar {
  return { kind: 'sequence', parts }
}

export function either(...options: Grammar[]): Grammar {
  return { kind: 'either', options }
}

export function repeat(of: Grammar, min = 0, max = Infinity): Grammar {
  return { kind: 'repeat', of, min, max }
}

export function optional(of: Grammar): Grammar {
  return either(of, sequence())
}

/** Any one byte of these ranges, each of two bytes from and to. */
export function range(...ranges: (readonly [number, number])[]): Grammar {
  const has = new Uint8Array(256)
  for (const [from, to] of ranges) has.fill(1, from, to + 1)
  return { kind: 'bytes', has }
}

/** Any one of these ASCII characters. */
export function oneOf(characters: string): Grammar {
  return range(...[...Buffer.from(characters)].map((byte) => [byte, byte] as const))
}

/** This text alone, in UTF-8. */
export function literal(text: string): Grammar {
  return sequence(...[...Buffer.from(text)].map((byte) => range([byte, byte])))
}
