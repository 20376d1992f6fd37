import type { QueuedJob } from '@vision-queue/queue'

/** The version that is to run a job: the one that it is pinned to, else the one that serves. Null: none here. */
export function chooseVersion(
  { versionPinned, modelVersion }: Pick<QueuedJob, 'modelVersion' | 'versionPinned'>,
  serving: string | null,
): string | null {
  return versionPinned ? modelVersion : serving
}
