// Many clients at once on `olmo2 serve`, over loopback: whole answers and streams, clients that go, that read slowly,
// that send nonsense. None may be lost and none wrong, greedy texts have to be the library's, memory has to stay
// as it is, and no descriptor may be left.
//
//     npm run build
//     node scripts/load/main.mjs                            # 10,000 requests of 64 clients
//     node scripts/load/main.mjs --requests 500 --clients 16 --seed 2
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { Agent } from 'node:http'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { Olmo2 } from '../../dist/src/index.js'
import { kinds } from './clients.mjs'

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '10000' },
    clients: { type: 'string', default: '64' },
    seed: { type: 'string', default: '1' },
  },
})
const [requests, clients, seed] = [values.requests, values.clients, values.seed].map(Number)
/** How much memory may grow over the second half, of what it is in the first. */
const GROWTH = 1.05
/** With fewer requests the memory of a process says nothing yet. */
const ENOUGH = 5000

const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** Numbers that look random and are the same each time. */
function randomOf(start) {
  let state = start
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32
    return state / 2 ** 32
  }
}

/** Prompts with what the library says of them. */
async function expectations() {
  const words = [
    'Once upon a time',
    'The little dog',
    'She said',
    'In the garden',
    'One day',
    'Tom and Mia',
  ]
  const model = await Olmo2.load()
  const prompts = words.flatMap((word) => [
    word,
    `${word} there was a king who`,
    `${word} `.repeat(20),
  ])
  const made = prompts.map(async (prompt, index) => {
    const tokens = 4 + ((index * 7) % 40)
    const options = { doSample: false, maxNewTokens: tokens }
    const { text } = await model.generate(prompt, options)
    const { text: chat } = await model.chat([{ role: 'user', content: prompt }], options)
    return { prompt, tokens, text, chat }
  })
  const all = await Promise.all(made)
  await model.dispose()
  return all
}

const descriptors = async (pid) => (await readdir(`/proc/${pid}/fd`)).length

/** Bytes that a process has in memory of its own. */
async function memory(pid) {
  const [, kilobytes] =
    /^RssAnon:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1024
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]

const known = await expectations()
const server = spawn(process.execPath, [command, 'serve', '--port', '0', '--max-queue', '1000'], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
try {
  const [line] = await once(createInterface({ input: server.stdout }), 'line')
  const port = Number(/:(\d+)$/.exec(line)?.[1])
  await fetch(`http://127.0.0.1:${port}/health`, { headers: { connection: 'close' } })
  const before = await descriptors(server.pid)
  const samples = await run(port)
  await until(async () => (await descriptors(server.pid)) <= before, 'descriptors are left')
  const state = await (
    await fetch(`http://127.0.0.1:${port}/health`, { headers: { connection: 'close' } })
  ).json()
  if (state.requests !== 0 || state.waiting !== 0)
    throw new Error(`left behind: ${JSON.stringify(state)}`)
  const half = Math.floor(samples.length / 2)
  const growth = median(samples.slice(half)) / median(samples.slice(Math.floor(half / 2), half))
  const shown = `memory ${(samples.at(-1) / 1e6).toFixed(0)} MB, in the second half ${growth.toFixed(3)} times`
  console.log(`${shown}; descriptors ${await descriptors(server.pid)}, before ${before}`)
  if (requests >= ENOUGH && growth > GROWTH) throw new Error('memory grows')
} finally {
  server.kill('SIGTERM')
}
const [code] = await once(server, 'exit')
if (code !== 0) throw new Error(`the server ended with ${code}`)

/** All requests; gives the memory after every hundredth part of them. */
async function run(port) {
  const counts = new Map()
  const samples = []
  let next = 0
  const began = performance.now()
  const work = async (_, index) => {
    const random = randomOf(seed * 1000 + index)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (next < requests) {
      next += 1
      if (next % Math.ceil(requests / 100) === 0) samples.push(await memory(server.pid))
      const kind = pick(random)
      await kind({ port, agent }, known[Math.floor(random() * known.length)], random)
      counts.set(kind.name, (counts.get(kind.name) ?? 0) + 1)
    }
    agent.destroy()
  }
  await Promise.all(Array.from({ length: clients }, work))
  const seconds = (performance.now() - began) / 1000
  const done = [...counts.values()].reduce((sum, count) => sum + count, 0)
  if (done !== requests) throw new Error(`${done} of ${requests} requests`)
  console.log(
    `${done} requests in ${seconds.toFixed(1)} s: ${JSON.stringify(Object.fromEntries(counts))}`,
  )
  return samples
}

function pick(random) {
  let at = random() * kinds.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [kind, weight] of kinds) {
    at -= weight
    if (at < 0) return kind
  }
  return kinds[0][0]
}

async function until(what, problem) {
  for (let tries = 0; tries < 500; tries += 1) {
    if (await what()) return
    await sleep(20)
  }
  throw new Error(problem)
}
