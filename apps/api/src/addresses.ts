/** Makes the address, as a client sees it, of a path of this API such as `/jobs/{id}`. */
export type AddressOf = (path: string) => string

/**
 * The addresses in answers: `Location` and `urls`. With PUBLIC_URL they begin with it; without one they are paths from
 * the root, as nothing tells what a proxy took off the front. X-Forwarded-* headers are not asked: anybody can send
 * them, and then the addresses in an answer would be that sender's choice.
 */
export function addressesAt(publicUrl: string): AddressOf {
  return (path) => publicUrl + path
}
