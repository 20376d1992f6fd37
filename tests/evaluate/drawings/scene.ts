import { cssColors, grounds, rgbOf } from './colors.ts'

/** Draws of the pictures that no training has seen: other program, other outlines, other colours than `training/`. */
export const styles = [
  'pastel',
  'white',
  'dark',
  'outlined',
  'shadow',
  'checks',
  'photo',
  'gradient',
  'hand-drawn',
  'screenshot',
] as const
export type Style = (typeof styles)[number]

export const shapes = ['circle', 'square', 'triangle', 'star', 'cross', 'heart'] as const
export type Shape = (typeof shapes)[number]

/** A number in [0, 1), the same in every run of the same seed. */
export type Random = () => number

export interface Drawn {
  color: string
  shape: Shape
  size: 'small' | 'large'
  /** A colour of CSS. */
  fill: string
  /** Centre and radius in pixels, turn in degrees. */
  x: number
  y: number
  radius: number
  turn: number
}

export interface DrawnScene {
  style: Style
  width: number
  height: number
  ground: string
  /** What the ground is called, where everyone would call it so. */
  groundName: string | undefined
  objects: Drawn[]
}

const dimensions = [
  [640, 480],
  [480, 640],
  [600, 400],
  [512, 512],
  [800, 450],
  [360, 480],
  [320, 240],
] as const

export function pick<T>(random: Random, values: readonly T[]): T {
  const value = values[Math.floor(random() * values.length)]
  if (value === undefined) throw new Error('Nothing to pick from')
  return value
}

export const between = (random: Random, low: number, high: number): number => low + random() * (high - low)

/** Roughly how different two colours look. */
function contrast(first: string, second: string): number {
  const [a, b] = [rgbOf(first), rgbOf(second)]
  return Math.hypot((a[0] - b[0]) * 0.6, a[1] - b[1], (a[2] - b[2]) * 0.5)
}

/** A shape of a size that has a name, at a free place; undefined where none was found. */
function placed(scene: DrawnScene, random: Random): Drawn | undefined {
  const { width, height, objects } = scene
  const shorter = Math.min(width, height)
  const radius = (between(random, 0.12, 0.45) * shorter) / 2
  // The convention of the models' cards: a radius up to 0.12 of the square root of the area is small, from 0.138 on large.
  const share = radius / Math.sqrt(width * height)
  if (share > 0.118 && share < 0.14) return undefined
  const [x, y] = [
    between(random, radius * 1.15, width - radius * 1.15),
    between(random, radius * 1.15, height - radius * 1.15),
  ]
  if (objects.some((other) => Math.hypot(other.x - x, other.y - y) < (other.radius + radius) * 1.2)) return undefined
  const color = pick(random, Object.keys(cssColors))
  const fill = pick(random, cssColors[color] ?? [])
  if (contrast(fill, scene.ground) < 55) return undefined
  const turn = random() < 0.5 ? 0 : between(random, -25, 25)
  return { color, shape: pick(random, shapes), size: share < 0.13 ? 'small' : 'large', fill, x, y, radius, turn }
}

export function drawScene(style: Style, random: Random): DrawnScene {
  const [width, height] = pick(random, dimensions)
  const [ground, groundName] = pick(random, grounds[style])
  const scene: DrawnScene = { style, width, height, ground, groundName, objects: [] }
  const wanted = 1 + Math.floor(random() * 4)
  for (let tries = 0; tries < 400 && scene.objects.length < wanted; tries++) {
    const object = placed(scene, random)
    if (object !== undefined) scene.objects.push(object)
  }
  return scene
}
