import { join } from 'node:path'

import { checkRelativePath, isDataset } from '../names.js'

/**
 * Where things lie in the cache: the layout of `huggingface_hub`, whose programs share it.
 *
 * ```text
 * models--allenai--OLMo-2-1124-7B/
 *   refs/main                                the commit that a branch or tag meant last
 *   blobs/403450e234…                        a file's content, named by its hash
 *   snapshots/2439f60e…/model.safetensors    a link to ../../blobs/403450e234…
 *   .no_exist/2439f60e…/chat_template.jinja  says that the commit has no such file
 * datasets--truthfulqa--truthful_qa/       the same of a data set
 * .locks/models--allenai--OLMo-2-1124-7B/403450e234….lock
 * ```
 */
export class RepoFolder {
  readonly cacheDir: string
  readonly repo: string
  readonly path: string

  constructor(cacheDir: string, repo: string) {
    this.cacheDir = cacheDir
    this.repo = repo
    this.path = join(cacheDir, folderName(repo))
  }

  get blobs(): string {
    return join(this.path, 'blobs')
  }

  get refs(): string {
    return join(this.path, 'refs')
  }

  get snapshots(): string {
    return join(this.path, 'snapshots')
  }

  get locks(): string {
    return join(this.cacheDir, '.locks', folderName(this.repo))
  }

  blob(etag: string): string {
    return join(this.blobs, etag)
  }

  ref(revision: string): string {
    return join(this.refs, checkRelativePath(revision, 'revision', this.repo))
  }

  snapshot(commit: string): string {
    return join(this.snapshots, commit)
  }

  pointer(commit: string, file: string): string {
    return join(this.snapshot(commit), checkRelativePath(file, 'file name', this.repo))
  }

  absences(commit: string): string {
    return join(this.path, '.no_exist', commit)
  }

  /** An empty file there says that a commit has no file of that name. */
  absence(commit: string, file: string): string {
    return join(this.absences(commit), checkRelativePath(file, 'file name', this.repo))
  }

  lock(etag: string): string {
    return join(this.locks, `${etag}.lock`)
  }

  /** Held while something is removed from the repository's folder. */
  get removal(): string {
    return join(this.locks, 'olmo2-removal.lock')
  }

  /** Held by one pull while it uses the repository's folder. */
  use(name: string): string {
    return join(this.locks, `olmo2-use-${name}.lock`)
  }
}

/** What folders of models begin with, where those of data sets have a part of their id. */
const MODELS = 'models--'

/** `models--allenai--OLMo-2-1124-7B`, `datasets--truthfulqa--truthful_qa` */
function folderName(repo: string): string {
  return `${isDataset(repo) ? '' : MODELS}${repo.replaceAll('/', '--')}`
}

/** The repository that a folder of the cache is for; undefined if it is for something else. */
export function repoOfFolder(name: string): string | undefined {
  const isModel = name.startsWith(MODELS)
  const repo = name.slice(isModel ? MODELS.length : 0).replaceAll('--', '/')
  return isModel || isDataset(repo) ? repo : undefined
}
