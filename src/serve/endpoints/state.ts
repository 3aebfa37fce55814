import { sendJson, sendText } from '../body.js'
import type { Exchange } from '../exchange.js'

/** `GET /health`: that the server answers, and what it has to do. */
export async function health({ response, shared }: Exchange): Promise<void> {
  const { load, pool } = shared
  const state = { status: 'ok', requests: load.requests, waiting: pool.waiting }
  sendJson(response, 200, state)
}

/** `GET /metrics`: what the server has counted, for Prometheus. */
export async function metrics({ response, shared }: Exchange): Promise<void> {
  const { load, pool } = shared
  const text = shared.metrics.text({
    requests_in_work: ['Requests for models that have not ended.', load.requests],
    requests_waiting: ['Of these, how many wait for their turn.', pool.waiting],
    models_loaded: ['Models in memory.', pool.loaded.length],
  })
  sendText(response, 200, 'text/plain; version=0.0.4; charset=utf-8', text)
}
