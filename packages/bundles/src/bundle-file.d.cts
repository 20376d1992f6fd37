/** The first line of a bundle: what it was made of, and whether the rest of the file is whole. */
export interface BundleHeader {
  /** See keyOf. */
  key: string
  /** Every file that the bundle was made of, or that decided what it is made of. Relative to the root. */
  inputs: string[]
  /** SHA-256 of the file after the first line. */
  digest: string
}

/** The repository. */
export const root: string

/** The bundle's file in the folder. */
export function bundlePath(folder: string, entry: string): string

/**
 * Where bundles are kept, the most wanted first: with the dependencies, or, where a user may not write there, with the
 * user's caches. BUNDLES names another folder; `off`: nowhere.
 */
export function cacheFolders(): string[]

/** What a program that is given no other environment needs, to find the bundles where this process does. */
export function bundleEnv(): Record<string, string>

/** SHA-256 over the root, and over the names and the contents of the inputs; null stands for a file that isn't there. */
export function keyOf(inputs: readonly string[], read: (path: string) => Uint8Array | null): string

/** Whether the file is a whole bundle, made of the inputs as they are now. */
export function isFresh(path: string): boolean

/** A bundle's file, to be written. */
export function withHeader(header: Omit<BundleHeader, 'digest'>, body: string): string
