import type { Command, OptionValues } from 'commander'

import { type Gpu, listGpus } from '../../src/doctor.js'
import { formatBytes } from '../../src/hub/index.js'

import {
  type GenerationInForce,
  generationOptions,
  type Inspection,
  inspect,
} from '../../src/index.js'
import { toFlag } from '../flags.js'
import { interruptible } from '../interrupt.js'
import { addModelOption, givenModel, modelFolder } from '../model-options.js'
import { columns, write, writeJson } from '../output.js'
import { count, wrap } from '../ui/format.js'
import { gpuRows } from '../ui/gpus.js'
import { described, facts, table } from '../ui/table.js'
import { onOneLine } from '../ui/visible.js'

export function info(program: Command): void {
  const command = program
    .command('info')
    .description('show what a checkpoint is and what it needs to run')
    .argument('[model]', 'a checkpoint, or a model on the hub (default: the embedded model)')
    .option('--json', 'write a JSON object')
  addModelOption(command).action(run)
}

async function run(argument: string | undefined, values: OptionValues): Promise<void> {
  const model = givenModel(argument, values)
  const folder = await interruptible((signal) => modelFolder({ ...values, model }, signal))
  const found = await inspect(folder)
  const gpus = await listGpus(need(found))
  if (values.json) return writeJson({ ...found, gpus })
  const width = columns()
  for (const { title, text } of page(found, gpus)) {
    await write(`\n${title}\n`, 'bold')
    await write(`${width === undefined ? text : wrap(text, width)}\n`)
  }
}

/** Bytes that it takes as it is stored, with a full context. */
function need({ memory, dtype }: Inspection): number {
  const plan = memory.find((plan) => plan.dtype === dtype)
  return plan ? plan.weights + plan.cachePerToken * plan.cacheTokens + plan.scratch : 0
}

interface Section {
  title: string
  text: string
}

function page(
  { path, config, numParameters, dtype, license, memory, ...rest }: Inspection,
  gpus: Gpu[],
): Section[] {
  const shape = [
    ['parameters', count(numParameters)],
    ['stored as', dtype],
    ['layers', count(config.numHiddenLayers)],
    ['hidden size', count(config.hiddenSize)],
    ['intermediate size', count(config.intermediateSize)],
    ['attention heads', count(config.numAttentionHeads)],
    ['key-value heads', count(config.numKeyValueHeads)],
    ['head size', count(config.headDim)],
    ['vocabulary', count(config.vocabSize)],
    ['context', `${count(config.maxPositionEmbeddings)} tokens`],
    ['rotary base', count(config.ropeTheta)],
    ['tied embeddings', config.tieWordEmbeddings ? 'yes' : 'no'],
  ]
  const needs = memory.map(({ dtype, weights, cachePerToken, cacheTokens, scratch }) => {
    const cache = cachePerToken * cacheTokens
    return [
      dtype,
      ...[weights, cachePerToken, cache, scratch, weights + cache + scratch].map(formatBytes),
    ]
  })
  const heads = [
    'dtype',
    'weights',
    'cache per token',
    'cache for a full context',
    'scratch',
    'together',
  ]
  return [
    { title: onOneLine(path), text: facts(shape) },
    {
      title: 'Memory needed',
      text: `${table([heads, ...needs])}\n${formatBytes(rest.availableMemory)} are free on this machine.`,
    },
    ...(gpus.length > 0 ? [{ title: 'GPUs', text: described(gpuRows(gpus)) }] : []),
    {
      title: 'Generation, if no flag says otherwise',
      text: table(generationTable(rest.generation)),
    },
    ...(rest.warnings.length > 0 ? [{ title: 'Warnings', text: rest.warnings.join('\n') }] : []),
    {
      title: 'Licence',
      text: license ?? 'This checkpoint does not say; Ai2 publishes OLMo 2 under Apache-2.0.',
    },
    { title: 'Bias and risks', text: RISKS },
  ]
}

/** The options with their values in force, and who says so. */
function generationTable(inForce: GenerationInForce): string[][] {
  const rows = Object.entries(inForce).map(([name, { value, source }]) => {
    const shown = name === 'seed' ? generationOptions.seed.default : inWords(value)
    return [toFlag(name), shown, source]
  })
  return [['option', 'value', 'from'], ...rows]
}

function inWords(value: unknown): string {
  if (value === null || value === false) return 'off'
  if (value === true) return 'on'
  if (!Array.isArray(value)) return String(value)
  return value.length === 0 ? 'none' : JSON.stringify(value)
}

const RISKS = `Like any base model, and any fine-tuned one that was not made safe, this model can easily be led to
write harmful or sensitive things, and may write them unasked, above all where bias plays a part.
Much of what a language model states is wrong. Think of both before you put it to use, and check
facts.`
