import { setFlagsFromString } from 'node:v8'

/**
 * Lets the heap grow to four times what is alive before all of it is marked. V8 counts the bytes of pictures
 * against the same limit, by default 1.5 times some 30 MB: three full collections a second at 70 jobs of
 * 150 KB, half of all CPU time (decision 35).
 */
export function letHeapGrow(): void {
  setFlagsFromString('--heap-growing-percent=300')
}
