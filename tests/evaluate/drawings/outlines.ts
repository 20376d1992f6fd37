import { between, pick, type Random, type Shape } from './scene.ts'

/** Corners at equal angles from the top, going round, with radii that take turns. */
function ring(corners: number, radii: readonly number[]): string {
  const points = Array.from({ length: corners }, (_, index) => {
    const angle = (index / corners) * 2 * Math.PI - Math.PI / 2
    const radius = radii[index % radii.length] ?? 1
    return `${(radius * Math.cos(angle)).toFixed(4)} ${(radius * Math.sin(angle)).toFixed(4)}`
  })
  return `M${points.join('L')}Z`
}

const ellipse = (across: number, down: number): string =>
  `M${-across} 0A${across} ${down} 0 1 1 ${across} 0A${across} ${down} 0 1 1 ${-across} 0Z`

function rectangle(across: number, down: number, corner: number): string {
  const [x, y] = [across - corner, down - corner]
  const arc = (dx: number, dy: number): string => `a${corner} ${corner} 0 0 1 ${dx} ${dy}`
  return `M${-x} ${-down}H${x}${arc(corner, corner)}V${y}${arc(-corner, corner)}H${-x}${arc(-corner, -corner)}V${-y}${arc(corner, -corner)}Z`
}

const plus = (arm: number): string => `M${-arm} -1H${arm}V${-arm}H1V${arm}H${arm}V1H${-arm}V${arm}H-1V${-arm}H${-arm}Z`

const hearts = [
  'M0 .92C-.25 .7-1 .25-1-.32C-1-.72-.7-.92-.45-.92C-.22-.92-.06-.78 0-.58C.06-.78 .22-.92 .45-.92C.7-.92 1-.72 1-.32C1 .25 .25 .7 0 .92Z',
  'M0 1L-.88 .02A.52 .52 0 0 1 0-.52A.52 .52 0 0 1 .88 .02Z',
  'M0-.45C0-1.15-1-1.1-1-.3C-1 .25-.4 .5 0 .98C.4 .5 1 .25 1-.3C1-1.1 0-1.15 0-.45Z',
]

/** The path of each shape, within about one unit around its centre. */
export const outlines: Record<Shape, (random: Random) => string> = {
  circle: (random) => (random() < 0.8 ? ellipse(1, 1) : ellipse(1, between(random, 0.9, 0.97))),
  square: (random) => rectangle(0.85, 0.85, pick(random, [0.001, 0.001, 0.12, 0.2])),
  triangle: (random) =>
    random() < 0.5
      ? ring(3, [1.05])
      : `M0 -.95L${between(random, 0.7, 1).toFixed(3)} .8H${between(random, -1, -0.7).toFixed(3)}Z`,
  star: (random) => (random() < 0.85 ? ring(10, [1.05, between(random, 0.38, 0.55)]) : ring(12, [1.05, 0.6])),
  cross: (random) => plus(between(random, 0.16, 0.38)),
  heart: (random) => pick(random, hearts),
}
