import { need, run } from './commands.ts'
import type { Proof } from './proof.ts'

/** What `kubectl apply -k` would send. There is no cluster here to send it to. */
export const kustomize: Proof = {
  name: 'kustomize',
  title: 'kubectl renders the manifests, with their images named, and scaled to zero where that is chosen',
  short: true,
  async run(say) {
    await need('kubectl')
    for (const [folder, replicas] of [
      ['base', 1],
      ['scale-to-zero', 0],
    ] as const) {
      const text = await run('kubectl', ['kustomize', `infra/kubernetes/${folder}`])
      const kinds = [...text.matchAll(/^kind: (\w+)$/gm)].map(([, kind]) => kind)
      const images = [...text.matchAll(/ image: (\S+)$/gm)].map(([, image]) => image)
      const fewest = [...text.matchAll(/minReplicaCount: (\d+)$/gm)].map(([, count]) => Number(count))
      const wrong = images.filter((image) => !/^registry\.example\.com\/[\w-]+:\d+\.\d+\.\d+/.test(image ?? ''))
      if (wrong.length > 0 || images.length === 0) throw new Error(`${folder}: images ${images.join(', ')}`)
      if (fewest.length === 0 || fewest.some((count) => count !== replicas)) {
        throw new Error(`${folder}: minReplicaCount ${fewest.join(', ')}, not ${replicas}`)
      }
      say(`${folder}: ${kinds.length} objects; at least ${replicas} consumer of a class`)
    }
  },
}
