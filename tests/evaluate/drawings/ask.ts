import { cssColors } from './colors.ts'
import { type Drawn, type DrawnScene, pick, type Random, shapes } from './scene.ts'

export interface Question {
  kind: string
  question: string
  answer: string
}
export interface Statement {
  kind: string
  text: string
  label: 'yes' | 'no' | 'maybe'
}

const colors = Object.keys(cssColors)
const pair = (object: Drawn): string => `${object.color} ${object.shape}`
const article = (words: string): string => (/^[aeiou]/.test(words) ? 'an' : 'a')
const plural = (shape: string): string => (shape === 'cross' ? 'crosses' : `${shape}s`)
const once = <T>(values: readonly T[]): T[] =>
  values.filter((value) => values.indexOf(value) === values.lastIndexOf(value))

/** A pair of colour and shape that is not in the scene, often one word away from one that is. */
function absentPair(scene: DrawnScene, random: Random): [color: string, shape: string] {
  const there = new Set(scene.objects.map(pair))
  for (;;) {
    const like = pick(random, scene.objects)
    const change = random()
    const color = change < 0.45 ? like.color : pick(random, colors)
    const shape = change >= 0.45 && change < 0.9 ? like.shape : pick(random, shapes)
    if (!there.has(`${color} ${shape}`)) return [color, shape]
  }
}

/** The objects that "the red circle" can mean. */
function unmistakable(scene: DrawnScene): Drawn[] {
  const names = once(scene.objects.map(pair))
  return scene.objects.filter((object) => names.includes(pair(object)))
}

const relations = ['left of', 'right of', 'above', 'below'] as const

/** Whether one is left of (and so on) the other; undefined where people might hesitate. */
function related(a: Drawn, b: Drawn, relation: (typeof relations)[number], scene: DrawnScene): boolean | undefined {
  const along = relation === 'left of' || relation === 'right of'
  const difference = along ? (b.x - a.x) / scene.width : (b.y - a.y) / scene.height
  const distance = relation === 'left of' || relation === 'above' ? difference : -difference
  return distance > 0.12 ? true : distance < -0.12 ? false : undefined
}

const yesNo = (value: boolean): 'yes' | 'no' => (value ? 'yes' : 'no')

export function questionsAbout(scene: DrawnScene, random: Random): Question[] {
  const { objects } = scene
  const found: Question[] = []
  const ask = (kind: string, question: string, answer: string): void => void found.push({ kind, question, answer })
  const [shape] = once(objects.map((object) => object.shape))
  const [color] = once(objects.map((object) => object.color))
  for (const object of objects) {
    if (object.shape === shape) ask('color', `What color is the ${shape}?`, object.color)
    if (object.color === color) ask('shape', `What shape is the ${color} object?`, object.shape)
  }
  ask('count', 'How many shapes are there?', String(objects.length))
  const counted = pick(random, objects)
  const [key, words] =
    random() < 0.5 ? (['shape', plural(counted.shape)] as const) : (['color', `${counted.color} shapes`] as const)
  ask('count', `How many ${words} are there?`, String(objects.filter((object) => object[key] === counted[key]).length))
  const seen = pair(pick(random, objects))
  ask('exists', `Is there ${article(seen)} ${seen}?`, 'yes')
  const absent = absentPair(scene, random).join(' ')
  ask('exists', `Is there ${article(absent)} ${absent} in the picture?`, 'no')
  const [first, second] = unmistakable(scene)
  if (first !== undefined) {
    ask('size', `Is the ${pair(first)} small or large?`, first.size)
    const side = first.x / scene.width
    if (Math.abs(side - 0.5) > 0.08)
      ask('where', `Is the ${pair(first)} on the left or on the right?`, side < 0.5 ? 'left' : 'right')
  }
  if (first !== undefined && second !== undefined) {
    const relation = pick(random, relations)
    const truth = related(first, second, relation, scene)
    if (truth !== undefined) ask('relation', `Is the ${pair(first)} ${relation} the ${pair(second)}?`, yesNo(truth))
    const ratio = first.radius / second.radius
    if (first.shape !== second.shape && (ratio > 1.5 || ratio < 1 / 1.5))
      ask(
        'compare',
        `Which is larger, the ${pair(first)} or the ${pair(second)}?`,
        ratio > 1 ? first.shape : second.shape,
      )
  }
  if (scene.groundName !== undefined) ask('background', 'What color is the background?', scene.groundName)
  return found
}

export function statementsAbout(scene: DrawnScene, random: Random): Statement[] {
  const found: Statement[] = []
  const say = (kind: string, text: string, label: Statement['label']): void => void found.push({ kind, text, label })
  const seen = pair(pick(random, scene.objects))
  const [color, shape] = absentPair(scene, random)
  say('exists', `There is ${article(seen)} ${seen}.`, 'yes')
  say('exists', `There is ${article(color)} ${color} ${shape} in the picture.`, 'no')
  const truth = scene.objects.length
  say('count', truth === 1 ? 'There is exactly one shape.' : `There are ${truth} shapes.`, 'yes')
  say('count', `There are ${truth === 2 ? 3 : 2} shapes.`, 'no')
  const [first, second] = unmistakable(scene)
  if (first !== undefined) {
    say('size', `The ${pair(first)} is ${first.size}.`, 'yes')
    say('property', `The ${pair(first)} is heavy.`, 'maybe')
  }
  if (first !== undefined && second !== undefined) {
    const relation = pick(random, relations)
    const holds = related(first, second, relation, scene)
    if (holds !== undefined) say('relation', `The ${pair(first)} is ${relation} the ${pair(second)}.`, yesNo(holds))
  }
  return found
}

/** One true phrase, first, and seven that name nothing in the scene. */
export function phrasesAbout(scene: DrawnScene, random: Random): { kind: string; texts: string[] } {
  const seen = pair(pick(random, scene.objects))
  const texts = new Set([`${article(seen)} ${seen}`])
  while (texts.size < 8) {
    const absent = absentPair(scene, random).join(' ')
    texts.add(`${article(absent)} ${absent}`)
  }
  return { kind: 'object', texts: [...texts] }
}

/** What the picture mostly shows: the one object that is clearly the largest. */
export function labelOf(scene: DrawnScene): string | null {
  const [largest, next] = scene.objects.toSorted((a, b) => b.radius - a.radius)
  if (largest === undefined || (next !== undefined && largest.radius < 1.4 * next.radius)) return null
  return pair(largest)
}

export const namesOf = (scene: DrawnScene): string[] => scene.objects.map(pair)
