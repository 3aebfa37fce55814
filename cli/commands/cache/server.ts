import type { Command, OptionValues } from 'commander'

import { formatBytes } from '../../../src/hub/index.js'
import { loadServerCache, saveServerCache } from '../../../src/serve/index.js'
import { interruptible } from '../../interrupt.js'
import { note, writeJson } from '../../output.js'

/** The caches of a server that runs, which keep beginnings of texts and not models. */
export function addServerCaches(parent: Command): void {
  add(parent, 'save', "save a running server's prefix cache in its --prefix-cache-dir").action(
    (name: string, values: OptionValues) => run(name, values, saveServerCache, 'saved'),
  )
  add(parent, 'load', 'load what was saved into a running server').action(
    (name: string, values: OptionValues) => run(name, values, loadServerCache, 'loaded'),
  )
}

function add(parent: Command, name: string, about: string): Command {
  return parent
    .command(name)
    .description(about)
    .argument('<name>', 'the name of the saved cache')
    .option('--server <address>', 'the server (default: http://127.0.0.1:8080)')
    .option('--model <name>', "the model (default: the server's only one)")
    .option('--api-key <key>', "one of the server's keys (default: OLMO2_API_KEY)")
    .option('--json', 'write JSON')
}

async function run(
  name: string,
  { server, model, apiKey, json }: OptionValues,
  ask: typeof saveServerCache,
  done: string,
): Promise<void> {
  const { OLMO2_API_KEY } = process.env
  const key = apiKey ?? (OLMO2_API_KEY || undefined)
  const given = { name, model, apiKey: key, ...(server !== undefined && { server }) }
  const kept = await interruptible((signal) => ask({ ...given, signal }))
  if (json) return writeJson({ name, ...kept })
  note(`${done} ${kept.tokens} tokens as ${name} (${formatBytes(kept.bytes)})`)
}
