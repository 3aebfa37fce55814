import { type Command, Option, type OptionValues } from 'commander'
import { formatBytes } from '../../src/hub/index.js'
import { dtypes } from '../../src/index.js'
import {
  type Quantized,
  type QuantizeProgress,
  quantize as quantizeModel,
} from '../../src/quantize.js'
import { toNumber } from '../flags.js'
import { withFile } from '../input.js'
import { interruptible } from '../interrupt.js'
import { addModelOption, modelAndOther, modelFolder } from '../model-options.js'
import { note, write, writeJson } from '../output.js'
import { count } from '../ui/format.js'
import { Progress, progressBar } from '../ui/progress.js'
import { table } from '../ui/table.js'

export function quantize(program: Command): void {
  const command = program
    .command('quantize')
    .description('write a model as a GGUF file of another type')
    .argument('[model]', 'a checkpoint, a GGUF file, or a model on the hub; or --model')
    .argument('[out]', 'the file to write')
    .addOption(
      new Option('--type <type>', 'type of the matrices; norms stay f32')
        .choices(dtypes)
        .makeOptionMandatory(),
    )
    .option(
      '--imatrix <file>',
      'text that shows which weights matter, or a file from llama-imatrix',
    )
    .option('--force', 'replace an existing file that is not a GGUF file')
    .option('--threads <n>', 'compute threads (default: one per core)', toNumber)
    .option('--json', 'write a JSON object instead of the table')
  addModelOption(command).action(run)
}

async function run(
  first: string | undefined,
  second: string | undefined,
  values: OptionValues,
): Promise<void> {
  const { model = '', other: out } = modelAndOther([first, second], values, 'the file to write')
  const { type, imatrix, threads, force, json } = values
  const found = await interruptible(async (signal) => {
    const folder = await modelFolder({ ...values, model }, signal)
    const display = progressDisplay()
    try {
      const onProgress = display.update
      return await withFile(imatrix, (imatrix) => {
        const options = { type, imatrix, threads, force, signal, onProgress }
        return quantizeModel(folder ?? model, out, options)
      })
    } finally {
      display.clear()
    }
  })
  if (json) return writeJson(found)
  await write(`${types(found)}\n`)
  note(
    `${formatBytes(found.bytes)}, ${found.bitsPerWeight.toFixed(2)} bits per weight; written to ${out}`,
  )
}

/** First tokens of the text, then bytes of the file. */
function progressDisplay() {
  const status = new Progress()
  const bar = progressBar('quantising')
  return {
    update({ step, done, total }: QuantizeProgress): void {
      if (step === 'text') status.set(`reading text: ${count(done)} of ${count(total)} tokens`)
      else bar.update({ loaded: done, total })
    },
    clear(): void {
      status.clear()
      bar.clear()
    },
  }
}

function types({ types }: Quantized): string {
  const rows = types.map(({ type, tensors, bytes: size }) => [
    type,
    count(tensors),
    formatBytes(size),
  ])
  return table([['type', 'tensors', 'size'], ...rows])
}
