/** Red, green and blue of each name, 0..1. */
export const colours: Record<string, readonly [number, number, number]> = {
  black: [0, 0, 0],
  white: [1, 1, 1],
  red: [1, 0, 0],
  green: [0, 0.6, 0],
  blue: [0, 0, 1],
  yellow: [1, 1, 0],
  orange: [1, 0.6, 0],
  purple: [0.5, 0, 0.6],
}
