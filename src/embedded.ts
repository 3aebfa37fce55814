import { join } from 'node:path'

import { packageRoot } from './package.js'

/** The folder of the model that is used where no path is given. */
export const embeddedModel: string = join(packageRoot, 'models/olmo2-5m')

/** The folder of the run that made it: some checkpoints, in the repository only, not in npm's package. */
export const embeddedRun: string = join(packageRoot, 'models/olmo2-5m-checkpoints')
