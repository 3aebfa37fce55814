import { HubError, OptionError } from '../errors.js'
import { freeSpace, readRegularFile, systemCode } from '../files.js'
import { chooseRevision, isLoose } from '../revisions/choose.js'
import { suggestRevision } from '../revisions/nearest.js'
import { checkCall } from './arguments.js'
import { isWhole, noteAbsent } from './cache/absent.js'
import { type CachedModel, cachedNames, findCached, missingOf } from './cache/find.js'
import { RepoFolder } from './cache/layout.js'
import { checkRef, writeRef } from './cache/refs.js'
import { findBlob, findPointer, placePointer, symlinksWork } from './cache/snapshot.js'
import { tagCacheFolder } from './cache/tag.js'
import { Use } from './cache/use.js'
import { writing } from './cache/writing.js'
import { HubClient, type HubFile, type HubInternals } from './client.js'
import { type BlobContext, fetchBlob } from './download/blob.js'
import { Limit, together } from './download/limit.js'
import { partialLoaded } from './download/partial.js'
import { checkSpace } from './download/space.js'
import { chooseGguf } from './gguf-type.js'
import { type ModelName, parseModelName } from './model-name.js'
import { checkRepoId, isCommit, isDataset } from './names.js'
import { ProgressTracker, type PullProgress } from './progress.js'
import { revisionsOf } from './revisions.js'
import { LARGEST_INDEX, selectFiles, selectShards } from './select.js'
import type { HubOptions } from './settings.js'

/** What to pull, and how. */
export interface PullOptions extends HubOptions {
  /**
   * A branch, a tag or a commit, or a description such as `tokens=1T` or `latest-stage1` (see
   * `chooseRevision`). Default: `main`.
   */
  revision?: string | undefined
  /** Fetch only this file, such as a GGUF. Default: the files that the engine reads. */
  file?: string | undefined
  /** Connections at once, over all files. Default 8. */
  connections?: number | undefined
  /** Stops the pull, which then rejects with the signal's reason. Downloaded parts are kept. */
  signal?: AbortSignal | undefined
  /** Receives the pull's progress, at most ten times a second and at each change of state. */
  onProgress?: ((progress: PullProgress) => void) | undefined
}

/** A model that is in the cache. */
export interface PulledModel {
  repo: string
  /** The revision's name, even if it was requested by description. */
  revision: string
  commit: string
  /** The folder with its files: a snapshot in the cache. */
  path: string
  /** The names of the files. */
  files: string[]
  /** The files fetched by this pull. */
  fetched: string[]
  /** `cache` if the hub was not asked or could not be reached, so there may be a newer version. */
  source: 'hub' | 'cache'
}

/** What only tests change. */
export interface PullInternals extends HubInternals {
  pieceSize?: number
  reportEvery?: number
  freeSpace?: (folder: string) => Promise<number | undefined>
}

const PIECE = 64 * 2 ** 20
const FILES_AT_ONCE = 4

/**
 * Fetches a model into the cache, or a file of a data set: what of it is not there yet. The cache is the one of Python's
 * `huggingface_hub`.
 *
 * Each file is checked against its hash and then moved into place atomically. An interrupted pull resumes
 * where it stopped. Several pulls of the same model at once, from any process, fetch it once.
 *
 * @throws {HubError} with what is wrong and what to do
 */
export async function pull(
  id: string,
  options: PullOptions = {},
  internals: PullInternals = {},
): Promise<PulledModel> {
  checkCall('pull', options, { id })
  const progress = new ProgressTracker(options.onProgress, internals.reportEvery)
  const onRetry = progress.retry.bind(progress)
  await using client = await HubClient.open(options, internals, onRetry)
  const { endpoint, cacheDir } = client.settings
  const named = isDataset(id) ? undefined : parseModelName(id, endpoint, 'id')
  const name = named ?? { repo: checkRepoId(id) }
  if (isDataset(name.repo) && options.file === undefined)
    throw new OptionError('file', `has to name a file of ${name.repo}, which is a data set`)
  const folder = new RepoFolder(cacheDir, name.repo)
  const waiting = { signal: options.signal, sleep: client.retry.sleep }
  // From the first look at what is there: it must not be removed before it is given out.
  await using use = new Use(folder, waiting)
  await use.beginIfThere()
  return await new Pull(client, use, folder, progress, within(name, options), internals).run()
}

/** What to pull, from the name and the options. */
interface Wanted extends PullOptions {
  type?: string
}

function within({ revision, file, type }: ModelName, options: PullOptions): Wanted {
  for (const [option, named] of Object.entries({ revision, file, ...(type && { file: type }) })) {
    const given = options[option as 'revision' | 'file']
    if (named === undefined || given === undefined || given === named) continue
    const problem = `is ${JSON.stringify(given)}, but the model's name says ${JSON.stringify(named)}`
    throw new OptionError(option, problem)
  }
  return { ...options, ...(revision && { revision }), ...(file && { file }), ...(type && { type }) }
}

class Pull {
  readonly #client: HubClient
  readonly #use: Use
  readonly #repo: string
  readonly #options: Wanted
  /** The single file to fetch; undefined for all that the engine reads. */
  #file: string | undefined
  readonly #internals: PullInternals
  readonly #folder: RepoFolder
  readonly #progress: ProgressTracker

  constructor(
    client: HubClient,
    use: Use,
    folder: RepoFolder,
    progress: ProgressTracker,
    options: Wanted,
    internals: PullInternals,
  ) {
    this.#client = client
    this.#use = use
    this.#repo = folder.repo
    this.#options = options
    this.#file = options.file
    this.#internals = internals
    this.#folder = folder
    this.#progress = progress
  }

  async run(): Promise<PulledModel> {
    const { offline } = this.#client.settings
    this.#options.signal?.throwIfAborted()
    const revision = await this.#resolveName(this.#options.revision ?? 'main')
    if (this.#options.type !== undefined)
      this.#file = await this.#fileOfType(this.#options.type, revision)
    const file = this.#file
    const cached = await findCached(this.#folder, revision, file)
    if (cached && offline) return this.#result(revision, cached, 'cache')
    if (offline) throw await this.#notCached(revision)
    const isAll = cached && (file !== undefined || (await isWhole(this.#folder, cached.commit)))
    if (isAll && isCommit(revision)) return this.#result(revision, cached, 'cache')
    let commit: string | undefined
    try {
      commit = await this.#resolveCommit(revision, cached !== undefined)
      if (isAll && commit === cached.commit) return this.#result(revision, cached, 'hub')
      return await this.#fetch(revision, commit, cached?.commit === commit)
    } catch (error) {
      this.#options.signal?.throwIfAborted()
      if (!cached || !(error instanceof HubError)) throw error
      // What is there will do if the hub is away, and if nothing but what it could be without is missing;
      // not in place of a newer commit that broke off.
      const serves = commit === undefined ? isOutage(error) : commit === cached.commit
      if (serves) return this.#result(revision, cached, 'cache')
      throw error
    }
  }

  /** The GGUF file of a type: among those on the hub, or without it among those in the cache. */
  async #fileOfType(type: string, revision: string): Promise<string> {
    const repo = this.#repo
    if (!this.#client.settings.offline) {
      try {
        const commit = await this.#resolveCommit(revision, false)
        const { signal } = this.#options
        const all = await this.#client.listFiles(repo, commit, { signal })
        return chooseGguf(
          all.map(({ path }) => path),
          type,
          repo,
        )
      } catch (error) {
        this.#options.signal?.throwIfAborted()
        if (!(error instanceof HubError) || !isOutage(error)) throw error
        const there = await cachedNames(this.#folder, revision)
        if (there.length === 0) throw error
        return chooseGguf(there, type, repo)
      }
    }
    const there = await cachedNames(this.#folder, revision)
    if (there.length === 0) throw await this.#notCached(revision)
    return chooseGguf(there, type, repo)
  }

  /** The name of a revision that was requested by description. */
  async #resolveName(revision: string): Promise<string> {
    if (!isLoose(revision)) return revision
    const { offline } = this.#client.settings
    const known = await revisionsOf(this.#client, this.#repo, this.#options.signal)
    const chosen = chooseRevision(known, revision)
    if (chosen) return chosen.name
    const where = offline ? 'in the cache' : `among the ${known.length} of ${this.#repo}`
    const message = `no revision ${where} is like ${revision}; \`olmo2 revisions ${this.#repo}\` lists them`
    throw new HubError('REVISION_NOT_FOUND', message, { repo: this.#repo, revision })
  }

  /** The commit that a revision currently means. */
  async #resolveCommit(revision: string, hasFallback: boolean): Promise<string> {
    if (isCommit(revision)) return revision
    const { signal } = this.#options
    // With a fallback, the first failure is enough.
    const retries = hasFallback ? 0 : this.#client.retry.retries
    try {
      return await this.#client.resolveCommit(this.#repo, revision, { signal, retries })
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof HubError)) throw error
      if (error.code === 'REVISION_NOT_FOUND') throw await this.#withSuggestion(error, revision)
      throw error
    }
  }

  async #withSuggestion(error: HubError, revision: string): Promise<HubError> {
    const revisions = await revisionsOf(this.#client, this.#repo, this.#options.signal).catch(
      () => [],
    )
    const suggestion = suggestRevision(revisions, revision)
    const hint = suggestion === undefined ? '' : `; the nearest is ${suggestion}`
    const message = `${error.message}${hint}; \`olmo2 revisions ${this.#repo}\` lists all`
    return new HubError('REVISION_NOT_FOUND', message, { ...error, cause: error })
  }

  async #fetch(revision: string, commit: string, hasFallback: boolean): Promise<PulledModel> {
    const { cacheDir, symlinks } = this.#client.settings
    const { signal } = this.#options
    const retries = hasFallback ? 0 : this.#client.retry.retries
    const all = await this.#client.listFiles(this.#repo, commit, { signal, retries })
    return writing(cacheDir, async () => {
      await this.#use.begin()
      await checkRef(this.#folder, revision)
      const files = await this.#chooseFiles(all, revision, commit)
      await this.#checkSpace(files, commit)
      await tagCacheFolder(cacheDir)
      const fetched = new Set<string>()
      const withLinks = symlinks && (await symlinksWork(cacheDir))
      for (let turn = 0; ; turn += 1) {
        for (const path of await this.#fetchBlobs(files, commit)) fetched.add(path)
        // Only now does anything show: a snapshot is whole from the beginning.
        if (await this.#place(files, commit, fetched, withLinks)) break
        if (turn > 0) throw this.#lost(revision)
      }
      await writeRef(this.#folder, revision, commit)
      if (this.#file === undefined) await noteAbsent(this.#folder, commit, all)
      const paths = files.map(({ path }) => path).sort()
      return this.#result(revision, { commit, files: paths }, 'hub', [...fetched])
    })
  }

  /**
   * Makes all files visible in the snapshot.
   *
   * @returns false if not all are there, as someone has removed some from the cache since they came
   */
  async #place(
    files: HubFile[],
    commit: string,
    fetched: ReadonlySet<string>,
    symlinks: boolean,
  ): Promise<boolean> {
    const isFresh = ({ path }: HubFile) => fetched.has(path)
    // Those that are copied come before those that are moved: they may be the same content.
    for (const file of [...files].sort((a, b) => Number(isFresh(a)) - Number(isFresh(b)))) {
      if (await findPointer(this.#folder, commit, file)) continue
      if (!(await findBlob(this.#folder, file))) return false
      try {
        await placePointer(this.#folder, commit, file, { symlinks, fresh: isFresh(file) })
      } catch (error) {
        if (systemCode(error) === 'ENOENT') return false
        throw error
      }
    }
    for (const file of files) if (!(await findPointer(this.#folder, commit, file))) return false
    return true
  }

  #lost(revision: string): HubError {
    const repo = this.#repo
    const message = `files of ${repo} vanish from the cache ${this.#folder.cacheDir} while they are fetched: stop what removes them, and pull again`
    return new HubError('CACHE_NOT_WRITABLE', message, { repo, revision })
  }

  async #chooseFiles(all: HubFile[], revision: string, commit: string): Promise<HubFile[]> {
    const asked = { repo: this.#repo, revision }
    const { files, index } = selectFiles(all, asked, this.#file)
    if (!index) return files
    await this.#fetchBlobs([index], commit)
    const path =
      (await findBlob(this.#folder, index)) ?? (await findPointer(this.#folder, commit, index))
    const shards = selectShards(all, path ? await readRegularFile(path, LARGEST_INDEX) : '', asked)
    return [...files, index, ...shards]
  }

  async #checkSpace(files: HubFile[], commit: string): Promise<void> {
    const { cacheDir } = this.#client.settings
    let need = 0
    for (const file of files) {
      const { etag, size } = file
      if (await findBlob(this.#folder, file)) continue
      if (await findPointer(this.#folder, commit, file)) continue
      need += size - (await partialLoaded(this.#folder.blob(etag), size))
    }
    const free = await (this.#internals.freeSpace ?? freeSpace)(cacheDir)
    checkSpace(need, free, cacheDir, this.#repo)
  }

  /** @returns the names of the files that came through the network */
  async #fetchBlobs(files: HubFile[], commit: string): Promise<string[]> {
    const { signal, connections = 8 } = this.#options
    const shared: Omit<BlobContext, 'onChange' | 'signal'> = {
      client: this.#client,
      repo: this.#repo,
      folder: this.#folder,
      commit,
      connections: new Limit(connections),
      pieceSize: this.#internals.pieceSize ?? PIECE,
    }
    const atOnce = new Limit(FILES_AT_ONCE)
    const fetched: string[] = []
    for (const { path, size } of files) this.#progress.add(path, size)
    await together(files, signal, (file, signal) =>
      atOnce.run(async () => {
        signal.throwIfAborted()
        const onChange: BlobContext['onChange'] = (state, loaded) =>
          this.#progress.change(file.path, state, loaded)
        if (await fetchBlob(file, { ...shared, signal, onChange })) fetched.push(file.path)
      }),
    )
    return fetched
  }

  async #notCached(revision: string): Promise<HubError> {
    const missing = await missingOf(this.#folder, revision, this.#file)
    const repo = this.#repo
    const message = `${repo} at ${revision} is not in the cache ${this.#folder.cacheDir} (${missing}), and HF_HUB_OFFLINE forbids to fetch it: unset that, or \`olmo2 pull ${repo}\` where there is a network`
    return new HubError('OFFLINE', message, { repo, revision })
  }

  #result(
    revision: string,
    { commit, files }: CachedModel,
    source: PulledModel['source'],
    fetched: string[] = [],
  ): PulledModel {
    const path = this.#folder.snapshot(commit)
    return { repo: this.#repo, revision, commit, path, files, fetched, source }
  }
}

/** Whether the hub could not answer, rather than said no. */
function isOutage({ code }: HubError): boolean {
  return code === 'HUB_UNREACHABLE' || code === 'HUB_FAILED' || code === 'RATE_LIMITED'
}
