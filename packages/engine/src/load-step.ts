import type { LoadStep } from '@vision-queue/protocol'

/**
 * Told what is about to be done for a model that is loaded. It is waited for: opening a graph and running one keep this
 * thread, and what was not sent by then would leave it when they are over.
 */
export type OnLoadStep = (step: LoadStep) => Promise<void>

/** For who doesn't want to know. */
export const untold: OnLoadStep = async () => {}
