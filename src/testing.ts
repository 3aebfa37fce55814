/**
 * The embedded model as a stand-in for a larger one, in tests of programs that use one.
 *
 * @packageDocumentation
 */

import { checkObject } from './arguments.js'
import { Olmo2 } from './model.js'
import { embeddedModel } from './package.js'

/** Options of {@link testModel}. */
export interface TestModelOptions {
  /** What is drawn from, where a call names no seed: the same answers each time. Default 0. */
  seed?: number | bigint
}

/**
 * Loads the embedded model: in some tenths of a second, from the package alone, whatever network and cache
 * there are. It runs on one thread, and what it answers depends on the question and the seed alone.
 *
 * @throws {OptionError} if an option is of the wrong kind
 */
export async function testModel(options: TestModelOptions = {}): Promise<Olmo2> {
  checkObject('options', options, { seed: 'seed' })
  const { seed = 0 } = options
  return Olmo2.load(embeddedModel, { device: 'cpu', threads: 1, generation: { seed } })
}
