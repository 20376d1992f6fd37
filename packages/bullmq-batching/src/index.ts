export { createTurns, type Turns, type TurnsOptions } from './turns/create-turns.ts'
export type { PlainCommand, RunOptions, Step, StepSources } from './turns/step.ts'
