import { readFile } from 'node:fs/promises'

import { checkArgument } from '../arguments.js'
import { CheckpointError, OptionError } from '../errors.js'
import { reasonOf } from '../realm.js'
import { decodeText } from '../text-file.js'
import { parseYaml } from '../yaml.js'
import type { TrainConfig } from './config.js'

/**
 * Reads the YAML file of a run. Keys and values are checked when the run begins.
 *
 * @throws {CheckpointError} if it cannot be read or is not YAML; the message has the line
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
 * Parses a run from the text of a YAML file. Keys and values are checked when the run begins.
 *
 * @param name What errors call the text
 * @throws {CheckpointError} if it is not YAML; the message has the line
 */
export async function parseTrainConfig(text: string, name = 'config'): Promise<TrainConfig> {
  checkArgument('text', text, 'text')
  checkArgument('name', name, 'text')
  const config = await parseYaml(text, name, 'the config of a run')
  if (isConfig(config)) return config
  throw new CheckpointError('INVALID_FILE', `${name}: a run must be an object of keys and values`)
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
        `${file}: \`${key}\` is ${value}, which is not a number`,
      )
    })
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause
    const problem = `${file}: it cannot be written as JSON: ${reasonOf(cause)}`
    throw new CheckpointError('INVALID_CONFIG', problem, { cause })
  }
}
