import { once } from 'node:events'
import { basename } from 'node:path'
import type { Command, OptionValues } from 'commander'

import { embeddedModel } from '../../src/index.js'
import { type ServeOptions, serve as startServer } from '../../src/serve/index.js'
import { messageOf, UsageError } from '../failure.js'
import { toBytes, toNumber } from '../flags.js'
import { addHubOptions, hubOptions } from '../hub-options.js'
import { readTextFile } from '../input.js'
import { interruptible } from '../interrupt.js'
import { addLoadOptions } from '../model-options.js'
import { note, write } from '../output.js'
import { progressBar } from '../ui/progress.js'
import { pullDisplay } from '../ui/pull-progress.js'

export function serve(program: Command): void {
  const command = program
    .command('serve')
    .description("serve requests over HTTP with OpenAI's API")
    .argument(
      '[model...]',
      'checkpoints, each a path or an id, such as name=DIR, DIR@step=1000 or OWNER/NAME:Q4_K_M ' +
        '(default: the embedded model, as olmo2-5m)',
    )
    .option('--port <n>', 'port to listen on; 0 for any free port (default: 8080)', toNumber)
    .option('--host <address>', 'address to listen on (default: 127.0.0.1, only this machine)')
    .option('--allow-host <name>', 'another name of this server; repeatable', append)
    .option('--api-key <key>', 'an accepted key; repeatable (default: OLMO2_API_KEY)', append)
    .option('--api-key-file <file>', 'a file with one key per line')
    .option('--no-auth', 'accept everybody, also from other machines')
    .option('--pin <model>', 'load this model now and keep it in memory; repeatable', append)
    .option('--allow <id>', 'a model that requests may fetch from the hub; repeatable', append)
    .option('--max-queue <n>', 'requests that may wait (default: 512)', toNumber)
    .option('--timeout <seconds>', 'how long a request may take (default: 600)', toNumber)
    .option('--max-num-seqs <n>', 'texts of one model in work at once (default: 64)', toNumber)
    .option('--prefill-chunk <n>', 'tokens of prompts in one pass at most (default: 256)', toNumber)
    .option('--memory <bytes>', 'what all models together may take, as in 8GiB', toBytes)
    .option('--prefix-cache-dir <folder>', 'where /cache/save writes prefix caches')
    .option('--drain <seconds>', 'how long requests may go on at the end (default: 30)', toNumber)
  addHubOptions(addLoadOptions(command)).action(run)
}

function append(text: string, before: string[] = []): string[] {
  return [...before, text]
}

async function run(given: string[], values: OptionValues): Promise<void> {
  const models = modelsOf(given, values)
  const apiKeys = await keysOf(values)
  const display = pullDisplay()
  const bar = progressBar('loading')
  await interruptible(async (signal) => {
    const options: ServeOptions = {
      ...optionsOf(values),
      ...(models && { models }),
      apiKeys,
      signal,
      load: {
        ...loadOf(values),
        onDownload: display.update,
        onProgress: bar.update,
      },
      onLoad: (name, { info }) => {
        display.clear()
        bar.clear()
        for (const warning of info.warnings) note(`${name}: ${warning}`)
      },
      onError: (error) => note(`warning: ${messageOf(error)}`),
    }
    const server = await startServer(options)
    await write(`listening on ${server.url}\n`)
    if (!signal.aborted) await once(signal, 'abort')
    note('accepting no more requests; finishing those in progress')
    await server.close()
  }).finally(() => {
    display.clear()
    bar.clear()
  })
}

/** The options that were given, by the library's names. */
function optionsOf(values: OptionValues): ServeOptions {
  const { port, host, allowHost, auth, pin, allow, maxQueue, timeout, memory, drain } = values
  const { prefixCacheDir } = values
  const own = { port, host, allowedHosts: allowHost, auth, pin, allow }
  const given = { ...own, maxQueue, timeout, memory, prefixCacheDir, drain }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

function loadOf(values: OptionValues): NonNullable<ServeOptions['load']> {
  const { dtype, cacheDtype, device, gpuLayers, threads, cacheTokens, mmap } = values
  const { maxNumSeqs, prefillChunk } = values
  const load = { dtype, cacheDtype, device, gpuLayers, threads, cacheTokens, mmap }
  return { ...load, maxNumSeqs, prefillChunk, hub: hubOptions(values) }
}

/** The models under the names by which requests ask for them. */
function modelsOf(
  given: readonly string[],
  { model, revision }: OptionValues,
): Record<string, string> | undefined {
  if (model !== undefined && given.length > 0)
    throw new UsageError('give the models as arguments or one with --model, not both')
  const all = model === undefined ? given : [model]
  if (revision !== undefined && all.length > 1)
    throw new UsageError('with several models, give each its revision: NAME@REVISION')
  if (revision !== undefined) {
    const [one = `olmo2-5m=${embeddedModel}`] = all
    return Object.fromEntries([named(`${one}@${revision}`)])
  }
  if (all.length === 0) return undefined
  const pairs = all.map(named)
  const twice = pairs.find(([name], index) => pairs.findIndex(([other]) => other === name) < index)
  if (twice) throw new UsageError(`two models are named ${twice[0]}: rename one, as in NAME=PATH`)
  return Object.fromEntries(pairs)
}

/** `name=path` apart; else a path is called as its last step, and a model of the hub by its id. */
function named(given: string): [name: string, model: string] {
  const [, name, model] = /^([\w.-]+)=(.+)$/s.exec(given) ?? []
  if (name !== undefined && model !== undefined) return [name, model]
  const at = given.indexOf('@')
  const [base, revision] = at < 0 ? [given, ''] : [given.slice(0, at), given.slice(at)]
  const isId = /^[\w.-]+\/[\w.-]+(:[\w.-]+)?$/.test(base) && !/^\.|\.gguf$/i.test(base)
  const short = isId ? base : basename(base).replace(/\.gguf$/i, '')
  return [short + revision, given]
}

/** Keys are given with flags, in a file, or in the environment. */
async function keysOf({ apiKey = [], apiKeyFile }: OptionValues): Promise<string[]> {
  const file = apiKeyFile === undefined ? '' : await readTextFile(apiKeyFile, '--api-key-file')
  const inFile = file.split(/\r?\n/).map((line) => line.trim())
  const given = [...apiKey, ...inFile.filter((line) => line !== '' && !line.startsWith('#'))]
  if (apiKeyFile !== undefined && given.length === apiKey.length)
    throw new UsageError(`${apiKeyFile} contains no key`)
  const { OLMO2_API_KEY } = process.env
  return given.length === 0 && OLMO2_API_KEY ? [OLMO2_API_KEY] : given
}
