import type { Command } from 'commander'

import { doctor } from './doctor.js'
import { inspect } from './inspect.js'
import { launch } from './launch.js'
import { prepare } from './prepare.js'

/** The commands for fine-tuning; a new one is a file and a line here. */
const commands = [prepare, inspect, launch, doctor]

export function finetune(program: Command): void {
  const group = program
    .command('finetune')
    .description(
      "turn conversations into training data for AllenAI's trainers, and train with them",
    )
  for (const add of commands) add(group)
}
