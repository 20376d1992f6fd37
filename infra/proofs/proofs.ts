import { balancer } from './balancer.ts'
import { compose } from './compose.ts'
import { evenUse } from './even-use.ts'
import { images } from './images.ts'
import { kustomize } from './kustomize.ts'
import { pods } from './pods.ts'
import { prometheus } from './prometheus.ts'
import type { Proof } from './proof.ts'
import { valkey } from './valkey.ts'

/** All proofs, in the order in which they are run. One file each. */
export const proofs: readonly Proof[] = [compose, kustomize, balancer, evenUse, prometheus, images, pods, valkey]
