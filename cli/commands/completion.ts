import { Argument, type Command } from 'commander'

import { shells } from '../completion/index.js'
import { describe } from '../completion/tree.js'
import { writeData } from '../output.js'

export function completion(program: Command): void {
  program
    .command('completion')
    .description('write a script for shell completion')
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(shells)))
    .action(async (name: string) => {
      const write = shells[name as keyof typeof shells]
      await writeData(write(describe(program)))
    })
}
