/**
 * Loaded before a process' own program: its wall clock is CLOCK_SHIFT_MS off, as that of a machine without time
 * synchronisation. Timers keep their pace, as they do where a clock is set.
 */
const honestNow = Date.now
const shiftMs = Number(process.env['CLOCK_SHIFT_MS'] ?? 0)
Date.now = () => honestNow() + shiftMs
