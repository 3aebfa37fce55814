import { type Command, Option, type OptionValues } from 'commander'

import { type ConvertProgress, convert as convertModel } from '../../src/convert/index.js'
import { formatBytes } from '../../src/hub/index.js'
import { dtypes } from '../../src/index.js'
import { interruptible } from '../interrupt.js'
import { note, writeData, writeJson } from '../output.js'
import { Progress } from '../ui/progress.js'

export function convert(program: Command): void {
  program
    .command('convert')
    .description('convert a model to another form, and print its path')
    .argument(
      '<in>',
      "a folder in Hugging Face's layout, a GGUF file, a checkpoint of OLMo-core or OLMo",
    )
    .argument('<out>', 'the folder or file to write')
    .addOption(
      new Option(
        '--to <form>',
        'form of the new model (default: gguf if named so, else hugging-face)',
      ).choices(['hugging-face', 'gguf', 'olmo-core', 'olmo']),
    )
    .addOption(
      new Option('--dtype <type>', "type of the new weights (default: the old weights')").choices(
        dtypes,
      ),
    )
    .option('--config <path>', 'config.json for a checkpoint without one')
    .option('--tokenizer <dir>', "folder with the new model's tokenizer")
    .option('--chat-template <file>', "the new model's chat template")
    .option('--python <path>', 'the Python with torch (default: OLMO2_PYTHON, or python3)')
    .option('--force', 'replace an existing model')
    .option('--json', 'write a JSON object at the end')
    .action(run)
}

async function run(input: string, out: string, values: OptionValues): Promise<void> {
  const { json, ...options } = values
  const display = new Progress()
  const onProgress = ({ step, done, total }: ConvertProgress) => {
    // Programs in Python count tensors.
    const amount =
      total < 100_000
        ? `${done} of ${total} tensors`
        : `${formatBytes(done)} of ${formatBytes(total)}`
    display.set(`${step} ${amount}`)
  }
  const made = await interruptible((signal) =>
    convertModel(input, out, { ...options, signal, onProgress }).finally(() => display.clear()),
  )
  if (json) return writeJson(made)
  for (const warning of made.warnings) note(warning)
  await writeData(`${made.path}\n`)
}
