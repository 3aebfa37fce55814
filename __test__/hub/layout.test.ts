import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'

import { packageRoot } from '../../src/package.js'
import {
  fakeCheckpoint,
  ID,
  listing,
  pullFrom,
  repo,
  slashBranch,
  startHub,
  temporaryFolder,
} from './setup.js'

// Made by the real `huggingface_hub` with `scripts/interop/check.py --write`.
const GOLDEN = join(packageRoot, '__test__/hub/golden/python-cache.txt')

test('leaves in the cache what huggingface_hub leaves there', async (t) => {
  const hub = await startHub(t, { [ID]: repo(fakeCheckpoint(), slashBranch) })
  const cache = await temporaryFolder(t)
  await pullFrom(hub, cache)
  await pullFrom(hub, cache, { revision: 'refs/pr/1' })
  // Python notes what is not there only when it is asked for such a file by its name.
  const lines = (await listing(cache)).filter((line) => !line.includes('/.no_exist/'))
  t.is(`${lines.join('\n')}\n`, await readFile(GOLDEN, 'utf8'))
})
