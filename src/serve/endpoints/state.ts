import type { CacheUse } from '../../prefix-cache.js'
import { sendJson, sendText } from '../body.js'
import type { Exchange, Shared } from '../exchange.js'

/** `GET /health`: that the server answers, and what it has to do. */
export async function health({ response, shared }: Exchange): Promise<void> {
  const { load, pool } = shared
  const state = { status: 'ok', requests: load.requests, waiting: pool.waiting }
  sendJson(response, 200, state)
}

/** `GET /metrics`: what the server has counted, for Prometheus. */
export async function metrics({ response, shared }: Exchange): Promise<void> {
  const { load, pool } = shared
  const cache = await cacheUse(shared)
  const text = shared.metrics.text({
    requests_in_work: ['Requests for models that have not ended.', load.requests],
    requests_waiting: ['Of these, how many wait for their turn.', pool.waiting],
    models_loaded: ['Models in memory.', pool.loaded.length],
    cache_tokens: ['Tokens that the caches of models have room for.', cache.tokens],
    cache_tokens_in_use: ['Of these, room that texts in work have.', cache.inUse],
    cache_tokens_kept: ['Tokens in caches that a prompt can begin with.', cache.kept],
  })
  sendText(response, 200, 'text/plain; version=0.0.4; charset=utf-8', text)
}

/** Of all models together; one that is being unloaded has none any more. */
async function cacheUse({ pool }: Shared): Promise<CacheUse> {
  const uses = await Promise.allSettled(pool.loaded.map(({ cache }) => cache.use()))
  const known = uses.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
  const sum = (part: keyof CacheUse) => known.reduce((total, use) => total + use[part], 0)
  return { tokens: sum('tokens'), inUse: sum('inUse'), kept: sum('kept') }
}
