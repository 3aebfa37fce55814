import type { Command, OptionValues } from 'commander'

import { type PulledModel, type PullOptions, pull as pullModel } from '../../src/index.js'
import { addHubOptions, hubOptions } from '../hub-options.js'
import { interruptible } from '../interrupt.js'
import { neededModel } from '../model-options.js'
import { note, writeData, writeJson } from '../output.js'
import { pullDisplay } from '../ui/pull-progress.js'

export function pull(program: Command): void {
  const command = program
    .command('pull')
    .description('fetch a model from the hub into the cache, and print its folder')
    .argument('[id]', 'the model, such as allenai/OLMo-2-0425-1B')
    .option('-m, --model <id>', 'the model, in place of the argument')
    .option('--revision <name>', 'branch, tag, commit, tokens=1T, latest-stage1 (default: main)')
    .option('--file <name>', 'fetch only this file, such as a GGUF')
    .option('--json', 'write a JSON object')
  addHubOptions(command).action(run)
}

async function run(argument: string | undefined, values: OptionValues): Promise<void> {
  const id = neededModel(argument, values)
  const { revision, file } = values
  const options = { ...hubOptions(values), revision, file }
  const model = await interruptible((signal) => pullWithDisplay(id, { ...options, signal }))
  if (values.json) return writeJson(model)
  note(summary(model, revision))
  await writeData(`${model.path}\n`)
}

/** Pulls, and shows how far it is. */
export async function pullWithDisplay(id: string, options: PullOptions): Promise<PulledModel> {
  const display = pullDisplay()
  try {
    return await pullModel(id, { ...options, onProgress: display.update })
  } finally {
    display.clear()
  }
}

function summary(
  { repo, revision, commit, files, fetched, source }: PulledModel,
  asked?: string,
): string {
  const chosen = asked !== undefined && asked !== revision ? `${asked} is ${revision}: ` : ''
  const what = `${repo} at ${revision} (${commit.slice(0, 8)})`
  if (source === 'cache')
    return `${chosen}${what} from the cache; the hub was not asked or did not answer`
  if (fetched.length === 0) return `${chosen}${what} is already in the cache`
  return `${chosen}${what}: fetched ${fetched.length} of ${files.length} files`
}
