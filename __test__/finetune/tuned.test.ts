import { copyFile, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import test from 'ava'
import { execa } from 'execa'
import { embeddedModel, Olmo2 } from 'olmo2'
import { readMetrics } from 'olmo2/train'

import { command, root, temporaryFolder } from '../support.js'

const page = await readFile(join(root, 'docs/finetuning.md'), 'utf8')

test("the page's three commands make a model that says something new, without Python", async (t) => {
  const [, block = ''] = /^```bash\n(.*?)^```/ms.exec(page) ?? []
  const lines = block.trim().split('\n')
  t.is(lines.length, 3)
  const [, asked = '', before, after = ''] =
    /^\| (Who are you\?) \| (.*) \| (.*) \|$/m.exec(page) ?? []
  t.not(before, after)
  const cwd = await temporaryFolder()
  await copyFile(join(root, 'examples/pip.jsonl'), join(cwd, 'pip.jsonl'))
  const said: string[] = []
  for (const line of lines) {
    const args = line.split(' ').slice(1)
    const more = args[0] === 'chat' ? ['--no-do-sample'] : []
    const options = { cwd, input: `${asked}\n`, env: { NO_COLOR: '1' } }
    said.push((await execa('node', [command, ...args, ...more], options)).stdout.trim())
  }
  t.is(said[2], after)

  const model = join(cwd, said[1] ?? '')
  const metrics = await readMetrics(dirname(model))
  const losses = metrics.flatMap((metric) => (metric.type === 'step' ? [metric.loss] : []))
  t.true((losses.at(-1) ?? 9) < 0.1, `${losses}`)
  await using loaded = await Olmo2.load(model)
  t.is(loaded.info.dtype, 'f32')
  const [ours, theirs] = await Promise.all(
    [model, embeddedModel].map((path) => readFile(join(path, 'tokenizer.json'), 'utf8')),
  )
  t.is(ours, theirs)
})
