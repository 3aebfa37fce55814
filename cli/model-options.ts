import { type Command, Option, type OptionValues } from 'commander'

import { type LoadOptions, Olmo2 } from '../src/index.js'
import { toNumber } from './generation-options.js'
import { progressBar } from './ui/progress.js'

/** Adds the flag that names the checkpoint. */
export function addModelOption(command: Command): Command {
  return command.option('-m, --model <folder>', 'checkpoint to use (default: the embedded model)')
}

/** Adds the flags that say which model to load and how. */
export function addLoadOptions(command: Command): Command {
  return addModelOption(command)
    .addOption(
      new Option('--dtype <type>', "type of weights and cache (default: the checkpoint's)").choices(
        ['f32', 'f16', 'bf16'],
      ),
    )
    .option('--device <name>', 'auto, cpu, cuda, cuda:N or metal (default: auto)')
    .option('--threads <n>', 'threads that compute (default: one a core)', toNumber)
    .option('--cache-tokens <n>', 'tokens the cache holds (default: up to four contexts)', toNumber)
}

/** Loads the model a command was asked for, with a bar on a terminal. */
export async function loadModel(values: OptionValues, signal: AbortSignal): Promise<Olmo2> {
  const { model, dtype, device, threads, cacheTokens } = values
  const bar = progressBar('loading')
  const options: LoadOptions = {
    dtype,
    device,
    threads,
    cacheTokens,
    signal,
    onProgress: bar.update,
  }
  try {
    return await Olmo2.load(model, options)
  } finally {
    bar.clear()
  }
}
