import { measureRivals } from './measure-rivals.ts'
import { rivalsTable } from './rivals-table.ts'

/** `node --import tsx tests/load/rivals/run.ts [rounds] [seconds per run] [plain]`: prints the comparison. */
const [rounds = 3, secondsPerRun = 4] = process.argv.slice(2, 4).map(Number)
const result = await measureRivals({
  clientCounts: [1, 8, 64],
  secondsPerRun,
  rounds,
  plain: process.argv[4] === 'plain',
  say: (line) => console.log(line),
})
switch (result.kind) {
  case 'measured':
    console.log(`\n${rivalsTable(result.reports)}`)
    for (const { name, firstError } of result.reports) {
      if (firstError !== null) console.log(`${name}: ${firstError}`)
    }
    break
  case 'unavailable':
    console.log(`Not measured: ${result.reason}`)
    break
  default:
    result satisfies never
}
