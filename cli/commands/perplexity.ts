import type { Command, OptionValues } from 'commander'

import {
  type ComparedType,
  type CompareOptions,
  comparePerplexity,
  isPrepared,
  scoreHeldOut,
} from '../../src/evaluate/index.js'
import { UsageError } from '../failure.js'
import { toFlag, toNumber } from '../flags.js'
import { readTextFile, STANDARD_INPUT, withFile } from '../input.js'
import { interruptible } from '../interrupt.js'
import {
  addCacheDtype,
  addComputeOptions,
  addModelOption,
  loadModel,
  modelAndOther,
  modelFolder,
} from '../model-options.js'
import { write, writeJson } from '../output.js'
import { count } from '../ui/format.js'
import { heldOutTable } from '../ui/held-out-table.js'
import { perplexityTable } from '../ui/perplexity-table.js'
import { Progress } from '../ui/progress.js'

export function perplexity(program: Command): void {
  const command = program
    .command('perplexity')
    .description('measure how well a model predicts a text, and what a type of weights changes')
    .argument('[model]', 'a checkpoint, or a model on the hub; or --model')
    .argument('[text]', 'a text file, - for standard input, or a folder that `olmo2 prepare` wrote')
    .option('--ctx <n>', 'tokens per window; its second half counts (default: 512)', toNumber)
    .option('--stride <n>', 'let windows overlap, starting this many tokens apart', toNumber)
    .option('--save-base <file>', 'save the log-probabilities as a reference')
    .option('--force', 'replace an existing file that holds no log-probabilities')
    .option('--kl-base <file>', "compare with a reference, also llama.cpp's")
    .option(
      '--types <list>',
      'run the model in these types, such as q8_0,q4_k_m, and compare',
      toTypes,
    )
    .option('--reference <type>', 'with --types, the type to compare with (default: f32)')
    .option('--json', 'write a JSON object per type instead of the table')
  addCacheDtype(addComputeOptions(addModelOption(command))).action(run)
}

function toTypes(text: string): string[] {
  return text.split(',').map((type) => type.trim())
}

async function run(
  first: string | undefined,
  second: string | undefined,
  options: OptionValues,
): Promise<void> {
  const { model, other: file } = modelAndOther([first, second], options, 'a text')
  const values: OptionValues = { ...options, model }
  if (await isPrepared(file)) return await runHeldOut(file, values)
  if (file === STANDARD_INPUT && values.klBase === STANDARD_INPUT)
    throw new UsageError('- can be the text or --kl-base, not both')
  const text = await readTextFile(file, 'the text')
  const found = await withFile(values.klBase, (klBase) =>
    interruptible((signal) => evaluate(text, { ...values, klBase }, signal)),
  )
  if (!values.json) await write(`${perplexityTable(found)}\n`)
}

/** By source, beside the n-gram models: what a model trained here has to be better than. */
async function runHeldOut(data: string, values: OptionValues): Promise<void> {
  for (const name of ['ctx', 'stride', 'saveBase', 'klBase', 'types', 'reference']) {
    if (values[name] !== undefined)
      throw new UsageError(`${toFlag(name)} is for a text file, not for a prepared folder`)
  }
  const status = new Progress()
  const onProgress = ({ tokens, total }: { tokens: number; total: number }) =>
    status.set(`${count(tokens)} of ${count(total)} tokens`)
  try {
    const found = await interruptible(async (signal) => {
      await using loaded = await loadModel(values, signal)
      return await scoreHeldOut(loaded, data, { signal, onProgress })
    })
    status.clear()
    if (values.json) await writeJson(found)
    else await write(`${heldOutTable(found)}\n`)
  } finally {
    status.clear()
  }
}

async function evaluate(
  text: string,
  values: OptionValues,
  signal: AbortSignal,
): Promise<ComparedType[]> {
  const folder = await modelFolder(values, signal)
  const status = new Progress()
  const options = { ...optionsOf(values), signal }
  options.onProgress = ({ dtype, windows, total, perplexity }) =>
    status.set(`${dtype}: window ${windows} of ${total}, perplexity ${perplexity.toFixed(4)}`)
  const found: ComparedType[] = []
  try {
    for await (const type of comparePerplexity(folder, text, options)) {
      status.clear()
      found.push(type)
      if (values.json) await writeJson(type)
    }
    return found
  } finally {
    status.clear()
  }
}

/** Without `--types` the model runs in one type, and only a reference that is named is compared. */
function optionsOf({ types, reference, dtype, ...values }: OptionValues): CompareOptions {
  if (types && dtype) throw new UsageError('give --types or --dtype, not both')
  if (reference && (!types || values.klBase))
    throw new UsageError('--reference goes with --types, and without --kl-base')
  const { ctx, stride, saveBase, klBase, force, cacheDtype, device, threads } = values
  const chosen = types ? { types, reference } : dtype && { types: [dtype], reference: dtype }
  const given = { ...chosen, ctx, stride, saveBase, klBase, force, cacheDtype, device, threads }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}
