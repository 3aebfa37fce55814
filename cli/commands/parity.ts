import type { Command, OptionValues } from 'commander'

import { PARITY_HEAD, type ParityReport, parity, parityPage } from '../../src/evaluate/index.js'
import { isReplaceable, writeResult } from '../../src/index.js'
import { UsageError } from '../failure.js'
import { toNumber } from '../flags.js'
import { interruptible } from '../interrupt.js'
import { addComputeOptions, addModelOption, givenModel, modelFolder } from '../model-options.js'
import { note, write, writeJson } from '../output.js'
import { parityTable } from '../ui/parity-table.js'

export function parityCommand(program: Command): void {
  const command = program
    .command('parity')
    .description('compare a checkpoint in this engine with transformers')
    .argument('[model]', 'a checkpoint, or a model on the hub (default: the embedded model)')
    .requiredOption('--reference <file>', 'output of scripts/parity/reference.py')
    .option('--tolerance <n>', 'largest allowed difference (default: 0.001 in f32)', toNumber)
    .option('-o, --out <file>', 'write a Markdown page')
    .option('--force', 'replace an existing file that is not such a page')
    .option('--json', 'write JSON')
  addComputeOptions(addModelOption(command)).action(run)
}

async function run(argument: string | undefined, values: OptionValues): Promise<void> {
  const { reference, tolerance, dtype, device, threads, out, force, json } = values
  if (out !== undefined && !force) await checkOut(out)
  const report = await interruptible(async (signal) => {
    const folder = await modelFolder({ ...values, model: givenModel(argument, values) }, signal)
    return parity(folder, reference, { tolerance, dtype, device, threads, signal })
  })
  if (out !== undefined) await writeResult(out, parityPage(report))
  await (json ? writeJson(report) : write(`${parityTable(report)}\n`))
  if (out !== undefined) note(`written: ${out}`)
  say(report)
}

async function checkOut(out: string): Promise<void> {
  if (await isReplaceable(out, (head) => head.startsWith(PARITY_HEAD))) return
  throw new UsageError(`${out} exists and is not such a page: name another file, or set --force`)
}

function say({ agrees, tolerance }: ParityReport): void {
  note(
    agrees ? `everything agrees within ${tolerance}` : `not everything agrees within ${tolerance}`,
  )
  if (!agrees) process.exitCode = 1
}
