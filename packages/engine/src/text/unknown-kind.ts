/** What stands in a refusal of a part of tokenizer.json whose `type` is none that is known. */
export function unknownKind({ input }: { input?: unknown }): string {
  const isNamed = typeof input === 'object' && input !== null && 'type' in input && typeof input.type === 'string'
  return isNamed ? `${String(input.type)} is not supported` : 'an object with a type'
}
