/**
 * A server for models, in the form of OpenAI's API.
 *
 * @packageDocumentation
 */

export type { ServeOptions } from './options.js'
export { ModelServer, serve } from './server.js'
