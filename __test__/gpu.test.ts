// The kernels for GPUs, from Node, on a driver that computes on the CPU (Debian's mesa-vulkan-drivers). Where there is
// none, the tests that need it say so in their output.
import test, { type ExecutionContext } from 'ava'
import { EngineError, Olmo2, OptionError, ResourceError } from 'olmo2'
import { type Gpu, listGpus } from 'olmo2/doctor'

import { native } from '../src/engine/native.js'
import { post, started } from './serve/setup.js'
import { longWinded, olmo2, tiny } from './support.js'

const PROMPT = 'She read the word'
const PROMPTS = [PROMPT, 'the fox', 'again and again and again']

const gpus = await listGpus()
const software = gpus.find(({ device }) => device === 'software-gpu')

/**
 * A test on the driver; without it, a line that names the test. One runs after another, since some lose all GPUs of this
 * process.
 */
function onGpu(title: string, run: (t: ExecutionContext, gpu: Gpu) => Promise<void>): void {
  test.serial(title, async (t) => {
    if (software) return run(t, software)
    t.log('not run: no driver here computes on the CPU; Debian has mesa-vulkan-drivers')
    t.pass()
  })
}

onGpu("generate on a GPU writes the CPU's text", async (t) => {
  const args = ['generate', PROMPT, '--model', tiny, '--max-new-tokens', '40']
  const cpu = await olmo2([...args, '--device', 'cpu'])
  const whole = await olmo2([...args, '--device', 'software-gpu'])
  t.is(whole.stderr, '', 'neither the command nor a driver says anything')
  t.is(whole.stdout, cpu.stdout)
  const half = await olmo2([...args, '--device', 'software-gpu', '--gpu-layers', '1'])
  t.is(half.stdout, cpu.stdout)
  t.regex(half.stderr, /^1 of 2 layers run on .+ and 1 on the CPU, which reads .+ of weights .+\n$/)
})

onGpu('a model on a GPU tells where it runs, and of how many texts it writes', async (t, gpu) => {
  await using cpu = await Olmo2.load(tiny, { device: 'cpu' })
  await using model = await Olmo2.load(tiny, { device: 'software-gpu' })
  t.like(model.info, { device: 'software-gpu', adapter: gpu.name, gpuLayers: 2, threads: 0 })
  t.like(cpu.info, { device: 'cpu', adapter: undefined, gpuLayers: 0 })
  t.deepEqual(model.info.warnings, [])
  const texts = async (model: Olmo2) =>
    (await model.generate(PROMPTS, { maxNewTokens: 30 })).map(({ text }) => text)
  t.deepEqual(await texts(model), await texts(cpu))
  const options = { doSample: true, seed: 5, numReturnSequences: 3, maxNewTokens: 20 }
  const sampled = async () => (await model.generate(PROMPT, options)).map(({ text }) => text)
  t.deepEqual(await sampled(), await sampled())
})

onGpu('a driver that computes on the CPU is listed, and never taken by itself', async (t, gpu) => {
  t.regex(gpu.reason ?? '', /computes on the CPU/)
  t.true((gpu.memory?.available ?? 0) > 0)
  t.is(gpu.api, 'vulkan')
  const { stdout, stderr } = await olmo2(['info', tiny])
  t.is(stderr, '')
  t.regex(stdout, /^GPUs$/m)
  t.true(stdout.includes(gpu.name))
  t.regex(stdout, /taken by auto +no: its driver computes on the CPU/)
  t.true((await olmo2(['doctor', '--offline'])).stdout.includes(gpu.name))
  const listed = JSON.parse((await olmo2(['info', tiny, '--json'])).stdout).gpus
  t.deepEqual(
    listed.map(({ device, features }: Gpu) => [device, features]),
    gpus.map(({ device, features }) => [device, features]),
  )
})

/** A model whose answers do not end before the GPU is lost. */
const ENDLESS = { device: 'software-gpu', cacheTokens: 20_000 } as const

onGpu('a GPU that is lost ends the requests in work, and nothing else', async (t) => {
  const text = async (model: Olmo2) => (await model.generate(PROMPT, { maxNewTokens: 12 })).text
  const lost = { instanceOf: EngineError, code: 'DEVICE_FAILED' }
  const model = await Olmo2.load(longWinded, ENDLESS)
  const expected = await text(model)
  const inWork = PROMPTS.map((prompt) => model.generate(prompt))
  const streams = inWork.map((generation) => generation[Symbol.asyncIterator]())
  for (const stream of streams) t.false((await stream.next()).done)

  native().loseGpus()
  for (const stream of streams) {
    const toItsEnd = async () => {
      while (!(await stream.next()).done);
    }
    await t.throwsAsync(toItsEnd(), lost)
  }
  await t.throwsAsync(model.generate(PROMPT), lost, 'the device stays lost')
  await t.throwsAsync(model.forward(PROMPT), lost)
  await model.dispose()
  await t.throwsAsync(model.generate(PROMPT), { code: 'DISPOSED' })

  await using again = await Olmo2.load(longWinded, ENDLESS)
  t.is(await text(again), expected)
})

onGpu('a server whose GPU is lost answers the next request', async (t) => {
  const server = await started(t, { models: { x: longWinded }, load: ENDLESS })
  const ask = (options: object) =>
    post(server, '/v1/completions', { model: 'x', prompt: PROMPT, temperature: 0, ...options })
  const text = async () => {
    const response = await ask({ max_tokens: 8 })
    t.is(response.status, 200)
    return ((await response.json()) as { choices: { text: string }[] }).choices[0]?.text
  }
  const expected = await text()
  const { body } = await ask({ max_tokens: 19_000, stream: true })
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader()
  t.regex((await reader?.read())?.value ?? '', /^data: .*"text"/)

  native().loseGpus()
  let rest = ''
  for (let part = await reader?.read(); part?.value; part = await reader?.read()) rest += part.value
  t.regex(rest, /the device was lost.*"code":"DEVICE_FAILED"/)
  t.is(await text(), expected)
  t.is(await text(), expected)
})

test('auto takes the CPU unless a GPU says that it has room', async (t) => {
  await using model = await Olmo2.load(tiny, { device: 'auto' })
  t.is(
    model.info.device === 'cpu',
    gpus.every(({ reason }) => reason !== undefined),
  )
  t.true((await listGpus(2 ** 60)).every(({ reason }) => reason !== undefined))
})

test('a GPU that is not there, and layers for none, are typed errors', async (t) => {
  const load = (options: object) => Olmo2.load(tiny, options)
  const missing = await t.throwsAsync(load({ device: 'gpu:99' }), { instanceOf: ResourceError })
  t.is(missing.code, 'DEVICE_UNAVAILABLE')
  const layers = await t.throwsAsync(load({ device: 'cpu', gpuLayers: 1 }), {
    instanceOf: OptionError,
  })
  t.regex(layers.message, /^option `gpuLayers` is 1, but device cpu runs all layers or none/)
  await t.throwsAsync(load({ gpuLayers: 0 }), { instanceOf: OptionError })
  const { stderr, exitCode } = await olmo2([
    'generate',
    PROMPT,
    '--device',
    'cpu',
    '--gpu-layers',
    '1',
  ])
  t.is(exitCode, 2)
  t.regex(stderr, /^olmo2: option --gpu-layers is 1, but device cpu/)
})
