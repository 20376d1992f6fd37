/** The release that runs, for metrics and traces; the one that package.json names (release.test.ts). */
export const release = '0.1.0'
