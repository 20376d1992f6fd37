export interface Repetition {
  close(): void
}

/**
 * Runs `run` every `intervalMs`, at multiples of it by the process's clock: what runs equally often in a process, for
 * each queue, say, runs in one turn of the event loop. An idle process is woken once for all of it, and what it sends
 * travels together. The timer keeps no process alive.
 */
export function everyTogether(intervalMs: number, run: () => void): Repetition {
  let timer: NodeJS.Timeout = setTimeout(
    () => {
      timer = setInterval(run, intervalMs).unref()
      run()
    },
    intervalMs - (performance.now() % intervalMs),
  ).unref()
  return {
    // Either kind of timer is cleared by it.
    close: () => clearTimeout(timer),
  }
}
