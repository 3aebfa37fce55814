// The library in Jest, where what Node makes is of another realm than what a test makes.
import { join } from 'node:path'

import test from 'ava'
import { execaNode } from 'execa'

import { ID, repo, startHub, temporaryFolder, tinyModel } from './hub/setup.js'
import { root } from './support.js'

const nodeOptions = ['--experimental-vm-modules', '--no-warnings']

for (const [how, file] of [
  ['a module', 'library.test.mjs'],
  ['CommonJS', 'library.test.cjs'],
] as const) {
  test(`the library works in Jest, from ${how}`, async (t) => {
    const hub = await startHub(t, { [ID]: repo(await tinyModel()) })
    const cacheDir = await temporaryFolder(t)
    const jest = join(root, 'node_modules/jest/bin/jest.js')
    const args = ['--config', join(root, '__test__/jest/jest.config.cjs'), '--runInBand', file]
    const { exitCode, all } = await execaNode(jest, args, {
      cwd: root,
      all: true,
      reject: false,
      nodeOptions,
      env: { OLMO2_TEST_ENDPOINT: hub.endpoint, OLMO2_TEST_CACHE: cacheDir, NODE_OPTIONS: '' },
    })
    t.is(exitCode, 0, all)
    t.regex(all, /7 passed/)
  })
}
