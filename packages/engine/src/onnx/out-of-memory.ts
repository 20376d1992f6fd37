/**
 * Whether a session run failed for want of memory, which a smaller batch may do without. ONNX Runtime
 * has no code for it: these are the words of its allocators and of the providers' libraries.
 */
export function isOutOfMemory(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return /failed to allocate memory|out of memory|out_of_memory|outofmemory|bad_alloc|bad allocation|available memory of \d+ is smaller|ALLOC_FAILED/i.test(
    error.message,
  )
}
