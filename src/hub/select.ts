import { HubError } from '../errors.js'
import { formatBytes } from '../files.js'
import type { HubFile } from './client.js'

/** What the engine reads of a checkpoint beside its weights, and the tokenizer's own files. */
export const SMALL_FILES = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
]

/** Without these nothing runs. */
const NEEDED = ['config.json', 'tokenizer.json']

export const WEIGHTS = 'model.safetensors'
export const WEIGHTS_INDEX = 'model.safetensors.index.json'

/** The most bytes of such an index: one of a hundred thousand tensors has a tenth of it. */
export const LARGEST_INDEX = 64 * 2 ** 20

/** What to fetch of a repository. */
export interface Selection {
  files: HubFile[]
  /** The list of the shards, which has to be read to know them. */
  index?: HubFile
}

/**
 * The files that the engine reads: not those of other frameworks, other variants of the weights, or
 * what trainers leave behind.
 *
 * @param name One file to fetch alone, such as a GGUF
 * @throws {HubError} `FILE_NOT_FOUND` if it takes a file that is not there
 */
export function selectFiles(all: readonly HubFile[], asked: Asked, name?: string): Selection {
  if (name !== undefined) return { files: [find(all, name, asked)] }
  for (const needed of NEEDED) find(all, needed, asked)
  const small = all.filter(({ path }) => SMALL_FILES.includes(path))
  const whole = all.find(({ path }) => path === WEIGHTS)
  // The engine, as transformers, prefers the one file.
  if (whole) return { files: [...small, whole] }
  const index = find(all, WEIGHTS_INDEX, asked)
  if (index.size <= LARGEST_INDEX) return { files: small, index }
  const message = `${WEIGHTS_INDEX} of ${asked.repo} has ${formatBytes(index.size)}: no index is that long`
  throw new HubError('HUB_FAILED', message, { ...asked, file: WEIGHTS_INDEX })
}

/** The shards that an index lists. */
export function selectShards(all: readonly HubFile[], index: string, asked: Asked): HubFile[] {
  const byName = new Map(all.map((file) => [file.path, file]))
  return shardNames(index, asked).map((name) => byName.get(name) ?? find(all, name, asked))
}

/** The names in an index, each once. */
export function shardNames(index: string, asked: Asked): string[] {
  const map = weightMap(index)
  if (map !== undefined) return [...new Set(Object.values(map).map(String))]
  const message = `${WEIGHTS_INDEX} of ${asked.repo} has no \`weight_map\` that could be read`
  throw new HubError('HUB_FAILED', message, { ...asked, file: WEIGHTS_INDEX })
}

interface Asked {
  repo: string
  revision: string
}

function weightMap(index: string): object | undefined {
  try {
    const { weight_map: map } = JSON.parse(index)
    return typeof map === 'object' && map !== null ? map : undefined
  } catch {
    return undefined
  }
}

function find(all: readonly HubFile[], name: string, asked: Asked): HubFile {
  const file = all.find(({ path }) => path === name)
  if (file) return file
  const { repo, revision } = asked
  const message = `${repo} at ${revision} has no ${name}: ${instead(all, name)}`
  throw new HubError('FILE_NOT_FOUND', message, { ...asked, file: name })
}

/** What there is that could have been meant. */
function instead(all: readonly HubFile[], name: string): string {
  const extension = /\.\w+$/.exec(name)?.[0]
  const alike = all.map(({ path }) => path).filter((path) => extension && path.endsWith(extension))
  if (alike.length > 0) return `there are ${alike.slice(0, 8).join(', ')}`
  const ggufs = all.some(({ path }) => path.endsWith('.gguf'))
  return ggufs
    ? 'it holds GGUF files, of which one has to be named'
    : 'it is not a checkpoint in the format of Hugging Face'
}
