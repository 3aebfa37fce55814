import { join } from 'node:path'

import { packageRoot } from './package.js'

/**
 * The checkpoint that comes with this package, relative to its folder. Until the trained one is
 * there, a tiny random one from the tests stands in: it runs, but writes no sense.
 */
const EMBEDDED_MODEL = 'crates/olmo-core/tests/golden/tiny-mha-f32'

/** The folder of the model that is used where no path is given. */
export const embeddedModel: string = join(packageRoot, EMBEDDED_MODEL)
