import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { OptionError } from '../errors.js'
import { chooseRevision, isLoose } from '../revisions/choose.js'
import { parseRevision } from '../revisions/parse.js'
import { checkCall } from './arguments.js'
import { isRepoId } from './names.js'
import { type PulledModel, type PullOptions, pull } from './pull.js'

/** A model that is on this machine. */
export interface LocatedModel {
  /** A folder, or a GGUF file. */
  path: string
  /** What was pulled; undefined for a model of one's own. */
  pulled?: PulledModel
}

/** The id of a repository, and a GGUF file in it. */
const FILE_ON_HUB = /^([^/]+\/[^/]+)\/(.+\.gguf)$/

/**
 * The place of a model that is named by a path or by an id on the hub, from where it is then pulled.
 * After the id may come a GGUF file, as in `allenai/OLMo-2-0425-1B-Instruct-GGUF/model-Q4_K_M.gguf`. A
 * file or folder of that name goes first. With a revision, a folder means a run with its checkpoints,
 * one folder each.
 */
export async function locateModel(
  pathOrId: string,
  options: PullOptions = {},
): Promise<LocatedModel> {
  checkCall('pull', options, { path: pathOrId })
  const { revision } = options
  const found = await stat(pathOrId).catch(() => undefined)
  if (found && revision === undefined) return { path: pathOrId }
  if (found?.isDirectory()) {
    const path = join(pathOrId, await checkpointIn(pathOrId, revision ?? ''))
    if (await isFolder(path)) return { path }
    const message = `is ${JSON.stringify(revision)}, but the folder ${pathOrId} has no checkpoint of that name`
    throw new OptionError('revision', message)
  }
  if (found) {
    const message = `is ${JSON.stringify(revision)}, but ${pathOrId} is a file, which has none`
    throw new OptionError('revision', message)
  }
  const [, id = pathOrId, file] = FILE_ON_HUB.exec(pathOrId) ?? []
  // What is no id either is for the engine to say. No repository is called after a file.
  if (!isRepoId(id) || id.endsWith('.gguf')) return { path: pathOrId }
  const pulled = await pull(id, file === undefined ? options : { ...options, file })
  const path = file === undefined ? pulled.path : join(pulled.path, file)
  return { path, pulled }
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
