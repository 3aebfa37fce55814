import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'

import { PARITY_HEAD, type ParityReport, parity, parityPage } from '../../src/evaluate/index.js'
import { Differences } from '../../src/evaluate/parity/differences.js'
import type { Reference } from '../../src/evaluate/parity/reference.js'
import { CheckpointError } from '../../src/index.js'
import { olmo2, root, temporaryFolder, tiny } from '../support.js'

const folder = join(root, 'models/parity')
const file = join(folder, 'olmo2-5m.json')
const reference: Reference = JSON.parse(await readFile(file, 'utf8'))

/** A copy of the reference with something changed. */
async function changed(change: (copy: Reference) => unknown): Promise<string> {
  const copy = structuredClone(reference)
  change(copy)
  const path = join(await temporaryFolder(), 'reference.json')
  await writeFile(path, JSON.stringify(copy))
  return path
}

/** A part of the reference alone. */
const only = (part: Partial<Reference>) => (copy: Reference) =>
  Object.assign(copy, { texts: [], greedy: [], likelihoods: [] }, part)

test('the embedded model is what it is in transformers, and the committed page says so', async (t) => {
  const report = await parity(undefined, file)
  t.true(report.agrees)
  t.is(report.dtype, 'f32')
  t.true((report.logits.largest[0]?.difference ?? 1) < 1e-3)
  t.true(report.greedy.every(({ tokens, same, margin }) => same === tokens || (margin ?? 1) < 2e-3))
  const page = await readFile(join(folder, 'olmo2-5m.md'), 'utf8')
  const [head, ...rows] = page.split('\n').filter((line) => /^\| .* \| \d+ \| 0 \|/.test(line))
  t.is(head, `| ids of texts | ${report.texts} | 0 | | |`)
  t.is(rows.length, 4)
  t.true(page.includes(`| logits | ${report.logits.count} | 0 |`))
  t.true(page.includes('All of it agrees within the tolerance.'))
})

test('each way to disagree is found', async (t) => {
  const [text] = reference.texts
  const [greedy] = reference.greedy
  const [likelihood] = reference.likelihoods
  if (!text || !greedy || !likelihood) return t.fail()
  const disagrees = async (part: Partial<Reference>, found: (report: ParityReport) => unknown) => {
    const report = await parity(undefined, await changed(only(part)))
    t.false(report.agrees)
    t.truthy(found(report))
  }
  const position = { ...text.positions[3], logsumexp: 9, ids: [5], logits: [1] }
  const positions = text.positions.with(3, position)
  await disagrees({ texts: [{ ...text, positions }] }, ({ logits, otherTop }) => {
    return logits.outside === 2 && otherTop === 1 && logits.largest[0]?.what.includes('position 3')
  })
  await disagrees({ texts: [{ ...text, text: 'other' }] }, ({ encodedOtherwise, logits }) => {
    return encodedOtherwise[0]?.text === 'other' && logits.outside === 0
  })
  const parted = { ...greedy, ids: greedy.ids.with(7, 1), margins: greedy.margins.with(7, 2.5) }
  await disagrees({ greedy: [parted] }, ({ greedy: [one] }) => {
    return one?.same === 7 && one.margin === 2.5 && one.tokens === 48
  })
  const off = { ...likelihood, loglikelihood: likelihood.loglikelihood + 0.01 }
  await disagrees({ likelihoods: [off] }, ({ likelihoods }) => likelihoods.outside === 1)
  const near = { ...parted, margins: greedy.margins.with(7, 1e-4) }
  t.true((await parity(undefined, await changed(only({ greedy: [near] })))).agrees, 'a near tie')
})

test('a file that is no reference, or one of another model, is refused', async (t) => {
  const refused = async (path: string, pattern: RegExp, model?: string) => {
    const error = await t.throwsAsync(parity(model, path), { instanceOf: CheckpointError })
    t.regex(String(error?.message), pattern)
  }
  await refused(file, /is of another model: its vocab_size is 4096, this one's is \d+/, tiny)
  await refused('/no/such', /it is not there/)
  await refused(join(root, 'package.json'), /is no reference that/)
  const [text] = reference.texts
  if (!text) return t.fail()
  const with_ = (part: object) => changed(only({ texts: [{ ...text, ...part }] }))
  await refused(await with_({ ids: [], positions: [] }), /is no reference that/)
  await refused(await with_({ ids: text.ids.slice(1) }), /is no reference that/)
  await refused(await with_({ ids: text.ids.with(0, 4096) }), /has the token 4096; there are 4096/)
  const long = { ids: new Array(600).fill(5), positions: new Array(600).fill(text.positions[0]) }
  await refused(await with_(long), /has a text of 600 tokens; 512 can be read/)
  const wrong = text.positions.with(0, { logsumexp: 1, ids: [2 ** 40], logits: [1] })
  await refused(await with_({ positions: wrong }), /has the token 1099511627776/)
})

test('the worst differences are kept, NaN first', (t) => {
  const differences = new Differences(0.5)
  for (let place = 0; place < 500; place++) {
    const off = ((place * 37) % 500) / 1000
    differences.add(() => `${place}`, 1, place % 2 ? 1 + off : 1 - off)
  }
  t.is(differences.count, 500)
  t.is(differences.outside, 0)
  t.deepEqual(
    differences.largest.map(({ difference }) => Math.round(difference * 1000)),
    [499, 498, 497, 496, 495, 494, 493, 492, 491, 490],
  )
  differences.add(() => 'far', 0, 3)
  differences.add(() => 'broken', 1, Number.NaN)
  t.is(differences.outside, 2)
  t.deepEqual(
    differences.largest.slice(0, 2).map(({ what }) => what),
    ['broken', 'far'],
  )
})

test('no text from a reference is markup in the page', async (t) => {
  const hostile = '</code>|`<img src=x>`\n| [a](b) \u202e**x**'
  const path = await changed((copy) => {
    Object.assign(copy, { model: hostile, device: hostile, texts: [], likelihoods: [] })
    copy.greedy.length = 1
    Object.assign(copy.greedy[0] ?? {}, { prompt: hostile })
  })
  const page = parityPage(await parity(undefined, path))
  for (const text of ['<img', '</code>|', '`', '[a]', '\u202e', '**x']) t.false(page.includes(text))
  t.is(page.split('\n').filter((line) => line.includes('img src')).length, 4)
})

test('the command says what is off, and exits with 1', async (t) => {
  const out = join(await temporaryFolder(), 'parity.md')
  const good = await olmo2(['parity', '--reference', file, '-o', out])
  t.is(good.exitCode, 0, good.stderr)
  t.regex(good.stdout, /^ids of texts +31 +0$/m)
  t.is(good.stderr, `written: ${out}\neverything agrees within 0.001\n`)
  t.true((await readFile(out, 'utf8')).startsWith(PARITY_HEAD))
  await writeFile(out, 'mine')
  const kept = await olmo2(['parity', '--reference', file, '-o', out])
  t.is(kept.exitCode, 2)
  t.regex(kept.stderr, /is not such a page: name another file, or set --force/)
  const strict = await olmo2(['parity', '--reference', file, '--tolerance', '0', '--json'])
  t.is(strict.exitCode, 1)
  t.like(JSON.parse(strict.stdout), { agrees: false, tolerance: 0 })
})
