import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import test from 'ava'

import { httpStatuses } from '../../src/errors.js'
import { root } from '../support.js'

test('the page has the status of every code', (t) => {
  const page = readFileSync(join(root, 'docs/serving.md'), 'utf8')
  const rows = [...page.matchAll(/^\| ([\d, ]+) \| (.*) \|$/gm)]
  const listed = rows.flatMap(([, statuses = '', codes = '']) =>
    [...codes.matchAll(/`([A-Z_]+)`/g)].map(
      ([, code = '']) => [code, statuses.split(', ')] as const,
    ),
  )
  t.deepEqual(listed.map(([code]) => code).toSorted(), Object.keys(httpStatuses).toSorted())
  for (const [code, statuses] of listed)
    t.true(statuses.includes(String(httpStatuses[code as keyof typeof httpStatuses])), code)
})
