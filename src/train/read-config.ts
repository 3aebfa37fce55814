import { readFile } from 'node:fs/promises'

import { checkArgument } from '../arguments.js'
import { CheckpointError, OptionError } from '../errors.js'
import { reasonOf } from '../realm.js'
import { decodeText } from '../text-file.js'
import type { TrainConfig } from './config.js'

/**
 * Reads the YAML file of a run. Keys and values are checked when the run begins.
 *
 * @throws {CheckpointError} if it cannot be read or is no YAML; the message has the line
 */
export async function readTrainConfig(path: string): Promise<TrainConfig> {
  checkArgument('path', path, 'path')
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (cause) {
    const reason = reasonOf(cause)
    throw new CheckpointError('IO', `cannot read ${path}: ${reason}`, { cause })
  }
  return await parseTrainConfig(decodeText(bytes, path), path)
}

/**
 * A run from the text of a YAML file. Keys and values are checked when the run begins.
 *
 * @param name What errors call the text
 * @throws {CheckpointError} if it is no YAML; the message has the line
 */
export async function parseTrainConfig(text: string, name = 'config'): Promise<TrainConfig> {
  checkArgument('text', text, 'text')
  checkArgument('name', name, 'text')
  const config = await parseYaml(text, name)
  if (isConfig(config)) return config
  throw new CheckpointError('INVALID_FILE', `${name}: a run is described by keys with values`)
}

/** Far more than any config has: a file that is larger is another's. */
const MOST_CHARACTERS = 1 << 20

/**
 * What a YAML file says. One that refers to itself without end (aliases of aliases), or is nested deeper
 * than anyone writes, is refused as any other that is no YAML.
 */
async function parseYaml(text: string, path: string): Promise<unknown> {
  const invalid = (what: string, cause?: unknown) =>
    new CheckpointError('INVALID_FILE', `${path}: ${what}`, { cause })
  if (text.length > MOST_CHARACTERS) throw invalid('it is too long for the config of a run')
  checkNesting(text, invalid)
  // Loaded here: who trains nothing needs no YAML.
  const { parseDocument } = await import('yaml')
  let value: unknown
  try {
    const document = parseDocument(text)
    const [problem] = document.errors
    // The first line of the message has the line's number; those after it show the line.
    const [what = ''] = problem?.message.split(/:?\n/) ?? []
    if (problem) throw invalid(what)
    value = document.toJS({ maxAliasCount: 100 })
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause
    throw invalid(`it cannot be read as YAML: ${reasonOf(cause)}`, cause)
  }
  return value
}

/** The parser takes a stack frame or two a level, and the whole of it again a level that is never closed. */
const MOST_NESTING = 100

function checkNesting(text: string, invalid: (what: string) => CheckpointError): void {
  let deepest = 0
  let depth = 0
  for (const character of text) {
    if (character === '[' || character === '{') deepest = Math.max(deepest, ++depth)
    if (character === ']' || character === '}') depth -= 1
  }
  const indents = text.split('\n').map((line) => /^[\s?:-]*/.exec(line)?.[0].length ?? 0)
  for (const indent of indents) deepest = Math.max(deepest, indent / 10)
  if (deepest > MOST_NESTING) throw invalid('it is nested deeper than a config can be')
}

/** Whether the value is an object; the engine checks its keys. */
function isConfig(value: unknown): value is TrainConfig {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A config as the engine takes it, and the file from which its paths start. */
export interface ConfigText {
  config: TrainConfig
  json: string
  file: string
}

/** What `train` was called with, as the engine takes it. */
export async function configText(config: TrainConfig | string): Promise<ConfigText> {
  if (typeof config === 'string') {
    const read = await readTrainConfig(config)
    return { config: read, json: toJson(read, config), file: config }
  }
  if (isConfig(config)) return { config, json: toJson(config, 'config'), file: 'config' }
  throw new OptionError('config', 'must be a config, or the path of a YAML file')
}

/** JSON would write `null`, a missing value, for a number that is none. */
function toJson(config: TrainConfig, file: string): string {
  try {
    return JSON.stringify(config, (key, value: unknown) => {
      if (typeof value !== 'number' || Number.isFinite(value)) return value
      throw new CheckpointError(
        'INVALID_CONFIG',
        `${file}: \`${key}\` is ${value}, which is no number`,
      )
    })
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause
    const problem = `${file}: it cannot be written as JSON: ${reasonOf(cause)}`
    throw new CheckpointError('INVALID_CONFIG', problem, { cause })
  }
}
