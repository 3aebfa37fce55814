import { join } from 'node:path'

import { packageRoot } from './package.js'

/** The run that the model in this package comes from, relative to the package's folder. */
const RUN = 'models/olmo2-5m-checkpoints'

/** Its checkpoint that stands for the model until the run is at its end. */
const CHECKPOINT = 'stage1-step3000-tokens25M'

/** The folder of the model that is used where no path is given. */
export const embeddedModel: string = join(packageRoot, RUN, CHECKPOINT)

/** The folder of that run. Its other checkpoints are in the repository only, not in npm's package. */
export const embeddedRun: string = join(packageRoot, RUN)
