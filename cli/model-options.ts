import { type Command, Option, type OptionValues } from 'commander'
import { dtypes, embeddedModel, type LoadOptions, locateModel, Olmo2 } from '../src/index.js'
import { UsageError } from './failure.js'
import { suggesting, toNumber } from './flags.js'
import { hubOptions } from './hub-options.js'
import { note } from './output.js'
import { progressBar } from './ui/progress.js'
import { pullDisplay } from './ui/pull-progress.js'

/** Adds the flags that name the checkpoint. */
export function addModelOption(command: Command): Command {
  return command
    .option(
      '-m, --model <path|id>',
      'checkpoint folder, GGUF file, or model on the hub (default: the embedded one)',
    )
    .option('--revision <name>', "the model's branch, tag or commit, tokens=1T, latest-stage1")
}

/**
 * The model that a command was given, as its argument or with `--model`.
 *
 * @throws {UsageError} if it was given both ways, and not the same
 */
export function givenModel(
  argument: string | undefined,
  { model }: OptionValues,
): string | undefined {
  if (argument !== undefined && model !== undefined && argument !== model)
    throw new UsageError('give the model as an argument or with --model, not both')
  return argument ?? model
}

/** As {@link givenModel}, for a command that cannot do without. */
export function neededModel(argument: string | undefined, values: OptionValues): string {
  const model = givenModel(argument, values)
  if (model === undefined)
    throw new UsageError(
      'name a model, as in allenai/OLMo-2-0425-1B, as an argument or with --model',
    )
  return model
}

/**
 * The model and the argument after it, of a command that takes both.
 *
 * @param what What the other argument is, for the error
 */
export function modelAndOther(
  [first, second]: readonly (string | undefined)[],
  { model }: OptionValues,
  what: string,
): { model: string | undefined; other: string } {
  const other = model === undefined ? second : first
  if (model !== undefined && second !== undefined)
    throw new UsageError('give the model as an argument or with --model, not both')
  if (other === undefined) throw new UsageError(`name the model and ${what}`)
  return { model: model ?? first, other }
}

/** The folder or file of the model that a command was asked for; fetched first, if it is on the hub. */
export async function modelFolder(
  values: OptionValues,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { model, revision } = values
  if (model === undefined && revision === undefined) return undefined
  const display = pullDisplay()
  try {
    const options = { ...hubOptions(values), signal, onProgress: display.update, revision }
    const { path, pulled } = await locateModel(model ?? embeddedModel, options)
    const isLoose = pulled && revision !== undefined && pulled.revision !== revision
    if (isLoose) note(`${revision} is ${pulled.revision}`)
    return path
  } finally {
    display.clear()
  }
}

/** Adds the flags that say which model to load and how. */
export function addLoadOptions(command: Command): Command {
  return addGpuLayers(addCacheDtype(addComputeOptions(addModelOption(command))))
    .option('--cache-tokens <n>', 'tokens the cache holds (default: up to four contexts)', toNumber)
    .option('--no-mmap', 'read the weight files into memory instead of mapping them')
}

/** Adds the flag that says what keys and values are held in. */
export function addCacheDtype(command: Command): Command {
  const choices = ['f32', 'f16', 'bf16', 'q8_0']
  return command.addOption(
    new Option('--cache-dtype <type>', 'type of the cache (default: that of --dtype)').choices(
      choices,
    ),
  )
}

/** Adds the flags that say what a model is computed with. */
export function addComputeOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--dtype <type>', "type of the weights (default: the checkpoint's)").choices(
        dtypes,
      ),
    )
    .addOption(deviceOption())
    .option('--threads <n>', 'compute threads (default: one per core)', toNumber)
}

function deviceOption(): Option {
  const names = ['auto', 'cpu', 'gpu', 'gpu:N', 'vulkan', 'metal', 'dx12', 'software-gpu', 'cuda']
  const about = `${names.join(', ')} or cuda:N (default: OLMO2_DEVICE, or auto)`
  return suggesting(
    new Option('--device <name>', about),
    names.filter((name) => !name.endsWith(':N')),
  )
}

/** Adds the flag that says how much of a model runs on a GPU. */
export function addGpuLayers(command: Command): Command {
  return command.option(
    '--gpu-layers <n>',
    'layers that run on the GPU, the others on the CPU (default: as many as fit)',
    toNumber,
  )
}

/** Loads the model a command was asked for, with a bar on a terminal. */
export async function loadModel(values: OptionValues, signal: AbortSignal): Promise<Olmo2> {
  const { dtype, cacheDtype, device, gpuLayers, threads, cacheTokens, mmap } = values
  const folder = await modelFolder(values, signal)
  const bar = progressBar('loading')
  const options: LoadOptions = {
    dtype,
    cacheDtype,
    device,
    gpuLayers,
    threads,
    cacheTokens,
    mmap,
    signal,
    onProgress: bar.update,
  }
  try {
    const model = await Olmo2.load(folder, options)
    bar.clear()
    for (const warning of model.info.warnings) note(warning)
    return model
  } finally {
    bar.clear()
  }
}
