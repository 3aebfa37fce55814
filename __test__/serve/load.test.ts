import { join } from 'node:path'

import test from 'ava'
import { execaNode } from 'execa'

import { root } from '../support.js'

test('of many clients, some of whom misbehave, none is lost and none gets a wrong answer', async (t) => {
  if (process.platform !== 'linux') {
    t.pass('it counts descriptors in /proc')
    return
  }
  const args = ['--requests', '300', '--clients', '16', '--seed', '3']
  const script = join(root, 'scripts/load/main.mjs')
  const { exitCode, stdout, stderr } = await execaNode(script, args, { reject: false })
  t.is(exitCode, 0, stderr)
  t.regex(stdout, /^300 requests in /)
})
