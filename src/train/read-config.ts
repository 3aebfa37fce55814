import { readFile } from 'node:fs/promises'

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
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (cause) {
    const reason = reasonOf(cause)
    throw new CheckpointError('IO', `cannot read ${path}: ${reason}`, { cause })
  }
  // Loaded here: who trains nothing needs no YAML.
  const { parseDocument } = await import('yaml')
  const document = parseDocument(decodeText(bytes, path))
  const [problem] = document.errors
  // The first line of the message has the line's number; those after it show the line.
  const [what = ''] = problem?.message.split(/:?\n/) ?? []
  if (problem) throw new CheckpointError('INVALID_FILE', `${path}: ${what}`)
  const config: unknown = document.toJS()
  if (isConfig(config)) return config
  throw new CheckpointError('INVALID_FILE', `${path}: a run is described by keys with values`)
}

/** Whether something is an object, as which a config is checked further by the engine. */
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
  return JSON.stringify(config, (key, value: unknown) => {
    if (typeof value !== 'number' || Number.isFinite(value)) return value
    throw new CheckpointError(
      'INVALID_CONFIG',
      `${file}: \`${key}\` is ${value}, which is no number`,
    )
  })
}
