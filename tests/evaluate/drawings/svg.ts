import { outlines } from './outlines.ts'
import { between, type Drawn, type DrawnScene, pick, type Random } from './scene.ts'

const rect = (fill: string, [x, y, width, height]: readonly number[], more = ''): string =>
  `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${fill}" ${more}/>`

/** Squares of two colours in turn. */
function checks({ width, height, ground }: DrawnScene, random: Random): string {
  const step = Math.round(between(random, 0.05, 0.16) * Math.min(width, height))
  const other = ground === '#333340' ? '#44445a' : pick(random, ['#c9ced6', '#bcd4c4', '#cfc4dd'])
  const squares: string[] = []
  for (let row = 0; row * step < height; row++)
    for (let column = row % 2; column * step < width; column += 2)
      squares.push(rect(other, [column * step, row * step, step, step]))
  return squares.join('')
}

/** Turbulence in the colours of a landscape, hills before it, a blur over it. */
function photo({ width, height }: DrawnScene, random: Random): string {
  const scale = between(random, 0.006, 0.04).toFixed(4)
  const palette = pick(random, [
    ['#6f7f5a', '#4c5a3c', '#a8b39a'],
    ['#8b8378', '#5c554c', '#c4bcae'],
    ['#7d94a8', '#4d5f70', '#c3d0da'],
    ['#a58f76', '#6d5a45', '#d8c8b4'],
    ['#55606b', '#2c333b', '#8d99a5'],
  ])
  const hills = [0.55, 0.72].map((level, index) => {
    const points = Array.from(
      { length: 9 },
      (_, at) => `${(at / 8) * width} ${height * (level + between(random, -0.08, 0.08))}`,
    )
    return `<path d="M0 ${height}L${points.join('L')}L${width} ${height}Z" fill="${palette[index] ?? ''}" opacity=".8"/>`
  })
  return (
    `<filter id="rough" x="0" y="0" width="100%" height="100%"><feTurbulence type="fractalNoise" baseFrequency="${scale}" numOctaves="5" seed="${Math.floor(random() * 1000)}"/>` +
    `<feColorMatrix values="0 0 0 0 .1  0 0 0 0 .1  0 0 0 0 .08  1.6 .6 0 0 -.75"/></filter>` +
    rect(palette[2] ?? '', [0, 0, width, height]) +
    (random() < 0.7 ? hills.join('') : '') +
    `<rect width="100%" height="100%" filter="url(#rough)" opacity="${between(random, 0.35, 0.8).toFixed(2)}"/>`
  )
}

function screenshot({ width, height, ground }: DrawnScene, random: Random): string {
  const [ink, soft] = ground === '#1e1e1e' ? ['#b8b8b8', '#2d2d30'] : ['#444b55', '#dfe3e8']
  const size = Math.round(height / between(random, 26, 40))
  const words = 'Invoice total due within thirty days of receipt unless agreed otherwise by both parties'.split(' ')
  const lines = Array.from({ length: Math.floor(height / (size * 2)) - 3 }, (_, row) => {
    const text = Array.from({ length: 2 + Math.floor(random() * 7) }, () => pick(random, words)).join(' ')
    return `<text x="${width * 0.22}" y="${size * (5 + row * 1.9)}" font-family="sans-serif" font-size="${size}" fill="${ink}">${text}</text>`
  })
  return [
    rect(pick(random, ['#3a4a63', soft, '#50545c']), [0, 0, width, size * 2.6]),
    rect(soft, [0, size * 2.6, width * 0.19, height]),
    ...[0, 1, 2, 3].map((row) =>
      rect(
        ink,
        [width * 0.03, size * (5 + row * 2.4), width * between(random, 0.06, 0.13), size * 0.6],
        'opacity=".6"',
      ),
    ),
    ...lines,
    `<rect x="1" y="1" width="${width - 2}" height="${height - 2}" fill="none" stroke="${ink}" opacity=".4"/>`,
  ].join('')
}

function gradient({ ground }: DrawnScene, random: Random): string {
  const to = pick(random, ground === '#30344a' ? ['#0b0d17', '#4a3f6b'] : ['#ffffff', '#fff1eb', '#cfd9df', '#e2ebf0'])
  const turn = Math.floor(random() * 360)
  return (
    `<linearGradient id="ground" gradientTransform="rotate(${turn} .5 .5)"><stop offset="0" stop-color="${ground}"/>` +
    `<stop offset="1" stop-color="${to}"/></linearGradient><rect width="100%" height="100%" fill="url(#ground)"/>`
  )
}

const backdrops: Partial<Record<DrawnScene['style'], (scene: DrawnScene, random: Random) => string>> = {
  checks,
  photo,
  screenshot,
  gradient,
}

/** What every shape of a scene is drawn with besides its fill. */
function finish({ style }: DrawnScene, random: Random): string {
  if (style === 'outlined') {
    const color = pick(random, ['black', 'black', '#222', 'white', 'dimgray'])
    const width = between(random, 0.05, 0.2).toFixed(3)
    return `stroke="${color}" stroke-width="${width}" stroke-linejoin="${pick(random, ['round', 'miter'])}"`
  }
  if (style === 'hand-drawn')
    return `stroke="#2a2a2a" stroke-width="${between(random, 0.04, 0.12).toFixed(3)}" stroke-linejoin="round"`
  return style !== 'shadow' && random() < 0.15 ? 'stroke="black" stroke-width=".06"' : ''
}

/** An object, and the shadow behind it, which is no part of it. */
interface Shape {
  behind: string
  shape: string
}

function shapeOf(object: Drawn, index: number, scene: DrawnScene, random: Random, finishing: string): Shape {
  const { x, y, radius, turn, fill } = object
  const place = `transform="translate(${x} ${y}) rotate(${turn}) scale(${radius})"`
  const path = outlines[object.shape](random)
  if (scene.style === 'shadow') {
    const [dx, dy] = [radius * between(random, 0.02, 0.18), radius * between(random, 0.05, 0.2)]
    const blur = `<filter id="s${index}" x="-50%" y="-50%" width="200%" height="200%"><feGaussianBlur stdDeviation="${(radius * between(random, 0.02, 0.12)).toFixed(2)}"/></filter>`
    const cast = `<g filter="url(#s${index})" opacity="${between(random, 0.25, 0.6).toFixed(2)}"><path d="${path}" transform="translate(${x + dx} ${y + dy}) rotate(${turn}) scale(${radius})" fill="black"/></g>`
    return { behind: `${blur}${cast}`, shape: `<path d="${path}" ${place} fill="${fill}"/>` }
  }
  if (scene.style === 'gradient') {
    const inner = `<linearGradient id="g${index}" x2="0" y2="1"><stop offset="0" stop-color="${fill}"/><stop offset="1" stop-color="${fill}" stop-opacity=".78"/></linearGradient>`
    return {
      behind: '',
      shape: `${inner}<path d="${path}" ${place} fill="white"/><path d="${path}" ${place} fill="url(#g${index})"/>`,
    }
  }
  if (scene.style === 'hand-drawn') {
    const filter = `<filter id="h${index}" x="-30%" y="-30%" width="160%" height="160%"><feTurbulence baseFrequency="${between(random, 0.01, 0.03).toFixed(3)}" numOctaves="2" seed="${Math.floor(random() * 99)}"/><feDisplacementMap in="SourceGraphic" scale="${(radius * between(random, 0.1, 0.3)).toFixed(1)}" xChannelSelector="R" yChannelSelector="G"/></filter>`
    return {
      behind: '',
      shape: `${filter}<g filter="url(#h${index})"><path d="${path}" ${place} fill="${fill}" ${finishing}/></g>`,
    }
  }
  return { behind: '', shape: `<path d="${path}" ${place} fill="${fill}" ${finishing}/>` }
}

/** The picture, and each of its objects alone on nothing, which tells what it covers. */
export function svgOf(scene: DrawnScene, random: Random): { picture: string; alone: string[] } {
  const { width, height, ground, objects } = scene
  const finishing = finish(scene, random)
  const drawn = objects.map((object, index) => shapeOf(object, index, scene, random, finishing))
  const back = backdrops[scene.style]?.(scene, random) ?? ''
  const svg = (content: string): string =>
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${content}</svg>`
  const all = drawn.map(({ behind, shape }) => behind + shape).join('')
  return {
    picture: svg(`${rect(ground, [0, 0, width, height])}${back}${all}`),
    alone: drawn.map(({ shape }) => svg(shape)),
  }
}
