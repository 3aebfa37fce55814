import type { Command, OptionValues } from 'commander'
import {
  type CachedRepo,
  checkRepoId,
  formatBytes,
  listCache,
  pruneCache,
  type Removed,
  removeFromCache,
  type Verification,
  verifyCache,
} from '../../src/hub/index.js'
import { nearestName, OptionError } from '../../src/index.js'
import { UsageError } from '../failure.js'
import { addHubOptions, hubOptions } from '../hub-options.js'
import { interruptible } from '../interrupt.js'
import { note, write, writeJson } from '../output.js'
import { table } from '../ui/table.js'
import { addServerCaches } from './cache/server.js'

export function cache(program: Command): void {
  const about = "list, check and clear fetched models; save and load a server's prefix cache"
  const command = program.command('cache').description(about)
  addCommand(command, 'list', 'list the models in the cache (default)', { isDefault: true })
    .argument('[id]', 'only this model')
    .action(list)
  addCommand(command, 'verify', 'check the files in the cache against their hashes')
    .argument('[id]', 'only this model')
    .option('--fix', 'remove damaged files, so that the next pull fetches them again')
    .action(verify)
  addCommand(
    command,
    'prune',
    'remove files that no branch or tag refers to, and partial downloads',
  )
    .option('--dry-run', 'only show what would be removed')
    .action(prune)
  addCommand(command, 'remove', 'remove a model, or one revision of it')
    .argument('<id>', 'the model')
    .option('--revision <name>', 'only this branch, tag or commit')
    .option('--dry-run', 'only show what would be removed')
    .action(remove)
  addServerCaches(command)
}

function addCommand(parent: Command, name: string, about: string, options = {}): Command {
  const command = parent.command(name, options).description(about)
  return addHubOptions(command.option('--json', 'write JSON'))
}

async function list(id: string | undefined, values: OptionValues): Promise<void> {
  const only = id === undefined ? undefined : repoOf(id)
  const all = await listCache(hubOptions(values))
  const repos = all.filter(({ repo }) => only === undefined || repo === only)
  if (values.json) return writeJson(repos)
  if (repos.length === 0) return note(id ? `${id} is not in the cache` : 'the cache is empty')
  await write(
    `${table([['model', 'revision', 'commit', 'files', 'size', 'changed'], ...rows(repos)])}\n`,
  )
  const left = repos.flatMap(({ leftovers }) => leftovers)
  if (left.length === 0) return
  const size = left.reduce((sum, { size }) => sum + size, 0)
  note(
    `${formatBytes(size)} in ${left.length} unreferenced files; \`olmo2 cache prune\` removes them`,
  )
}

/** Also whoever misspelt a command is here. */
function repoOf(id: string): string {
  try {
    return checkRepoId(id)
  } catch (error) {
    const meant = nearestName(id, ['list', 'verify', 'prune', 'remove', 'save', 'load'])
    if (!(error instanceof OptionError) || meant === undefined) throw error
    throw new UsageError(`${error.message}; or did you mean olmo2 cache ${meant}?`)
  }
}

function rows(repos: readonly CachedRepo[]): string[][] {
  return repos.flatMap(({ repo, snapshots }) =>
    snapshots.map(({ refs, commit, files, size, lastModified }) => [
      repo,
      refs.join(' ') || '-',
      commit.slice(0, 8),
      String(files.length),
      formatBytes(size),
      lastModified.toISOString().slice(0, 10),
    ]),
  )
}

async function verify(id: string | undefined, values: OptionValues): Promise<void> {
  const counts = { good: 0, damaged: 0, missing: 0, unnamed: 0 }
  await interruptible(async (signal) => {
    const { fix } = values
    const options = { ...hubOptions(values), signal, repo: id, fix }
    for await (const found of verifyCache(options)) {
      counts[found.state] += 1
      if (values.json) await writeJson(found)
      else if (found.state !== 'good') await write(`${problem(found)}\n`)
    }
  })
  const { good, damaged, missing, unnamed } = counts
  const broken = damaged + missing
  note(`${good} good, ${damaged} damaged, ${missing} missing, ${unnamed} without a known hash`)
  if (broken === 0) return
  process.exitCode = 1
  note(
    values.fix
      ? 'removed: pull again to get them'
      : '`olmo2 cache verify --fix` removes damaged files',
  )
}

function problem({ repo, commit, file, state }: Verification): string {
  const what = { good: 'good', damaged: 'damaged', missing: 'missing', unnamed: 'no known hash' }
  return `${repo} ${commit.slice(0, 8)} ${file}: ${what[state]}`
}

async function prune(values: OptionValues): Promise<void> {
  await report(await pruneCache({ ...hubOptions(values), dryRun: Boolean(values.dryRun) }), values)
}

async function remove(id: string, values: OptionValues): Promise<void> {
  const options = { ...hubOptions(values), dryRun: Boolean(values.dryRun) }
  await report(await removeFromCache(id, values.revision, options), values)
}

async function report(removed: Removed, { json, dryRun }: OptionValues): Promise<void> {
  if (json) return writeJson(removed)
  await write(removed.paths.map((path) => `${path}\n`).join(''))
  note(`${formatBytes(removed.size)} ${dryRun ? 'would be freed' : 'freed'}`)
}
