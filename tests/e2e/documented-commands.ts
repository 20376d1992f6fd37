import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The commands of one fenced block, in order, with what a reader would paste. */
export interface CommandBlock {
  /** Where it stands, such as `README.md:34`. */
  place: string
  commands: string[]
}

/** The blocks of README, the other pages at the root and docs that hold shell commands. */
export function readCommandBlocks(root: string): CommandBlock[] {
  const markdown = (folder: string): string[] =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name))
  return [...markdown('.'), ...markdown('docs')].flatMap((file) =>
    blocksOf(file, readFileSync(join(root, file), 'utf8')),
  )
}

function blocksOf(file: string, text: string): CommandBlock[] {
  const blocks: CommandBlock[] = []
  const fences = /^(?<indent> *)```(?<language>\w*)\n(?<body>[\s\S]*?)\n\k<indent>```$/gm
  for (const { groups, index } of text.matchAll(fences)) {
    const lines = (groups?.['body'] ?? '').split('\n').map((line) => line.slice(groups?.['indent']?.length))
    const isShell = ['sh', 'bash', 'shell', 'console'].includes(groups?.['language'] ?? '')
    // Elsewhere a command is told from its output by the prompt.
    const commands = isShell ? commandsIn(lines) : lines.flatMap((line) => /^\$ (.*)/.exec(line)?.slice(1) ?? [])
    const line = text.slice(0, index).split('\n').length
    if (commands.length > 0) blocks.push({ place: `${file}:${line}`, commands })
  }
  return blocks
}

/** Without comments; a line that goes on in the next is one with it. */
function commandsIn(lines: readonly string[]): string[] {
  const commands: string[] = []
  let goesOn = false
  for (const line of lines) {
    if (!goesOn && /^\s*(#|$)/.test(line)) continue
    if (goesOn) commands.push(`${commands.pop() ?? ''}\n${line}`)
    else commands.push(line)
    goesOn = /[|\\]$/.test(line)
  }
  return commands
}
