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
  /** Seed of calls that name none, so that answers are the same each time. Default 0. */
  seed?: number | bigint
}

/**
 * Loads the embedded model in a few tenths of a second, from the package alone, without network or cache. It
 * runs on one thread, and its answers depend only on the prompt and the seed.
 *
 * @throws {OptionError} if an option has the wrong type
 */
export async function testModel(options: TestModelOptions = {}): Promise<Olmo2> {
  checkObject('options', options, { seed: 'seed' })
  const { seed = 0 } = options
  return Olmo2.load(embeddedModel, { device: 'cpu', threads: 1, generation: { seed } })
}
