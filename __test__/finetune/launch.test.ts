import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

import test from 'ava'
import { execa } from 'execa'
import { CheckpointError, OptionError, ResourceError } from 'olmo2'
import {
  fineTuneDoctor,
  type LaunchEvent,
  type LaunchOptions,
  launchFineTune,
  planFineTune,
} from 'olmo2/finetune'
import { readMetrics } from 'olmo2/train'

import { LogReader, metricLine } from '../../src/finetune/log.js'
import { command, olmo2, temporaryFolder, tiny } from '../support.js'
import { fakePython } from './fake-python.js'

/** A folder as a preparation makes it: two documents. */
async function prepared(width = 2): Promise<string> {
  const folder = join(await temporaryFolder(), 'data')
  await mkdir(folder)
  const ids = Buffer.alloc(10 * width)
  for (let index = 0; index < 10; index += 1) ids.writeUInt16LE(20 + index, index * width)
  await writeFile(join(folder, 'token_ids_part_0000.npy'), ids)
  await writeFile(join(folder, 'labels_mask_part_0000.npy'), Buffer.alloc(10, 1))
  await writeFile(join(folder, 'token_ids_part_0000.csv.gz'), gzipSync('0,5\n5,10\n'))
  return folder
}

async function options(
  behaviour: Parameters<typeof fakePython>[1] = 'ok',
): Promise<LaunchOptions & { out: string }> {
  const folder = await temporaryFolder()
  const python = await fakePython(folder, behaviour)
  return { data: await prepared(), model: tiny, out: join(folder, 'run'), python, steps: 3 }
}

test('a plan has the exact commands and files, and writes nothing', async (t) => {
  const given = await options()
  const plan = await planFineTune({ ...given, nprocPerNode: 2, sequenceLength: 64 })
  t.is(plan.commands.length, 2)
  const [convert, train] = plan.commands.map(({ argv }) => argv.join(' '))
  t.is(convert, `olmo2 convert ${tiny} ${given.out}/start --to olmo-core --python ${given.python}`)
  const config = join(given.out, 'launch.json')
  const program = join(given.out, 'olmo_core_train.py')
  t.is(
    train,
    `${given.python} -m torch.distributed.run --standalone --nproc-per-node 2 ${program} ${config}`,
  )
  const values = JSON.parse(plan.files.find(({ path }) => path === config)?.content ?? '')
  t.like(values, {
    device: 'cpu',
    dtype: 'uint16',
    sequence_length: 64,
    batch_size: 16,
    micro_batch_size: 1,
    steps: 3,
    learning_rate: 8e-5,
    start: join(given.out, 'start/model_and_optim'),
  })
  t.like(values.model, { hidden_size: 64, num_attention_heads: 4, rope_theta: 500000 })
  t.regex(
    plan.files.find(({ path }) => path === program)?.content ?? '',
    /NumpyPackedFSLDatasetConfig/,
  )
  await t.throwsAsync(readFile(config))
})

test('many machines meet at an endpoint', async (t) => {
  const given = await options()
  const plan = await planFineTune({ ...given, nnodes: 2, rdzvEndpoint: 'host:29400' })
  const argv = plan.commands.at(-1)?.argv.join(' ') ?? ''
  t.regex(argv, /--nnodes 2 --rdzv-backend c10d --rdzv-endpoint host:29400 --rdzv-id run /)
})

test('a run says what happens, and leaves its log and metrics', async (t) => {
  const given = await options()
  const events: LaunchEvent[] = []
  const result = await launchFineTune({ ...given, onEvent: (event) => void events.push(event) })
  t.deepEqual(
    { ...result, log: '' },
    { exitCode: 0, checkpoint: join(given.out, 'checkpoints/step3'), log: '', loss: 4 / 3 },
  )
  const kinds = events.map(({ type }) => type)
  t.deepEqual(
    kinds.filter((kind) => kind !== 'log'),
    ['command', 'start', 'step', 'step', 'step', 'checkpoint'],
  )
  t.true(kinds.includes('log'))
  const log = await readFile(result.log, 'utf8')
  t.regex(log, /^\$ .*torch\.distributed\.run/)
  t.regex(log, /a warning of torch/)
  const metrics = await readMetrics(given.out)
  t.deepEqual(
    metrics.map(({ type, step }) => `${type} ${step}`),
    ['step 1', 'step 2', 'step 3', 'checkpoint 3'],
  )
  t.like(metrics[0], { stage: 1, loss: 4, learningRate: 0.001, tokensPerSecond: 500 })
  t.truthy(await readFile(join(given.out, 'tokenizer/tokenizer.json')))
  const { stdout } = await olmo2(['plot', given.out])
  t.regex(stdout, /loss/)

  // Once more: what it does again is not twice in the metrics.
  await launchFineTune(given)
  t.is((await readMetrics(given.out)).length, 4)
})

test("a trainer's exit code is kept", async (t) => {
  const given = await options('fails')
  t.like(await launchFineTune(given), { exitCode: 7, checkpoint: null })
  const args = ['finetune', 'launch', given.data, '--model', tiny, '--out', given.out]
  const { exitCode, stderr, stdout } = await olmo2([...args, '--python', given.python ?? ''])
  t.is(exitCode, 7)
  t.is(stdout, '')
  t.regex(stderr, /the trainer ended with exit code 7; its output is in .*train\.log/)
  t.regex(await readFile(join(given.out, 'train.log'), 'utf8'), /out of something/)
})

test('Ctrl-C is passed on, and the trainer saves', async (t) => {
  const given = await options('waits')
  const args = ['finetune', 'launch', given.data, '-m', tiny, '-o', given.out, '--json']
  const subprocess = execa('node', [command, ...args, '--python', given.python ?? ''], {
    reject: false,
    buffer: { stdout: true },
  })
  // Once: a second Ctrl-C ends the command at once.
  for await (const line of subprocess.iterable()) {
    if (String(line).includes('"type":"step"')) subprocess.kill('SIGINT')
  }
  const { exitCode } = await subprocess
  t.is(exitCode, 130)
  const metrics = await readMetrics(given.out)
  t.deepEqual(
    metrics.map(({ type }) => type),
    ['step', 'checkpoint'],
  )
})

test('the library passes an abort on and rejects with its reason', async (t) => {
  const given = await options('waits')
  const controller = new AbortController()
  const reason = new Error('enough')
  const onEvent = ({ type }: LaunchEvent) => {
    if (type === 'step') controller.abort(reason)
  }
  const run = launchFineTune({ ...given, signal: controller.signal, onEvent })
  t.is(await t.throwsAsync(run), reason)
})

test('a listener that throws stops the trainer, which saves, and gets its error back', async (t) => {
  const given = await options('waits')
  const reason = new Error('enough')
  const told: string[] = []
  const onEvent = ({ type }: LaunchEvent) => {
    told.push(type)
    if (type === 'step') throw reason
  }
  t.is(await t.throwsAsync(launchFineTune({ ...given, onEvent })), reason)
  t.is(told.at(-1), 'step')
  const metrics = await readMetrics(given.out)
  t.deepEqual(
    metrics.map(({ type }) => type),
    ['step', 'checkpoint'],
  )
})

test('a Python without torch is told of with what to install', async (t) => {
  const given = await options('bare')
  const error = await t.throwsAsync(launchFineTune(given), { instanceOf: ResourceError })
  t.is(error.code, 'NO_PYTHON')
  t.regex(error.message, /has no package torch: .* -m pip install torch/)
  const report = await fineTuneDoctor(given.python)
  t.true(report.trainers.every(({ ready }) => !ready))
  t.regex(report.pip ?? '', /-m pip install 'torch>=2\.10,<2\.14' 'ai2-olmo-core==3\.0\.0'/)
  const { stdout, stderr } = await olmo2(['finetune', 'doctor', '--python', given.python ?? ''])
  t.regex(stdout, /olmo-core: needs torch, ai2-olmo-core/)
  t.regex(stderr, /pip install/)
  const ready = await fineTuneDoctor((await options()).python)
  t.is(ready.pip, null)
})

test("the other trainers' command lines", async (t) => {
  const given = await options()
  const source = await temporaryFolder()
  await mkdir(join(source, 'open_instruct'))
  await mkdir(join(source, 'scripts'))
  await writeFile(join(source, 'open_instruct/olmo_core_finetune.py'), '')
  await writeFile(join(source, 'scripts/train.py'), '')
  const data = await temporaryFolder()
  await writeFile(join(data, 'chat.jsonl'), '')
  await writeFile(join(data, 'input_ids.npy'), Buffer.alloc(40))
  await writeFile(join(data, 'label_mask.npy'), Buffer.alloc(10))

  const open = await planFineTune({
    ...given,
    data,
    source,
    trainer: 'open-instruct',
    nprocPerNode: 2,
  })
  const [cache, train] = open.commands.map(({ argv }) => argv.join(' '))
  t.regex(
    cache ?? '',
    /olmo_core_finetune\.py --model_name_or_path .*--mixer_list \S+chat\.jsonl 1\.0 .*--cache_dataset_only$/,
  )
  t.regex(
    train ?? '',
    /torch\.distributed\.run --standalone --nproc-per-node 2 .*--num_epochs 3 --max_grad_norm 1\.0/,
  )
  const shared = (cache ?? '').split('.py ')[1]?.replace(' --cache_dataset_only', '')
  t.true(train?.includes(shared ?? 'nothing'), 'both calls say the same of the data')

  const config = join(data, 'run.yaml')
  const olmo = await planFineTune({ ...given, data, source, config, trainer: 'olmo' })
  const argv = olmo.commands[0]?.argv ?? []
  t.true(argv.includes(`--data.paths=[${data}/input_ids.npy]`))
  t.true(argv.includes('--data.memmap_dtype=uint32'))
  t.true(argv.includes('--reset_trainer_state'))
})

interface Bad {
  about: string
  change: (given: LaunchOptions) => Promise<object> | object
  error: RegExp
}

const without =
  (name: string) =>
  async ({ data }: LaunchOptions) => {
    const { rm } = await import('node:fs/promises')
    await rm(join(data, name))
    return {}
  }

const BAD: Bad[] = [
  { about: 'no data', change: () => ({ data: '/none' }), error: /there is no such folder/ },
  {
    about: 'an empty folder',
    change: async () => ({ data: await temporaryFolder() }),
    error: /holds no token_ids_part/,
  },
  {
    about: 'no mask',
    change: without('labels_mask_part_0000.npy'),
    error: /labels_mask_part_0000\.npy: .* needs it/,
  },
  {
    about: 'no boundaries',
    change: without('token_ids_part_0000.csv.gz'),
    error: /csv\.gz: .* needs it/,
  },
  {
    about: 'a mask of another length',
    change: async ({ data }) => {
      await writeFile(join(data, 'labels_mask_part_0000.npy'), Buffer.alloc(7))
      return {}
    },
    error: /has 7 bytes, which do not fit the 20/,
  },
  {
    about: 'no model',
    change: async () => ({ model: await temporaryFolder() }),
    error: /has no config\.json/,
  },
  {
    about: 'a length that is no power of two',
    change: () => ({ sequenceLength: 100 }),
    error: /is 100, but OLMo-core takes powers of two/,
  },
  {
    about: 'a batch that cannot be shared',
    change: () => ({ batchSize: 3, nprocPerNode: 2 }),
    error: /is 3, no multiple of 2 processes/,
  },
  {
    about: 'machines that do not meet',
    change: () => ({ nnodes: 2 }),
    error: /where the 2 machines meet/,
  },
  { about: 'another device', change: () => ({ device: 'tpu' }), error: /must be cpu or cuda/ },
  {
    about: 'another trainer',
    change: () => ({ trainer: 'trl' }),
    error: /must be olmo-core, open-instruct or olmo/,
  },
  {
    about: 'no checkout',
    change: () => ({ trainer: 'open-instruct' }),
    error: /must name a checkout of Open Instruct/,
  },
  {
    about: 'a checkout of something else',
    change: () => ({ trainer: 'olmo', source: '/tmp' }),
    error: /there is no scripts\/train\.py/,
  },
  { about: 'no processes', change: () => ({ nprocPerNode: 0 }), error: /nprocPerNode/ },
]

for (const { about, change, error } of BAD) {
  test(`bad input: ${about}`, async (t) => {
    const given = await options()
    const plan = planFineTune({ ...given, ...(await change(given)) } as LaunchOptions)
    const failure = await t.throwsAsync(plan, { message: error })
    t.true(failure instanceof CheckpointError || failure instanceof OptionError)
  })
}

test("logs of OLMo, OLMo-core and Open Instruct's older program are read", (t) => {
  const reader = new LogReader(1000)
  const read = (lines: string) => lines.split('\n').flatMap((line) => reader.read(line))
  const core = `2026-11-30 05:33:00 host:0 olmo_core.train INFO [step=1,200/5,000,epoch=1,eta=00:10]
    train/CE loss=2.345
    optim/LR (group 0)=5.0e-05
    optim/total grad norm=0.5
    throughput/device/TPS=1,234
[step=1,201/5,000,epoch=1]`
  t.like(read(core)[0], {
    type: 'step',
    step: 1200,
    steps: 5000,
    tokens: 1_200_000,
    loss: 2.345,
    learningRate: 5e-5,
    gradNorm: 0.5,
    tokensPerSecond: 1234,
  })
  const olmo = `[step=10/100,epoch=0]
    optim/total_grad_norm=1.5
    train/CrossEntropyLoss=3.25
    throughput/device/tokens_per_second=99
something else`
  t.like(read(olmo)[0], { step: 10, loss: 3.25, gradNorm: 1.5, tokensPerSecond: 99 })
  const legacy = read('  Step: 7, LR: 2e-05, Loss: 1.5, TPS: 88.5')[0]
  t.like(legacy, { step: 7, learningRate: 2e-5, loss: 1.5, tokensPerSecond: 88.5 })
  for (const line of [
    '',
    '@olmo2 ',
    '@olmo2 {',
    '@olmo2 []',
    '    a=b',
    '[step=x]',
    '@olmo2 {"kind":"other"}',
  ]) {
    t.deepEqual(read(line), [], line)
  }
  const glued = read('of another process@olmo2 {"kind":"step","step":3,"loss":0.5}')
  t.like(glued[0], { type: 'step', step: 3, loss: 0.5 })
  t.deepEqual(reader.end(), [])
  if (legacy?.type === 'step')
    t.like(JSON.parse(metricLine(legacy)), { kind: 'step', learning_rate: 2e-5 })
})

test('the dry run prints commands that can be copied', async (t) => {
  const given = await options()
  const args = ['finetune', 'launch', given.data, '-m', tiny, '-o', `${given.out} 2`, '--dry-run']
  const { stdout, exitCode } = await olmo2([...args, '--python', given.python ?? ''])
  t.is(exitCode, 0)
  t.regex(stdout, /^olmo2 convert .* '\S+ 2\/start' --to olmo-core/m)
  t.regex(stdout, /"sequence_length": 128/)
})
