// What HEALTHCHECK runs in a container: whether the process answers /health/live. An orchestrator with probes of its
// own, such as Kubernetes, needs no such program.
const port = process.env[process.env.HEALTH_PORT_VARIABLE ?? 'PORT']
try {
  const response = await fetch(`http://127.0.0.1:${port}/health/live`, { signal: AbortSignal.timeout(4000) })
  process.exitCode = response.ok ? 0 : 1
} catch {
  process.exitCode = 1
}
