/** By semver: `major` where clients, settings or what lies in Redis have to change, `minor` for what is added. */
export const releaseKinds = ['major', 'minor', 'patch'] as const
export type ReleaseKind = (typeof releaseKinds)[number]

/** Before 1.0.0 a change that breaks is a `minor` one, as semver has it. */
export function nextVersion(current: string, kind: ReleaseKind): string {
  const [major = 0, minor = 0, patch = 0] = /^(\d+)\.(\d+)\.(\d+)$/.exec(current)?.slice(1).map(Number) ?? []
  switch (kind) {
    case 'major':
      return `${major + 1}.0.0`
    case 'minor':
      return `${major}.${minor + 1}.0`
    case 'patch':
      return `${major}.${minor}.${patch + 1}`
    default:
      return kind satisfies never
  }
}

/**
 * The changelog with what is under Unreleased as that of a version, and an empty Unreleased above it. Throws where
 * nothing is under it: a release without a line that tells a user of it is none.
 */
export function releaseChangelog(text: string, version: string, date: string): string {
  const heading = '## [Unreleased]\n'
  const start = text.indexOf(heading)
  if (start === -1) throw new Error(`CHANGELOG.md has no heading "${heading.trim()}".`)
  const body = start + heading.length
  const next = text.indexOf('\n## ', body)
  const unreleased = text.slice(body, next === -1 ? undefined : next)
  if (!/^- /m.test(unreleased)) throw new Error('Nothing stands under Unreleased in CHANGELOG.md.')
  return `${text.slice(0, body)}\n## [${version}] - ${date}\n${text.slice(body)}`
}

/** The text of a package.json with another version; as it was where the version is not `from`. */
export function withVersion(text: string, from: string, to: string): string {
  return text.replace(`"version": "${from}"`, `"version": "${to}"`)
}
