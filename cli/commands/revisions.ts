import { type Command, InvalidArgumentError, type OptionValues } from 'commander'

import { filterRevisions, listRevisions, parseCount, type Revision } from '../../src/hub/index.js'
import { toNumber } from '../flags.js'
import { addHubOptions, hubOptions } from '../hub-options.js'
import { interruptible } from '../interrupt.js'
import { neededModel } from '../model-options.js'
import { note, write, writeJson } from '../output.js'
import { count } from '../ui/format.js'
import { retryLine } from '../ui/pull-progress.js'
import { table } from '../ui/table.js'

export function revisions(program: Command): void {
  const command = program
    .command('revisions')
    .description("list a model's training checkpoints, branches and tags, in the order of training")
    .argument('[id]', 'the model, such as allenai/OLMo-2-0425-1B')
    .option('-m, --model <id>', 'the model, in place of the argument')
    .option('--stage <n>', 'only revisions of this stage', toNumber)
    .option('--every <steps>', 'only revisions whose step is a multiple of this', toNumber)
    .option(
      '--near-tokens <n>',
      'only the one nearest to this number of tokens, such as 1T or 50B',
      toCount,
    )
    .option('--json', 'write a JSON array')
  addHubOptions(command).action(run)
}

/** A number as in 50B. */
export function toCount(text: string): number {
  const number = parseCount(text)
  if (number === undefined) throw new InvalidArgumentError('Write numbers as in 1000, 50B, 1T.')
  return number
}

async function run(argument: string | undefined, values: OptionValues): Promise<void> {
  const id = neededModel(argument, values)
  const all = await interruptible((signal) =>
    listRevisions(id, {
      ...hubOptions(values),
      signal,
      onRetry: (retry) => note(retryLine(retry)),
    }),
  )
  const { stage, every, nearTokens } = values
  const found = filterRevisions(all, { stage, every, nearTokens })
  if (values.json) return writeJson(found)
  if (found.length === 0) return note(`none of the ${all.length} revisions of ${id} matches`)
  const heads = ['revision', 'stage', 'ingredient', 'step', 'tokens', 'commit']
  await write(`${table([heads, ...found.map(row)])}\n`)
}

function row({ name, stage, ingredient, step, tokens, commit }: Revision): string[] {
  const number = (value: number | null) => (value === null ? '' : count(value))
  return [name, number(stage), number(ingredient), number(step), number(tokens), commit.slice(0, 8)]
}
