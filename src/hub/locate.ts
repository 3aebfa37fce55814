import { stat } from 'node:fs/promises'
import { join } from 'node:path'

import { OptionError } from '../errors.js'
import { isRepoId } from './names.js'
import { type PulledModel, type PullOptions, pull } from './pull.js'

/** A model that is on this machine. */
export interface LocatedModel {
  path: string
  /** What was pulled; undefined for a folder of one's own. */
  pulled?: PulledModel
}

/**
 * The folder of a model that is named by a path or by an id on the hub, from where it is then
 * pulled. A folder of that name goes first. With a revision, a folder means a run with its
 * checkpoints, one folder each.
 */
export async function locateModel(
  pathOrId: string,
  options: PullOptions = {},
): Promise<LocatedModel> {
  const { revision } = options
  if (await isFolder(pathOrId)) {
    if (revision === undefined) return { path: pathOrId }
    const path = join(pathOrId, revision)
    if (await isFolder(path)) return { path }
    const message = `option \`revision\` is ${JSON.stringify(revision)}, but the folder ${pathOrId} has no checkpoint of that name`
    throw new OptionError('revision', message)
  }
  // What is no id either is for the engine to say.
  if (!isRepoId(pathOrId)) return { path: pathOrId }
  const pulled = await pull(pathOrId, options)
  return { path: pulled.path, pulled }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}
