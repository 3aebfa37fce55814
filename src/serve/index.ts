/**
 * A server for models, in the form of OpenAI's API.
 *
 * @packageDocumentation
 */

export type { ServeOptions } from './options.js'
export { loadServerCache, type ServerCacheOptions, saveServerCache } from './remote-cache.js'
export { ModelServer, serve } from './server.js'
