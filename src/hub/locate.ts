import type { Stats } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { OptionError } from '../errors.js'
import { chooseRevision, isLoose } from '../revisions/choose.js'
import { parseRevision } from '../revisions/parse.js'
import { checkCall } from './arguments.js'
import { checkLocalFiles, folderOf } from './local-files.js'
import { parseModelName } from './model-name.js'
import { type PulledModel, type PullOptions, pull } from './pull.js'
import { readSettings } from './settings.js'

/** A model that is on this machine. */
export interface LocatedModel {
  /** A folder, or a GGUF file. */
  path: string
  /** What was pulled; undefined for a model of one's own. */
  pulled?: PulledModel
}

/**
 * Finds a model named by a path or by an id on the hub, and pulls it from there if necessary. The id can be
 * followed by a GGUF file, as in `allenai/OLMo-2-0425-1B-Instruct-GGUF/model-Q4_K_M.gguf`, or the type of
 * one, as in `allenai/OLMo-2-0425-1B-Instruct-GGUF:Q4_K_M`; or replaced by the address of the model's page. A
 * local file or folder of that name takes precedence; one of a checkpoint's own files means its folder. With
 * a revision, a folder is a run with one folder per checkpoint.
 *
 * @throws {CheckpointError} `IO` or `INVALID_FILE` if a file of the model is a pipe, a folder or a pointer of
 * git-lfs
 */
export async function locateModel(
  pathOrId: string,
  options: PullOptions = {},
): Promise<LocatedModel> {
  checkCall('pull', options, { path: pathOrId })
  const found = await stat(pathOrId).catch(() => undefined)
  const own = found && (await locateOwn(pathOrId, found, options.revision))
  const place = own ?? (await locateOnHub(pathOrId, options))
  if (own || place.pulled) await checkLocalFiles(place.path)
  return place
}

/** A model of one's own, or a checkpoint of a run. */
async function locateOwn(
  given: string,
  found: Stats,
  revision: string | undefined,
): Promise<LocatedModel> {
  if (revision === undefined) return { path: found.isFile() ? folderOf(given) : given }
  if (!found.isDirectory()) {
    const message = `is ${JSON.stringify(revision)}, but ${given} is a file, which has none`
    throw new OptionError('revision', message)
  }
  const path = join(given, await checkpointIn(given, revision))
  if (await isFolder(path)) return { path }
  const message = `is ${JSON.stringify(revision)}, but the folder ${given} has no checkpoint of that name`
  throw new OptionError('revision', message)
}

async function locateOnHub(text: string, options: PullOptions): Promise<LocatedModel> {
  const { endpoint } = await readSettings(options)
  // If it isn't a name on the hub either, let the engine report it.
  if (parseModelName(text, endpoint) === undefined) return { path: text }
  const pulled = await pull(text, options)
  const [file = ''] = pulled.files
  const isFile = pulled.files.length === 1 && /\.gguf$/i.test(file)
  return { path: isFile ? join(pulled.path, file) : pulled.path, pulled }
}

/** The name of a run's checkpoint that is asked for by its name or by what it is. */
async function checkpointIn(run: string, revision: string): Promise<string> {
  if (!isLoose(revision)) return revision
  const all = (await readdir(run)).flatMap((name) => parseRevision(name) ?? [])
  return chooseRevision(all, revision)?.name ?? revision
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}
