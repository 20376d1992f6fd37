import { variantNameSchema } from '@vision-queue/protocol'
import { z } from 'zod'

/**
 * Which of a version's graphs runs: Hugging Face's file names are `model.onnx`, `model_fp16.onnx`, `model_int8.onnx` (or
 * `model_quantized.onnx`), `model_uint8.onnx`, `model_q4.onnx`, `model_q4f16.onnx`, `model_bnb4.onnx`.
 */
export const variantSchema = variantNameSchema
export type Variant = z.infer<typeof variantSchema>

/** What of each provider onnxruntime-node 1.30 hands on to ONNX Runtime; it drops anything else without a word. */
const handedOn: Record<string, readonly string[]> = {
  cpu: [],
  cuda: ['deviceId'],
  tensorrt: ['deviceId'],
  dml: ['deviceId'],
  coreml: ['coreMlFlags'],
  openvino: [],
  webgpu: [
    'preferredLayout',
    'forceCpuNodeNames',
    'validationMode',
    'enableRobustness',
    'storageBufferCacheMode',
    'uniformBufferCacheMode',
    'queryResolveBufferCacheMode',
    'defaultBufferCacheMode',
  ],
}
const providerNames = Object.keys(handedOn)
const providerSchema = z.enum(providerNames, `one of ${providerNames.join(', ')}`)

/** Where and how graphs run. */
export const executionOptionsSchema = z.strictObject({
  /**
   * Execution providers, the most wanted first. The first that can be used is; why the others can't is
   * kept. Default: the CPU alone.
   */
  providers: z.array(providerSchema).min(1).default(['cpu']),
  /** Where this one can't be used, the model is not loaded. */
  requireProvider: providerSchema.nullable().default(null),
  /**
   * `auto`: what model.json names, else what the machine is made for (see candidates). A variant that is named
   * and not there is refused.
   */
  variant: z.enum(['auto', ...variantSchema.options]).default('auto'),
  /** Which GPU, counted by the provider from 0. */
  deviceId: z.int().min(0).default(0),
  /** Options of a provider by its name, such as `{"webgpu": {"preferredLayout": "NHWC"}}`. */
  providerOptions: z
    .partialRecord(providerSchema, z.record(z.string(), z.json()))
    .default({})
    .check(({ value, issues }) => {
      for (const [provider, options] of Object.entries(value)) {
        for (const option of Object.keys(options ?? {})) {
          if (handedOn[provider]?.includes(option) === true) continue
          const message = `onnxruntime-node does not pass it on; it takes: ${handedOn[provider]?.join(', ') || 'no options'}`
          issues.push({ code: 'custom', path: [provider, option], message, input: options })
        }
      }
    }),
})
export type ExecutionOptions = z.infer<typeof executionOptionsSchema>

/** A provider that was wanted and could not be used, and why. */
export const providerRefusalSchema = z.object({ provider: z.string(), reason: z.string() })
export type ProviderRefusal = z.infer<typeof providerRefusalSchema>
