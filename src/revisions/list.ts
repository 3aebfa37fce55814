import { HubClient, type HubRef } from '../hub/client.js'
import { checkRepoId } from '../hub/names.js'
import type { HubOptions } from '../hub/settings.js'
import { inTrainingOrder } from './order.js'
import { parseRevision } from './parse.js'

/**
 * A branch or tag of a repository. Where the name is not that of a training checkpoint, the numbers
 * are null.
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
 * All branches and tags of a repository: its training checkpoints in the order of training, then
 * `main`, then the others.
 *
 * @throws {HubError} if the hub cannot be asked or has no such repository
 */
export async function listRevisions(
  id: string,
  options: HubOptions & { signal?: AbortSignal } = {},
): Promise<Revision[]> {
  await using client = await HubClient.open(options)
  return revisionsOf(client, checkRepoId(id), options.signal)
}

/** @internal */
export async function revisionsOf(
  client: HubClient,
  repo: string,
  signal?: AbortSignal,
): Promise<Revision[]> {
  const refs = await client.listRefs(repo, signal)
  return inTrainingOrder(refs.map(toRevision))
}

const NOT_TRAINING = { stage: null, ingredient: null, step: null, tokens: null }

function toRevision(ref: HubRef): Revision {
  return { ...ref, ...(parseRevision(ref.name) ?? NOT_TRAINING) }
}
