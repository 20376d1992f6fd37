import type { Style } from './scene.ts'

/** Colours by CSS name, with their values, under the word that a model answers. */
const named: Record<string, string> = {
  red: '#ff0000',
  crimson: '#dc143c',
  firebrick: '#b22222',
  orange: '#ffa500',
  darkorange: '#ff8c00',
  yellow: '#ffff00',
  gold: '#ffd700',
  green: '#008000',
  limegreen: '#32cd32',
  forestgreen: '#228b22',
  seagreen: '#2e8b57',
  lime: '#00ff00',
  cyan: '#00ffff',
  turquoise: '#40e0d0',
  darkturquoise: '#00ced1',
  blue: '#0000ff',
  royalblue: '#4169e1',
  dodgerblue: '#1e90ff',
  mediumblue: '#0000cd',
  navy: '#000080',
  purple: '#800080',
  darkviolet: '#9400d3',
  rebeccapurple: '#663399',
  darkorchid: '#9932cc',
  blueviolet: '#8a2be2',
  hotpink: '#ff69b4',
  deeppink: '#ff1493',
  lightpink: '#ffb6c1',
  pink: '#ffc0cb',
}

export const cssColors: Record<string, readonly string[]> = {
  red: ['red', 'crimson', 'firebrick'],
  orange: ['orange', 'darkorange'],
  yellow: ['yellow', 'gold'],
  green: ['green', 'limegreen', 'forestgreen', 'seagreen', 'lime'],
  cyan: ['cyan', 'turquoise', 'darkturquoise'],
  blue: ['blue', 'royalblue', 'dodgerblue', 'mediumblue', 'navy'],
  purple: ['purple', 'darkviolet', 'rebeccapurple', 'darkorchid', 'blueviolet'],
  pink: ['hotpink', 'deeppink', 'lightpink', 'pink'],
}

type Ground = readonly [color: string, name?: string]
const light: readonly Ground[] = [
  ['#ffffff', 'white'],
  ['#f5f5f5', 'white'],
  ['#fffafa', 'white'],
]
const pastel: readonly Ground[] = [
  ['#98ff98'],
  ['#d0f0e0'],
  ['#e6e6fa'],
  ['#ffe4e1'],
  ['#fffacd'],
  ['#f0fff0'],
  ['#b0e0e6'],
  ['#d8bfd8'],
  ['#ffdab9'],
  ['#e0ffff'],
  ['#ffe4b5'],
  ['#90ee90', 'green'],
  ['#add8e6', 'blue'],
  ['#ffb6c1', 'pink'],
  ['#afeeee'],
  ['#fafad2'],
  ['#c8d6f0'],
]
const dark: readonly Ground[] = [
  ['#000000', 'black'],
  ['#0d0d12', 'black'],
  ['#191970'],
  ['#2f4f4f'],
  ['#222831'],
  ['#1b1b2f'],
  ['#3b0a24'],
  ['#10301c'],
]

export const grounds: Record<Style, readonly Ground[]> = {
  pastel,
  white: light,
  dark,
  outlined: [...light, ...pastel, ...dark],
  shadow: [...light, ...pastel],
  checks: [['#ffffff'], ['#e8e8e8'], ['#d9e6f2'], ['#f6e7d2'], ['#333340']],
  photo: [['#8a8a80']],
  gradient: [['#fbc2eb'], ['#a1c4fd'], ['#fdfbfb'], ['#84fab0'], ['#30344a'], ['#e0c3fc']],
  'hand-drawn': [...light, ['#fdf6e3'], ['#f7f3e8'], ...pastel],
  screenshot: [['#ffffff'], ['#f3f4f6'], ['#1e1e1e']],
}

export function rgbOf(color: string): [number, number, number] {
  const value = Number.parseInt((named[color] ?? color).slice(1), 16)
  return [value >> 16, (value >> 8) & 255, value & 255]
}
