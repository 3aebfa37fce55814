import { inTrainingOrder } from '../revisions/order.js'
import { parseRevision } from '../revisions/parse.js'
import { checkCall } from './arguments.js'
import type { HubRetry } from './backoff.js'
import { RepoFolder } from './cache/layout.js'
import { listCachedRefs } from './cache/refs.js'
import { HubClient, type HubRef } from './client.js'
import { checkRepoId } from './names.js'
import type { HubOptions } from './settings.js'

/**
 * A branch or tag of a repository. The numbers are null if the name is not that of a training checkpoint.
 */
export interface Revision {
  name: string
  kind: HubRef['kind']
  commit: string
  stage: number | null
  ingredient: number | null
  step: number | null
  tokens: number | null
}

/**
 * Lists all branches and tags of a repository: its training checkpoints in the order of training, then
 * `main`, then the others. Offline, it lists those in the cache.
 *
 * @param options.onRetry Receives each failure of the hub that will be retried
 * @throws {HubError} if the hub cannot be reached or has no such repository
 */
export async function listRevisions(
  id: string,
  options: HubOptions & {
    signal?: AbortSignal | undefined
    onRetry?: ((retry: HubRetry) => void) | undefined
  } = {},
): Promise<Revision[]> {
  checkCall('list', options, { id })
  await using client = await HubClient.open(options, undefined, options.onRetry)
  return revisionsOf(client, checkRepoId(id), options.signal)
}

/** @internal The same, asked of a client. */
export async function revisionsOf(
  client: HubClient,
  repo: string,
  signal?: AbortSignal,
): Promise<Revision[]> {
  const { offline, cacheDir } = client.settings
  if (offline) return inTrainingOrder(await cachedRevisions(new RepoFolder(cacheDir, repo)))
  const refs = await client.listRefs(repo, signal)
  return inTrainingOrder(refs.map(toRevision))
}

/** The revisions that the cache knows. It does not say which are tags. */
async function cachedRevisions(folder: RepoFolder): Promise<Revision[]> {
  const refs = await listCachedRefs(folder)
  return [...refs].map(([name, commit]) => toRevision({ name, kind: 'branch', commit }))
}

const NOT_TRAINING = { stage: null, ingredient: null, step: null, tokens: null }

function toRevision(ref: HubRef): Revision {
  return { ...ref, ...(parseRevision(ref.name) ?? NOT_TRAINING) }
}
