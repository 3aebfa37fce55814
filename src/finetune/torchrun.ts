import { basename, resolve } from 'node:path'

import { OptionError } from '../errors.js'
import type { LaunchOptions } from './launch-options.js'

/** The beginning of a command that starts a program once a process, on one machine or on several. */
export function torchrun(options: LaunchOptions, python: string): string[] {
  const {
    nprocPerNode = 1,
    nnodes = 1,
    rdzvEndpoint,
    rdzvId = basename(resolve(options.out)),
  } = options
  if (nnodes > 1 && rdzvEndpoint === undefined) {
    throw new OptionError('rdzvEndpoint', `must say where the ${nnodes} machines meet`)
  }
  const meeting =
    rdzvEndpoint === undefined
      ? ['--standalone']
      : [
          '--nnodes',
          `${nnodes}`,
          '--rdzv-backend',
          'c10d',
          '--rdzv-endpoint',
          rdzvEndpoint,
          '--rdzv-id',
          rdzvId,
        ]
  // The module that `torchrun` is: so it is that of this Python.
  return [python, '-m', 'torch.distributed.run', ...meeting, '--nproc-per-node', `${nprocPerNode}`]
}
