/** `%41` as its byte, as in addresses and forms. A `%` before anything else stays, as browsers read it. */
export function percentDecode(encoded: Uint8Array, { plusIsSpace }: { plusIsSpace: boolean }): Buffer {
  const bytes = Buffer.from(encoded)
  let length = 0
  for (let at = 0; at < bytes.length; at += 1) {
    let byte = bytes[at] ?? 0
    if (byte === 0x25) {
      const high = hexDigits[bytes[at + 1] ?? 0] ?? none
      const low = hexDigits[bytes[at + 2] ?? 0] ?? none
      if (high !== none && low !== none) {
        byte = high * 16 + low
        at += 2
      }
    } else if (byte === 0x2b && plusIsSpace) byte = 0x20
    bytes[length] = byte
    length += 1
  }
  return bytes.subarray(0, length)
}

const none = 255
/** What each byte counts for as a hexadecimal digit. */
const hexDigits = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte)
  return /[0-9a-f]/i.test(character) ? Number.parseInt(character, 16) : none
})
