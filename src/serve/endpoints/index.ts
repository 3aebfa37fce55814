import type { Exchange } from '../exchange.js'
import { loadCache, saveCache } from './cache.js'
import { chatCompletions } from './chat.js'
import { completions } from './completions.js'
import { embeddings } from './embeddings.js'
import { models } from './models.js'
import { page } from './page.js'
import { responses } from './responses.js'
import { health, metrics } from './state.js'
import { detokenize, tokenize } from './tokenize.js'

/** What answers requests at a path. */
export interface Endpoint {
  method: 'GET' | 'POST'
  /** Also for what lies below it, if it ends with a star. */
  path: string
  /** Whether it answers without a key. */
  isOpen?: boolean
  answer: (exchange: Exchange) => Promise<void>
}

const endpoints: readonly Endpoint[] = [
  { method: 'GET', path: '/', isOpen: true, answer: page },
  { method: 'GET', path: '/health', isOpen: true, answer: health },
  { method: 'GET', path: '/metrics', answer: metrics },
  { method: 'GET', path: '/v1/models', answer: models },
  { method: 'GET', path: '/v1/models/*', answer: models },
  { method: 'POST', path: '/v1/chat/completions', answer: chatCompletions },
  { method: 'POST', path: '/v1/completions', answer: completions },
  { method: 'POST', path: '/v1/responses', answer: responses },
  { method: 'POST', path: '/v1/embeddings', answer: embeddings },
  { method: 'POST', path: '/cache/save', answer: saveCache },
  { method: 'POST', path: '/cache/load', answer: loadCache },
  { method: 'POST', path: '/tokenize', answer: tokenize },
  { method: 'POST', path: '/detokenize', answer: detokenize },
]

export function endpointOf(path: string): Endpoint | undefined {
  return endpoints.find((one) =>
    one.path.endsWith('*') ? path.startsWith(one.path.slice(0, -1)) : path === one.path,
  )
}
