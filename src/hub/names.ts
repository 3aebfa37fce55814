import { checkArgument } from '../arguments.js'
import { HubError, OptionError } from '../errors.js'

const REPO_ID = /^[A-Za-z0-9_][\w.-]{0,95}\/[A-Za-z0-9_][\w.-]{0,95}$/
const COMMIT = /^[0-9a-f]{40}$/

/** Whether a text has the form of a repository's id, `owner/name`. */
export function isRepoId(text: string): boolean {
  // `--` stands for the slash in the cache's folder names, so the hub allows it in no name.
  return REPO_ID.test(text) && !text.includes('--') && !text.includes('..')
}

/** What the id of a data set begins with, as its address does. */
const DATASETS = 'datasets/'

/** Whether an id names a data set: a repository of another kind than a model's. */
export function isDataset(id: string): boolean {
  return id.startsWith(DATASETS) && isRepoId(id.slice(DATASETS.length))
}

/** Whether a revision is a commit's hash, which never changes what it means. */
export function isCommit(revision: string): boolean {
  return COMMIT.test(revision)
}

/** Whether a value is a name that git lets a branch or a tag have, and a file system a file. */
export function isRefName(name: unknown): name is string {
  if (typeof name !== 'string' || name.length > 1000) return false
  if (/[\p{Cc}\p{Bidi_Control} ~^:?*[\\]|\.\.|@\{/u.test(name)) return false
  return name
    .split('/')
    .every((step) => step !== '' && step.length <= 250 && !/^\.|\.lock$|\.$/.test(step))
}

/**
 * A repository's id: `owner/name`, or of a data set `datasets/owner/name`.
 *
 * @throws {OptionError} if the text cannot be one
 */
export function checkRepoId(id: string): string {
  checkArgument('id', id, 'name')
  // Also the address of its page, or with the slash that a shell's completion leaves.
  const page = /^(?:https?:\/\/)?(?:www\.)?(?:huggingface|hf)\.co\//i
  const bare = id.replace(page, '').replace(/\/+$/, '')
  if (isRepoId(bare) || isDataset(bare)) return bare
  const message = `is ${JSON.stringify(id)}, but a repository is named as in allenai/OLMo-2-1124-7B`
  throw new OptionError('id', message)
}

/**
 * A path inside a folder, written with `/`, that stays inside: no `..`, no drive, no absolute path.
 * What a hub lists as file names ends up in paths here, so it is not believed.
 *
 * @throws {HubError} `UNSAFE_PATH`
 */
export function checkRelativePath(path: string, what: string, repo: string): string {
  const steps = path.split('/')
  const safe =
    path.length <= 1000 &&
    !/[\\:\p{Cc}]/u.test(path) &&
    steps.every((step) => step !== '' && step !== '.' && step !== '..')
  if (safe) return path
  throw new HubError(
    'UNSAFE_PATH',
    `${what} ${JSON.stringify(path)} of ${repo} would leave its folder: nothing was written`,
    { repo },
  )
}
