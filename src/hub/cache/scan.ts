import { lstat, readdir, readlink, stat } from 'node:fs/promises'
import { basename, join, relative, resolve, sep } from 'node:path'

import { fileSize, systemCode } from '../../files.js'
import { checkCall } from '../arguments.js'
import { type HubOptions, readSettings } from '../settings.js'
import { RepoFolder, repoOfFolder } from './layout.js'
import { listCachedRefs } from './refs.js'

/** A file in a snapshot. */
export interface CachedFile {
  name: string
  /** In bytes; undefined if the link is broken. */
  size: number | undefined
  /** The etag of its content; undefined if the snapshot holds the content itself. */
  etag: string | undefined
}

/** The cached part of a repository's commit. */
export interface CachedSnapshot {
  commit: string
  path: string
  /** Branches and tags that pointed to this commit at their last lookup. */
  refs: string[]
  files: CachedFile[]
  /** Bytes of its files; files shared between snapshots count in each. */
  size: number
  lastModified: Date
}

/** The cached part of a repository. */
export interface CachedRepo {
  repo: string
  path: string
  snapshots: CachedSnapshot[]
  /** Files that no snapshot refers to: partial downloads, and content whose snapshots are gone. */
  leftovers: { path: string; size: number }[]
  /** Bytes on the disk. */
  size: number
}

/** Lists all models in the cache by name, whatever program fetched them. */
export async function listCache(options: HubOptions = {}): Promise<CachedRepo[]> {
  checkCall('hub', options)
  return scanCache((await readSettings(options)).cacheDir)
}

/** @internal The same, of a folder. */
export async function scanCache(cacheDir: string): Promise<CachedRepo[]> {
  const names = await readdir(cacheDir).catch(() => [])
  const repos = names.flatMap((name) => repoOfFolder(name) ?? []).sort()
  return Promise.all(repos.map((repo) => scanRepo(new RepoFolder(cacheDir, repo))))
}

/** What the cache holds of one repository. */
export async function scanRepo(folder: RepoFolder): Promise<CachedRepo> {
  const refs = [...(await listCachedRefs(folder))]
  const entries = await readdir(folder.snapshots, { withFileTypes: true }).catch(() => [])
  // Not what a file manager may have left there.
  const commits = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  const found = await Promise.all(
    commits.sort().map((commit) => {
      const names = refs.filter(([, of]) => of === commit).map(([name]) => name)
      return scanSnapshot(folder, commit, names.sort()).catch((error) => {
        if (systemCode(error) !== 'ENOENT') throw error
        return undefined // Someone removes it at this moment.
      })
    }),
  )
  const snapshots = found.filter((snapshot) => snapshot !== undefined)
  const blobs = await readdir(folder.blobs).catch(() => [])
  const sizes = new Map<string, number>()
  for (const name of blobs) sizes.set(name, (await fileSize(folder.blob(name))) ?? 0)
  const used = new Set(snapshots.flatMap(({ files }) => files.map(({ etag }) => etag)))
  const leftovers = [...sizes]
    .filter(([name]) => !used.has(name))
    .map(([name, size]) => ({ path: folder.blob(name), size }))
  const copied = snapshots.flatMap(({ files }) => files).filter(({ etag }) => etag === undefined)
  const size = sum([...sizes.values(), ...copied.map(({ size }) => size ?? 0)])
  return { repo: folder.repo, path: folder.path, snapshots, leftovers, size }
}

async function scanSnapshot(
  folder: RepoFolder,
  commit: string,
  refs: string[],
): Promise<CachedSnapshot> {
  const path = folder.snapshot(commit)
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
  const files = await Promise.all(paths.map((file) => scanFile(folder, path, file)))
  const { mtime } = await lstat(path)
  const times = await Promise.all(paths.map((file) => stat(file).catch(() => undefined)))
  const newest = Math.max(mtime.getTime(), ...times.map((found) => found?.mtimeMs ?? 0))
  return {
    commit,
    path,
    refs,
    files: files.sort((a, b) => (a.name < b.name ? -1 : 1)),
    size: sum(files.map(({ size }) => size ?? 0)),
    lastModified: new Date(newest),
  }
}

async function scanFile(folder: RepoFolder, snapshot: string, path: string): Promise<CachedFile> {
  const name = relative(snapshot, path).split(sep).join('/')
  const target = await readlink(path).catch(() => undefined)
  // The first step of the way: a blob may itself be a link to what repositories share.
  const blob = target === undefined ? undefined : resolve(path, '..', target)
  const etag =
    blob !== undefined && resolve(blob, '..') === folder.blobs ? basename(blob) : undefined
  return { name, size: await fileSize(path), etag }
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
