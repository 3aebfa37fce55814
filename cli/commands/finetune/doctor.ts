import type { Command, OptionValues } from 'commander'

import { fineTuneDoctor } from '../../../src/finetune/index.js'
import { note, write, writeJson } from '../../output.js'
import { table } from '../../ui/table.js'

export function doctor(group: Command): void {
  group
    .command('doctor')
    .description('show which Python, torch and trainers are installed, and what is missing')
    .option('--python <path>', 'the Python to check (default: OLMO2_PYTHON, or python3)')
    .option('--json', 'write a JSON object')
    .action(run)
}

async function run({ python, json }: OptionValues): Promise<void> {
  const report = await fineTuneDoctor(python)
  if (json) return writeJson(report)
  const { packages, torch, trainers, pip } = report
  const devices = torch ? (torch.devices > 0 ? `${torch.devices} GPUs` : 'CPU') : 'does not load'
  const rows = [
    ['Python', report.python, report.executable],
    ...Object.entries(packages).map(([name, version]) => [
      name,
      version ?? 'missing',
      name === 'torch' && version !== null ? devices : '',
    ]),
  ]
  await write(`${table(rows)}\n\n`)
  for (const { trainer, ready, missing } of trainers) {
    await write(`${trainer}: ${ready ? 'ready' : `needs ${missing.join(', ')}`}\n`)
  }
  if (pip !== null) note(`for olmo-core: ${pip}`)
}
