// Makes what this package ships of a finished training run: the model itself, a few of its
// checkpoints in 8 bits, and the measured parts of its card.
//
//     node scripts/embedded/release.mjs RUN DATA [--out models] [CHECKPOINT…]
//
// RUN is the folder that `olmo2 train` wrote, DATA the one that `olmo2 prepare` wrote. Checkpoints
// are names of folders in RUN to go with it. The average of the anneals, or else the last checkpoint
// in training, becomes the model. The weights go into the repository once: look at the card before
// that.
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { scoreHeldOut } from '../../dist/src/evaluate/index.js'
import { writeAtomically } from '../../dist/src/files.js'
import { Olmo2 } from '../../dist/src/index.js'
import { quantize } from '../../dist/src/quantize.js'
import { inTrainingOrder } from '../../dist/src/revisions/order.js'
import { parseRevision } from '../../dist/src/revisions/parse.js'
import { readMetrics, trainPlot } from '../../dist/src/train/index.js'
import { fillCard, samplesList, scoresTable, validationTable } from './card.mjs'
import { samples } from './samples.mjs'

const RECIPE = 'models/recipe'
/** The folder in a run with the average of several anneals. */
const SOUP = 'stage2-soup'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { out: { type: 'string', default: 'models' } },
})
const [run, data, ...named] = positionals
const MODEL = join(values.out, 'olmo2-5m')
const CHECKPOINTS = join(values.out, 'olmo2-5m-checkpoints')

if (!run || !data)
  throw new Error('usage: node scripts/embedded/release.mjs RUN DATA [CHECKPOINT…]')

const folders = await readdir(run)
const all = inTrainingOrder(
  folders.map((name) => parseRevision(name)).filter((revision) => revision !== null),
)
const model = folders.find((name) => name === SOUP) ?? all.at(-1)?.name
if (!model) throw new Error(`${run} has no checkpoints in it`)

await copyModel(join(run, model), MODEL)
for (const name of named) await quantizeCheckpoint(name)
await writeCard()

async function copyModel(from, to) {
  await mkdir(to, { recursive: true })
  const files = ['config.json', 'tokenizer.json', 'model.safetensors']
  for (const file of files) await copyFile(join(from, file), join(to, file))
  // The likeliest text of so small a model soon goes in circles, and what it samples wanders off.
  const generation = JSON.parse(await readFile(join(from, 'generation_config.json'), 'utf8'))
  Object.assign(generation, {
    do_sample: true,
    temperature: 0.5,
    top_p: 0.9,
    repetition_penalty: 1.3,
    // It would go on with the dialogue and ask itself.
    stop_strings: ['\nUser:'],
  })
  await writeJson(join(to, 'generation_config.json'), generation)
  // The dialogues it has read say `User:` and `Assistant:`, nothing else marks a turn.
  const config = JSON.parse(await readFile(join(from, 'tokenizer_config.json'), 'utf8'))
  config.chat_template = await readFile(join(RECIPE, 'chat_template.jinja'), 'utf8')
  await writeJson(join(to, 'tokenizer_config.json'), config)
}

function writeJson(path, value) {
  return writeAtomically(path, `${JSON.stringify(value, null, 2)}\n`)
}

async function quantizeCheckpoint(name) {
  const folder = join(CHECKPOINTS, name)
  await mkdir(folder, { recursive: true })
  const { bytes } = await quantize(join(run, name), join(folder, 'model-q8_0.gguf'), {
    type: 'q8_0',
  })
  console.log(`${folder}: ${(bytes / 1e6).toFixed(1)} MB`)
}

async function writeCard() {
  const card = await readFile(join(RECIPE, 'card.md'), 'utf8')
  const metrics = await readMetrics(run)
  await writeAtomically(join(MODEL, 'training.svg'), trainPlot(metrics, 'olmo2-5m'))
  const model = await Olmo2.load(MODEL, { dtype: 'f32' })
  try {
    const parts = {
      scores: scoresTable(await scoreHeldOut(model, data)),
      validation: validationTable(metrics),
      samples: samplesList(await samples(model)),
    }
    await writeAtomically(join(MODEL, 'README.md'), fillCard(card, parts))
  } finally {
    await model.dispose()
  }
}
