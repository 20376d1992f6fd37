import { expect, test } from 'vitest'

import { nextVersion, releaseChangelog, withVersion } from './next-release.ts'

test.each([
  ['0.1.0', 'minor', '0.2.0'],
  ['1.2.3', 'major', '2.0.0'],
  ['1.2.3', 'minor', '1.3.0'],
  ['1.9.9', 'patch', '1.9.10'],
] as const)('after %s a %s release is %s', (current, kind, next) => {
  expect(nextVersion(current, kind)).toBe(next)
})

test('what was unreleased stands under the version and its day, above what was released before', () => {
  const text = '# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A.\n\n## [0.1.0] - 2026-01-01\n\n- First.\n'
  expect(releaseChangelog(text, '0.2.0', '2026-11-26')).toBe(
    '# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-11-26\n\n### Added\n\n- A.\n\n## [0.1.0] - 2026-01-01\n\n- First.\n',
  )
})

test.each(['## [Unreleased]\n\n## [0.1.0]\n\n- First.\n', '## [0.1.0]\n\n- First.\n'])(
  'a release of which nothing is told is refused (%j)',
  (text) => {
    expect(() => releaseChangelog(text, '0.2.0', '2026-11-26')).toThrow('CHANGELOG.md')
  },
)

test('only the version of the package itself changes', () => {
  const text = '{ "version": "0.1.0", "dependencies": { "x": "0.1.0" } }'
  expect(withVersion(text, '0.1.0', '0.2.0')).toBe('{ "version": "0.2.0", "dependencies": { "x": "0.1.0" } }')
  expect(withVersion(text, '0.3.0', '0.4.0')).toBe(text)
})
