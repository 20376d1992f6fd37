import { fingerprintFolder, type RemoteModel } from '@vision-queue/models'
import { type ModelManifest, modelManifestSchema } from '@vision-queue/protocol'
import { z } from 'zod'

interface Announced {
  images: { min: number; max: number }
  input: z.ZodType
  parameters: z.ZodType
  output: z.ZodType
}

/** What is announced of a model that a server elsewhere runs. Its version is the state of the folder's files. */
export async function remoteManifest(
  { name, version, folder, task, cache, engine }: RemoteModel,
  { images, input, parameters, output }: Announced,
): Promise<ModelManifest> {
  return modelManifestSchema.parse({
    name,
    version,
    task,
    variant: 'remote',
    provider: engine.kind,
    maxBatchSize: 1,
    images,
    inputSchema: z.toJSONSchema(input, { io: 'input' }),
    parametersSchema: z.toJSONSchema(parameters, { io: 'input' }),
    outputSchema: z.toJSONSchema(output),
    fingerprint: await fingerprintFolder(folder),
    cacheable: cache,
    labels: null,
  })
}
