import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { CheckpointError, OptionError } from '../../errors.js'
import type { KeptCache } from '../../prefix-cache.js'
import { sendJson } from '../body.js'
import type { Exchange } from '../exchange.js'
import { Refusal } from '../failure.js'
import { checkFields, modelField } from '../fields.js'

/** A file's name without its ending, which cannot lead out of the folder. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/

/** `POST /cache/save`: what a model keeps of texts, into a file of the server's folder for that. */
export async function saveCache(exchange: Exchange): Promise<void> {
  const { file, model, name } = asked(exchange)
  using lease = await exchange.shared.pool.take(model, exchange.signal)
  tell(exchange, name, await lease.model.cache.save(file))
}

/** `POST /cache/load`: back from there. */
export async function loadCache(exchange: Exchange): Promise<void> {
  const { file, model, name } = asked(exchange)
  if (!existsSync(file)) throw new Refusal(404, 'cache_not_found', `no cache is saved as ${name}`)
  using lease = await exchange.shared.pool.take(model, exchange.signal)
  tell(exchange, name, await lease.model.cache.load(file).catch(unusable(file, name)))
}

/** A file that does not fit is what the client named, and no trouble of the server's. Its folder stays unsaid. */
const unusable = (file: string, name: string) => (error: unknown) => {
  const isUnusable = error instanceof CheckpointError && error.code === 'INVALID_FILE'
  if (!isUnusable) throw error
  throw new Refusal(409, 'cache_unusable', error.message.replaceAll(file, name))
}

function asked({ fields: given, shared }: Exchange): { file: string; model: string; name: string } {
  if (shared.prefixCacheDir === undefined) {
    const problem = 'this server saves no caches: it was started without --prefix-cache-dir'
    throw new Refusal(403, 'no_prefix_cache_dir', problem)
  }
  const fields = checkFields(given, { model: 'text', name: 'text' })
  const name = String(fields.name ?? '')
  if (!NAME.test(name)) {
    throw new OptionError('name', 'must be 1 to 100 letters, digits, dots, dashes or underscores')
  }
  return { file: join(shared.prefixCacheDir, `${name}.olmo2kv`), model: modelField(fields), name }
}

function tell({ response }: Exchange, name: string, { tokens, bytes }: KeptCache): void {
  sendJson(response, 200, { object: 'cache', name, tokens, bytes })
}
