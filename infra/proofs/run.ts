import { Skipped } from './proof.ts'
import { proofs } from './proofs.ts'

/**
 * `npm run proofs [-- NAME...]`: runs all proofs, or those named; `--short` those that take seconds. Ends with a table.
 * What was skipped is said there again with its reason. Exit code 1 where one failed or a name is unknown.
 */
const args = process.argv.slice(2)
const names = args.filter((arg) => !arg.startsWith('--'))
const unknown = names.filter((name) => !proofs.some((proof) => proof.name === name))
const wrongOptions = args.filter((arg) => arg.startsWith('--') && arg !== '--short')
if (unknown.length > 0 || wrongOptions.length > 0) {
  console.error(`No such proof or option: ${[...unknown, ...wrongOptions].join(', ')}. There are:`)
  for (const { name, title, short } of proofs) console.error(`  ${name}${short ? ' (short)' : ''}: ${title}`)
  process.exit(1)
}

const chosen = proofs.filter(({ name, short }) => {
  return (names.length === 0 || names.includes(name)) && (!args.includes('--short') || short)
})
const results: string[] = []
let failed = false
for (const { name, title, run } of chosen) {
  console.log(`\n== ${name}: ${title}`)
  const began = performance.now()
  const skipped: string[] = []
  try {
    await run((line) => console.log(`   ${line}`))
  } catch (error) {
    if (error instanceof Skipped) skipped.push(error.message)
    else {
      failed = true
      console.error(error)
      results.push(`FAILED   ${name}`)
      continue
    }
  }
  const seconds = Math.round((performance.now() - began) / 1000)
  results.push(skipped.length === 0 ? `proved   ${name} (${seconds} s)` : `SKIPPED  ${name}: ${skipped.join(' ')}`)
}
console.log(`\n${results.join('\n')}`)
process.exitCode = failed ? 1 : 0
