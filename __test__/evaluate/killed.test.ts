import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import test from 'ava'

import { evaluate } from '../../src/evaluate/index.js'
import { Olmo2 } from '../../src/index.js'
import { copyOfTiny, root, temporaryFolder } from '../support.js'

const CHILD = fileURLToPath(new URL('killed-child.js', import.meta.url))
const data = join(root, 'crates/olmo-eval/tests/golden/excerpt')

test('an evaluation that kill -9 has ended goes on, and its table is that of one in a piece', async (t) => {
  const path = await copyOfTiny({ 'config.json': { max_position_embeddings: 4096 } })
  const folder = await temporaryFolder()
  const tasks = ['piqa', 'arc_easy_rc_5shot', 'boolq']
  const out = join(folder, 'killed')
  const asked = { data, tasks, limit: 3, out }
  // Killed twice, in the second task and in the third.
  for (const [documents, resume] of [
    [4, false],
    [8, true],
  ] as const) {
    const options = JSON.stringify({ ...asked, resume })
    const child = spawn(process.execPath, [CHILD, path, options, String(documents)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.teardown(() => child.kill('SIGKILL'))
    const exit = once(child, 'exit')
    const first = await Promise.race([
      once(child.stdout, 'data').then(() => 'stands still'),
      exit.then(() => 'has ended'),
    ])
    t.is(first, 'stands still')
    child.kill('SIGKILL')
    t.deepEqual(await exit, [null, 'SIGKILL'])
    const lines = (await readFile(join(out, 'documents.jsonl'), 'utf8')).trimEnd().split('\n')
    t.is(lines.length, documents)
  }
  await using model = await Olmo2.load(path)
  const whole = await evaluate(model, { ...asked, out: join(folder, 'whole') })
  const resumed = await evaluate(model, { ...asked, resume: true })
  t.deepEqual(resumed.tasks, whole.tasks)
})
