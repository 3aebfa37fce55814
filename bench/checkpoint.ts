import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { root } from './root.js'
import { EMBEDDINGS, HEAD, type Shape, tensors } from './shapes.js'
import { vocabulary } from './vocabulary.js'

/** Standard deviation of OLMo 2's initial weights. */
const STD = 0.02

/** Weights that are made and written at once. */
const CHUNK = 1 << 22

const EOS = '<|endoftext|>'

/** What the weights make of a text. */
export type Content =
  /** Norms are 1, so that the numbers in the model stay in the range of a trained one's. */
  | 'noise'
  /** After token `i` comes `i + 1`: the layers add nothing, and the head knows each token's predecessor. */
  | 'counting'

/**
 * Writes a checkpoint with random weights in bf16, the same for the same seed, unless it is there
 * already: `config.json`, `tokenizer.json`, `model.safetensors`.
 */
export async function randomCheckpoint(
  folder: string,
  shape: Shape,
  seed: number,
  content: Content = 'noise',
): Promise<void> {
  if (existsSync(join(folder, 'model.safetensors'))) return
  await mkdir(folder, { recursive: true })
  const eos = shape.vocab_size - 1
  const config = {
    architectures: ['Olmo2ForCausalLM'],
    model_type: 'olmo2',
    ...shape,
    num_key_value_heads: shape.num_attention_heads,
    attention_bias: false,
    attention_dropout: 0,
    hidden_act: 'silu',
    rope_theta: 500_000,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: false,
    bos_token_id: null,
    eos_token_id: eos,
    pad_token_id: eos,
    torch_dtype: 'bfloat16',
  }
  const settings = { eos_token: EOS, pad_token: EOS, tokenizer_class: 'GPT2Tokenizer' }
  await writeFile(join(folder, 'config.json'), JSON.stringify(config, null, 2))
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(await tokenizer(shape)))
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(settings))
  await writeWeights(join(folder, 'model.safetensors'), shape, seed, content)
}

/** dolma2's way of cutting, with a made-up vocabulary of the model's size. */
async function tokenizer({ vocab_size }: Shape): Promise<object> {
  const file = 'crates/olmo-core/tests/golden/dolma2-subset/tokenizer.json'
  const dolma2 = JSON.parse(await readFile(join(root, file), 'utf8'))
  const { tokens, merges } = vocabulary(vocab_size - 1)
  const id = vocab_size - 1
  const special = { single_word: false, lstrip: false, rstrip: false, normalized: false }
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]))
  return {
    ...dolma2,
    added_tokens: [{ id, content: EOS, ...special, special: true }],
    model: { ...dolma2.model, vocab, merges },
  }
}

async function writeWeights(
  path: string,
  shape: Shape,
  seed: number,
  content: Content,
): Promise<void> {
  const source = content === 'noise' ? weights : countingWeights
  const header: Record<string, object> = {}
  let offset = 0
  for (const [name, size] of tensors(shape)) {
    const end = offset + 2 * elements(size)
    header[name] = { dtype: 'BF16', shape: size, data_offsets: [offset, end] }
    offset = end
  }
  const text = JSON.stringify(header)
  // The data begins at a multiple of 8; blanks after the header are part of it.
  const json = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))

  const partial = `${path}.partial`
  const file = await open(partial, 'w')
  try {
    await file.write(length)
    await file.write(json)
    for (const [name, size] of tensors(shape))
      for (const chunk of source(name, size, seed)) await file.write(chunk)
    await file.sync()
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  } finally {
    await file.close()
  }
  await rename(partial, path)
}

/** A tensor's numbers, chunk by chunk; each chunk is overwritten when the next is asked for. */
function* weights(name: string, size: number[], seed: number): Generator<Uint16Array> {
  const count = elements(size)
  if (size.length === 1) {
    yield new Uint16Array(count).fill(bf16(1))
    return
  }
  const draw = normal(name, seed)
  const buffer = new Uint16Array(Math.min(CHUNK, count))
  for (let done = 0; done < count; done += buffer.length) {
    const chunk = buffer.subarray(0, count - done)
    draw(chunk)
    yield chunk
  }
}

/** The same but for what makes it count. */
function* countingWeights(name: string, size: number[], seed: number): Generator<Uint16Array> {
  if (/post_\w+_layernorm/.test(name)) {
    yield new Uint16Array(elements(size))
    return
  }
  if (name !== HEAD) {
    yield* weights(name, size, seed)
    return
  }
  // A token is likeliest after the one whose embedding its row of the head is.
  const [vocab = 0, hidden = 0] = size
  yield new Uint16Array(hidden)
  yield* weights(EMBEDDINGS, [vocab - 1, hidden], seed)
}

/**
 * Fills arrays with bf16 numbers that are almost normally distributed: the sum of the four bytes of a
 * random word looks its weight up. xorshift32 of Marsaglia 2003, seeded by the tensor's name.
 */
function normal(name: string, seed: number): (out: Uint16Array) => void {
  const mean = (4 * 255) / 2
  const deviation = Math.sqrt((4 * (256 ** 2 - 1)) / 12)
  const weight = (sum: number) => bf16((STD * (sum - mean)) / deviation)
  const table = Uint16Array.from({ length: 4 * 255 + 1 }, (_, sum) => weight(sum))
  let state = createHash('sha256').update(`${seed} ${name}`).digest().readUInt32LE() | 1
  return (out) => {
    for (let index = 0; index < out.length; index += 1) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      const sum =
        (state & 255) + ((state >>> 8) & 255) + ((state >>> 16) & 255) + ((state >>> 24) & 255)
      out[index] = table[sum] as number
    }
  }
}

/** The bits of the bf16 number nearest to a finite one. */
export function bf16(value: number): number {
  const [bits = 0] = new Uint32Array(new Float32Array([value]).buffer)
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16
}

function elements(size: readonly number[]): number {
  return size.reduce((product, length) => product * length, 1)
}
