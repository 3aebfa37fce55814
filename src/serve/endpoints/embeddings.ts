import type { Shape } from '../../arguments.js'
import { embed, normalized, type Pooling } from '../../embed.js'
import { OptionError } from '../../errors.js'
import type { Olmo2 } from '../../model.js'
import { type TokenIds, toIds } from '../../tokens.js'
import { type Fields, sendJson } from '../body.js'
import { countPrompt, type Exchange, withModel } from '../exchange.js'
import { checkFields, MOST_CHOICES, promptsOf, unusedShape } from '../fields.js'
import { textIds } from './tokenize.js'

const shape: Shape = {
  ...unusedShape,
  model: 'text',
  encoding_format: 'text',
  dimensions: 'count',
  pooling: 'text',
  normalize: 'flag',
  priority: 'number',
  timeout: 'amount',
}

/** `POST /v1/embeddings`: the last hidden states of texts, each pooled to one vector. */
export async function embeddings(exchange: Exchange): Promise<void> {
  const { input, ...rest } = exchange.fields
  const fields = checkFields(rest, shape)
  const inputs = promptsOf(input, 'input')
  if (inputs.length > MOST_CHOICES) {
    throw new OptionError('input', `has ${inputs.length} texts, but can have ${MOST_CHOICES}`)
  }
  const pooling = oneOf<Pooling>(fields, 'pooling', ['mean', 'last'])
  const format = oneOf(fields, 'encoding_format', ['float', 'base64'])
  const own = { ...exchange, fields }
  await withModel(own, 1, async (model) => {
    checkDimensions(model, fields)
    const data: object[] = []
    let count = 0
    for (const [index, one] of inputs.entries()) {
      const ids = await idsOf(model, one)
      const vector = await embed(model, ids, pooling, exchange.signal)
      const scaled = fields.normalize === false ? vector : normalized(vector)
      data.push({ object: 'embedding', index, embedding: written(scaled, format) })
      count += ids.length
    }
    countPrompt(own, count)
    const usage = { prompt_tokens: count, total_tokens: count }
    sendJson(exchange.response, 200, { object: 'list', data, model: fields.model, usage })
  })
}

function oneOf<T extends string>(fields: Fields, name: string, values: readonly [T, ...T[]]): T {
  const given = fields[name]
  const found = given === undefined ? values[0] : values.find((value) => value === given)
  if (found !== undefined) return found
  const shown = values.map((value) => JSON.stringify(value)).join(' or ')
  throw new OptionError(name, `is ${JSON.stringify(given)}, but must be ${shown}`)
}

function checkDimensions({ info }: Olmo2, { dimensions }: Fields): void {
  const { hiddenSize } = info.config
  if (dimensions === undefined || dimensions === hiddenSize) return
  const problem = `is ${dimensions}, but the model's vectors have ${hiddenSize}`
  throw new OptionError('dimensions', problem)
}

function idsOf(model: Olmo2, input: string | TokenIds): Promise<Uint32Array> | Uint32Array {
  return typeof input === 'string' ? textIds(model, input) : toIds(input, 'input')
}

/** Numbers, or their bytes: f32, the least significant first, whatever this machine has. */
function written(vector: Float64Array, format: 'float' | 'base64'): number[] | string {
  if (format === 'float') return [...Float32Array.from(vector)]
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4)
  return bytes.toString('base64')
}
