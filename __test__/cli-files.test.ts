import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'

import { makeRun } from './hub/run-folder.js'
import { olmo2, temporaryFolder, tiny } from './support.js'

const STEP = {
  ...{ kind: 'step', stage: 1, ingredient: 1, steps: 2, loss: 2, z_loss: 0, learning_rate: 1e-3 },
  ...{ grad_norm: 1, tokens_per_second: 10 },
}

/** A folder of a training run with metrics of two steps. */
async function trained(): Promise<string> {
  const folder = await temporaryFolder()
  const lines = [1, 2].map((step) => JSON.stringify({ ...STEP, step, tokens: 100 * step }))
  await writeFile(join(folder, 'metrics.jsonl'), `${lines.join('\n')}\n`)
  return folder
}

test('no command replaces a file that is not its own, unless forced', async (t) => {
  const folder = await temporaryFolder()
  const runs = await temporaryFolder()
  await makeRun(runs)
  const text = join(folder, 'text.txt')
  await writeFile(text, 'the quick brown fox jumps over the lazy dog and again '.repeat(20))
  const run = await trained()
  const trace = ['trace', runs, '-p', 'the cat', '-r', 'latest', '--max-new-tokens', '1']
  const calls: [string, (name: string) => string[]][] = [
    ['plot.svg', (name) => ['plot', run, '--out', name]],
    ['trace.svg', (name) => [...trace, '--out', name.replace(/\.svg$/, '')]],
    ['trace.csv', (name) => [...trace, '--out', name.replace(/\.csv$/, '')]],
    ['trace.json', (name) => [...trace, '--out', name.replace(/\.json$/, '')]],
    ['model.gguf', (name) => ['quantize', tiny, name, '--type', 'q8_0']],
    ['base.bin', (name) => ['perplexity', tiny, text, '--ctx', '32', '--save-base', name]],
  ]
  for (const [name, call] of calls) {
    const place = join(folder, name.replace('.', '-'))
    await mkdir(place)
    const file = join(place, name)
    await writeFile(file, 'mine')
    const refused = await olmo2(call(file))
    t.is(refused.exitCode, 2, `${name}: ${refused.stderr}`)
    t.regex(refused.stderr, /^olmo2: option (--out|--save-base|`out`) leads to .* --?force/m, name)
    t.is(await readFile(file, 'utf8'), 'mine')
    t.deepEqual(await readdir(place), [name])
    const forced = await olmo2([...call(file), '--force'])
    t.is(forced.exitCode, 0, forced.stderr)
    t.not(await readFile(file, 'utf8'), 'mine', name)
    const again = await olmo2(call(file))
    t.is(again.exitCode, 0, `its own it replaces: ${again.stderr}`)
    t.deepEqual(
      (await readdir(place)).filter((left) => /tmp|partial/.test(left)),
      [],
    )
  }
})
