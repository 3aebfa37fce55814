/**
 * `olmo2/hub`: models on the hub and in the cache, and the names of their checkpoints.
 *
 * @packageDocumentation
 */

export { formatBytes } from '../files.js'
export { chooseRevision } from '../revisions/choose.js'
export { filterRevisions, type RevisionFilter } from '../revisions/filter.js'
export { nearestRevision, type RevisionWish } from '../revisions/nearest.js'
export { parseCount, parseRevision, type TrainingRevision } from '../revisions/parse.js'
export type { HubRetry } from './backoff.js'
export {
  pruneCache,
  type Removed,
  type RemoveOptions,
  removeFromCache,
} from './cache/remove.js'
export {
  type CachedFile,
  type CachedRepo,
  type CachedSnapshot,
  listCache,
} from './cache/scan.js'
export { type Verification, verifyCache } from './cache/verify.js'
export { type LocatedModel, locateModel } from './locate.js'
export { checkRepoId } from './names.js'
export type { FileProgress, PullProgress } from './progress.js'
export { type PulledModel, type PullOptions, pull } from './pull.js'
export { listRevisions, type Revision } from './revisions.js'
export type { HubOptions } from './settings.js'
