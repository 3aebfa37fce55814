import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { OptionError } from '../errors.js'
import { parseModelName } from '../hub/model-name.js'
import { isRefName, isRepoId } from '../hub/names.js'
import { type PulledModel, type PullOptions, pull } from '../hub/pull.js'
import { embeddedModel, embeddedRun } from '../package.js'
import { chooseRevision, isLoose } from '../revisions/choose.js'
import { inTrainingOrder } from '../revisions/order.js'
import { parseRevision } from '../revisions/parse.js'
import { Refusal } from './failure.js'

/** A model under a name that requests may use. */
export interface Served {
  /** A folder, a GGUF file, or the name of a model on the hub. */
  path: string
  /** Which revision of it, if not the one it has anyway. */
  revision?: string
  isOnHub: boolean
  /** A folder with checkpoints of the run that made it, if there is one. */
  run?: string
}

/** What a request asks for: `name`, `name@revision`, `name:Q4_K_M`, or all of it. */
export interface AskedName {
  base: string
  revision?: string
}

/** Splits a name at its revision; the type of a GGUF file stays with the base, as the hub's names have it. */
export function splitName(name: string): AskedName {
  const at = name.indexOf('@')
  if (at < 0) return { base: name }
  const [, revision = '', type = ''] = /^(.*?)(:[\w.-]+)?$/s.exec(name.slice(at + 1)) ?? []
  return { base: name.slice(0, at) + type, revision }
}

/** What stands behind a name that a server was told to serve. */
export async function servedModel(given: string): Promise<Served> {
  const { base, revision } = splitName(given)
  const own = (await isThere(given)) ? given : (await isThere(base)) ? base : undefined
  if (own === undefined && parseModelName(base) !== undefined) {
    return { path: base, isOnHub: true, ...(revision !== undefined && { revision }) }
  }
  const path = own ?? base
  const run = path === embeddedModel ? embeddedRun() : path
  const isRun = (await checkpointsIn(run)).length > 0
  const asked = own === given ? undefined : revision
  // A run alone is its last checkpoint.
  const wanted = asked ?? (isRun && !(await isCheckpoint(path)) ? 'latest' : undefined)
  return {
    path,
    isOnHub: false,
    ...(wanted !== undefined && { revision: wanted }),
    ...(isRun && { run }),
  }
}

/** Whether a folder, or a file, is a checkpoint itself. */
async function isCheckpoint(path: string): Promise<boolean> {
  const names: string[] | undefined = await readdir(path).catch(() => undefined)
  return !names || names.includes('config.json') || names.some((name) => name.endsWith('.gguf'))
}

/** The names of the checkpoints in a run's folder, in the order of training. */
export async function checkpointsIn(run: string): Promise<string[]> {
  const entries = await readdir(run, { withFileTypes: true }).catch(() => [])
  const found = entries.filter((entry) => entry.isDirectory())
  const parsed = found.flatMap(({ name }) => parseRevision(name) ?? [])
  return inTrainingOrder(parsed).map(({ name }) => name)
}

/** The folder of a run's checkpoint, which has to be one of those that lie there. */
export async function checkpointOf(run: string, revision: string): Promise<string> {
  const names = await checkpointsIn(run)
  const all = names.flatMap((name) => parseRevision(name) ?? [])
  const found = isLoose(revision)
    ? chooseRevision(all, revision)?.name
    : names.find((name) => name === revision)
  if (found !== undefined) return join(run, found)
  const problem = `the run has no checkpoint ${JSON.stringify(revision.slice(0, 100))}`
  throw new Refusal(404, 'model_not_found', problem, { param: 'model' })
}

/**
 * A model of the hub in the cache, fetched if it may be. A request can name it, so that no path is tried
 * as such.
 */
export async function hubModel(
  name: string,
  revision: string | undefined,
  options: PullOptions,
): Promise<string> {
  if (revision !== undefined && !(isLoose(revision) || isRefName(revision))) {
    throw new OptionError('model', `has ${JSON.stringify(revision)} as revision, which is no name`)
  }
  const pulled: PulledModel = await pull(name, { ...options, revision })
  const [file = ''] = pulled.files
  const isFile = pulled.files.length === 1 && /\.gguf$/i.test(file)
  return isFile ? join(pulled.path, file) : pulled.path
}

/** Whether the hub may be asked for a model: patterns are ids, with `*` for any part of one. */
export function isAllowed(name: string, patterns: readonly string[]): boolean {
  const id = parseModelName(name)?.repo
  if (id === undefined || !isRepoId(id)) return false
  return patterns.some((pattern) => {
    const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
    return new RegExp(`^${parts.join('.*')}$`).test(id)
  })
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
