import { open, type FileHandle } from 'node:fs/promises'

/** What a graph's file says and ONNX Runtime doesn't tell. */
export interface GraphFacts {
  /** Names of the files beside it that hold its weights, such as `model.onnx_data`. */
  externalFiles: string[]
  /** By output: the function that its values come out of, where it makes probabilities of them. */
  probabilities: Map<string, 'softmax' | 'sigmoid'>
  /** An operator of it, or of a graph within it, that computes one row of a batch from the others; null: none that is known. */
  mixesRows: string | null
  /** The kinds of its nodes, such as `MatMul`, those of graphs within it (branches, loops) and of its functions too. */
  operators: ReadonlySet<string>
  /** The names of what it takes and gives; weights that old files list among the inputs are none. */
  inputs: string[]
  outputs: string[]
  /** How many dimensions each output has, where the file says it. */
  ranks: Map<string, number>
}

/** Each takes the range of a whole tensor, all rows of the batch together, to make 8-bit integers of it. */
const mixing = new Set(['DynamicQuantizeLinear', 'DynamicQuantizeMatMul', 'DynamicQuantizeLSTM'])

/** Operators that hand values on without making others of them. */
const passing = new Set([
  'Reshape',
  'Squeeze',
  'Unsqueeze',
  'Flatten',
  'Identity',
  'Cast',
  'Dropout',
  'Transpose',
  'QuantizeLinear',
  'DequantizeLinear',
])

/**
 * Walks an ONNX file's protobuf from field to field (numbers by onnx.proto), skipping the weights, so
 * that a graph of gigabytes is read in moments. Null where the file is no ONNX, or ends before its last field.
 */
export async function readGraphFacts(path: string): Promise<GraphFacts | null> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const reader = createReader(file)
    const external = new Set<string>()
    const nodes: Nodes = new Map()
    const operators = new Set<string>()
    const [inputs, outputs, weights] = [new Set<string>(), new Set<string>(), new Set<string>()]
    const ranks = new Map<string, number>()
    let hasGraph = false
    for (const graph of await reader.fields(0, size)) {
      if (graph.number === 25) await readFunction(reader, graph, operators)
      if (graph.number !== 7) continue
      hasGraph = true
      for (const field of await reader.fields(graph.start, graph.end)) {
        if (field.number === 1) await readNode(reader, field, nodes, operators)
        else if (field.number === 5) await readWeight(reader, field, { external, weights })
        else if (field.number === 11) inputs.add(await readName(reader, field, 1))
        else if (field.number === 12) {
          const name = await readName(reader, field, 1)
          outputs.add(name)
          const rank = await readRank(reader, field)
          if (rank !== null) ranks.set(name, rank)
        }
      }
    }
    if (!hasGraph) return null
    const mixesRows = [...operators].find((operator) => mixing.has(operator)) ?? null
    for (const name of weights) inputs.delete(name)
    const names = { inputs: [...inputs], outputs: [...outputs], ranks }
    return { externalFiles: [...external], probabilities: findProbabilities(nodes), mixesRows, operators, ...names }
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  } finally {
    await file.close()
  }
}

type Nodes = Map<string, { operator: string; input: string }>

async function readNode(reader: Reader, node: Field, nodes: Nodes, operators: Set<string>): Promise<void> {
  let input: string | null = null
  const outputs: string[] = []
  let operator = ''
  for (const field of await reader.fields(node.start, node.end)) {
    if (field.number === 1) input ??= await reader.text(field)
    else if (field.number === 2) outputs.push(await reader.text(field))
    else if (field.number === 4) operator = await reader.text(field)
    else if (field.number === 5) await readInnerGraphs(reader, field, operators)
  }
  operators.add(operator)
  for (const output of outputs) nodes.set(output, { operator, input: input ?? '' })
}

/** The branches of an If and the bodies of loops are graphs within an attribute. */
async function readInnerGraphs(reader: Reader, attribute: Field, operators: Set<string>): Promise<void> {
  for (const graph of await reader.fields(attribute.start, attribute.end)) {
    if (graph.number !== 6 && graph.number !== 11) continue
    for (const field of await reader.fields(graph.start, graph.end)) {
      if (field.number === 1) await readNode(reader, field, new Map(), operators)
    }
  }
}

/** A function of the file's own, whose nodes are listed as a graph's are. */
async function readFunction(reader: Reader, { start, end }: Field, operators: Set<string>): Promise<void> {
  for (const field of await reader.fields(start, end)) {
    if (field.number === 7) await readNode(reader, field, new Map(), operators)
  }
}

/** A weight's own name, and the name of the file that holds its values, where that is one beside the graph. */
async function readWeight(
  reader: Reader,
  tensor: Field,
  { external, weights }: { external: Set<string>; weights: Set<string> },
): Promise<void> {
  for (const field of await reader.fields(tensor.start, tensor.end)) {
    if (field.number === 8) weights.add(await reader.text(field))
    if (field.number !== 13) continue
    const entry = await reader.fields(field.start, field.end)
    const [key, value] = entry
    if (key === undefined || value === undefined) continue
    if ((await reader.text(key)) === 'location') external.add(await reader.text(value))
  }
}

/** The number of an output's dimensions: ValueInfoProto's type, its tensor type, the shape of that. */
async function readRank(reader: Reader, { start, end }: Field): Promise<number | null> {
  let message: Pick<Field, 'start' | 'end'> = { start, end }
  for (const number of [2, 1, 2]) {
    const inner = (await reader.fields(message.start, message.end)).find((field) => field.number === number)
    if (inner === undefined) return null
    message = inner
  }
  return (await reader.fields(message.start, message.end)).filter((field) => field.number === 1).length
}

/** The text of a message's field of this number; empty where it has none. */
async function readName(reader: Reader, { start, end }: Field, number: number): Promise<string> {
  const field = (await reader.fields(start, end)).find((one) => one.number === number)
  return field === undefined ? '' : reader.text(field)
}

function findProbabilities(nodes: Nodes): GraphFacts['probabilities'] {
  const found: GraphFacts['probabilities'] = new Map()
  for (const output of nodes.keys()) {
    let node = nodes.get(output)
    for (let steps = 0; node !== undefined && passing.has(node.operator) && steps < 10; steps += 1) {
      node = nodes.get(node.input)
    }
    if (node?.operator === 'Softmax') found.set(output, 'softmax')
    if (node?.operator === 'Sigmoid') found.set(output, 'sigmoid')
  }
  return found
}

/** A field of a message: where its content lies. Numbers that are no messages have no content. */
interface Field {
  number: number
  start: number
  end: number
}

interface Reader {
  fields: (start: number, end: number) => Promise<Field[]>
  text: (field: Field) => Promise<string>
}

const windowBytes = 1 << 16

/** Throws RangeError where the bytes are no protobuf. */
function createReader(file: FileHandle): Reader {
  const window = Buffer.alloc(windowBytes)
  let windowStart = 0
  let windowEnd = 0

  async function byteAt(position: number): Promise<number> {
    if (position < windowStart || position >= windowEnd) {
      const { bytesRead } = await file.read(window, 0, windowBytes, position)
      windowStart = position
      windowEnd = position + bytesRead
      if (bytesRead === 0) throw new RangeError('the file ends within a field')
    }
    return window[position - windowStart] ?? 0
  }

  async function varint(start: number): Promise<{ value: number; end: number }> {
    let value = 0
    for (let index = 0; index < 10; index += 1) {
      const byte = await byteAt(start + index)
      value += (byte & 0x7f) * 2 ** (7 * index)
      if (byte < 0x80) return { value, end: start + index + 1 }
    }
    throw new RangeError('a number without an end')
  }

  return {
    async fields(start, end) {
      const found: Field[] = []
      for (let position = start; position < end;) {
        const key = await varint(position)
        const number = Math.floor(key.value / 8)
        const content = { number, start: key.end, end: key.end }
        switch (key.value % 8) {
          case 0:
            content.end = (await varint(key.end)).end
            break
          case 1:
            content.end += 8
            break
          case 2: {
            const length = await varint(key.end)
            content.start = length.end
            content.end = length.end + length.value
            break
          }
          case 5:
            content.end += 4
            break
          default:
            throw new RangeError('a field of no known kind')
        }
        if (content.end > end) throw new RangeError('a field longer than its message')
        found.push(content)
        position = content.end
      }
      return found
    },
    async text({ start, end }) {
      if (end - start > windowBytes) throw new RangeError('a name of over 65536 bytes')
      if (end > start) await byteAt(start)
      if (end <= windowEnd) return window.toString('utf8', start - windowStart, end - windowStart)
      const bytes = Buffer.alloc(end - start)
      await file.read(bytes, 0, bytes.length, start)
      return bytes.toString('utf8')
    },
  }
}
