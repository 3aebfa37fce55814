import type { Command, OptionValues } from 'commander'

import { Tokenizer } from '../../src/index.js'
import { UsageError } from '../failure.js'
import { readText } from '../input.js'
import { interruptible } from '../interrupt.js'
import { addModelOption, modelFolder } from '../model-options.js'
import { write, writeData, writeJson } from '../output.js'
import { TokenTexts } from '../ui/token-text.js'
import { visibleJson } from '../ui/visible.js'

export function tokenize(program: Command): void {
  const command = program
    .command('tokenize')
    .description('show the tokens of a text, or turn ids back into text')
    .argument('[text]', 'the text, or with --decode ids such as 12,34 (default: standard input)')
    .option('-f, --prompt-file <file>', 'read the text from a file')
    .option('--ids', 'print only the ids, on one line')
    .option('--decode', 'print the text of ids')
    .option('--json', 'write a JSON object')
  addModelOption(command).action(run)
}

async function run(argument: string | undefined, values: OptionValues): Promise<void> {
  const input = await readText(argument, values.promptFile)
  const tokenizer = await Tokenizer.load(
    await interruptible((signal) => modelFolder(values, signal)),
  )
  const ids = values.decode ? parseIds(input) : [...tokenizer.encode(input)]
  if (values.json) {
    await writeJson({
      ids,
      text: tokenizer.decode(ids),
      tokens: ids.map((id) => tokenizer.decode([id])),
    })
  } else if (values.decode) {
    await writeData(`${tokenizer.decode(ids)}\n`)
  } else if (values.ids) {
    await write(`${ids.join(' ')}\n`)
  } else {
    const texts = new TokenTexts(tokenizer)
    const lines = ids.map((id) => `${id}\t${visibleJson(texts.of(id))}\n`)
    await write(lines.join(''))
  }
}

function parseIds(text: string): number[] {
  const words = text.split(/[\s,]+/).filter((word) => word !== '')
  const wrong = words.find((word) => !/^\d+$/.test(word))
  if (wrong !== undefined)
    throw new UsageError(`--decode expects ids such as 12,34, but found "${wrong}"`)
  return words.map(Number)
}
