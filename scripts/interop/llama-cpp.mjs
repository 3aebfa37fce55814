// Holds our reading of GGUF files against llama.cpp's: the ids of texts, and the logits of a prompt.
//
//     npm run build && npm install --prefix bench
//     node scripts/interop/llama-cpp.mjs                  # the golden files
//     node scripts/interop/llama-cpp.mjs model.gguf …     # files of one's own, such as `olmo2 quantize` writes
//
// llama.cpp comes in node-llama-cpp, as the benchmark has it; another folder with it is named by RIVAL.
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { Olmo2 } from 'olmo2'

const root = fileURLToPath(new URL('../..', import.meta.url))
const golden = join(root, 'crates/olmo-core/tests/golden')
const rival = createRequire(join(process.env.RIVAL ?? join(root, 'bench'), 'package.json'))
const { getLlama } = await import(pathToFileURL(rival.resolve('node-llama-cpp')).href)

const POSITIONS = 33

/**
 * The largest difference of a logit from ours, as a share of how far the logits spread. llama.cpp turns
 * what it multiplies blocks with into 8 bits, and what it multiplies halves with into halves; we do
 * neither where the weights are taken as f32.
 */
const MOST = { f32: 1e-5, f16: 5e-3, bf16: 2e-2, other: 1e-1 }

const { strings } = JSON.parse(await readFile(join(golden, 'dolma2_strings.json'), 'utf8'))
const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: 'error' })
const files = process.argv.slice(2)
let failures = 0
for (const file of files.length > 0 ? files : await goldenFiles()) {
  const model = await Olmo2.load(file, { dtype: 'f32' })
  const theirs = await llama.loadModel({ modelPath: file })
  compareTokenizers(file, model.tokenizer, theirs)
  await compareLogits(file, model, theirs)
  await model.dispose()
  await theirs.dispose()
}
process.exit(failures > 0 ? 1 : 0)

async function goldenFiles() {
  const names = await readdir(join(golden, 'gguf'))
  return names.filter((name) => name.startsWith('tiny')).map((name) => join(golden, 'gguf', name))
}

function compareTokenizers(file, tokenizer, theirs) {
  const different = strings.filter(({ text }) => {
    const ids = theirs.tokenize(text, true)
    return String([...ids]) !== String([...tokenizer.encode(text)])
  })
  for (const { text } of different.slice(0, 5)) console.log(`  differs: ${JSON.stringify(text)}`)
  report(
    file,
    different.length === 0,
    `${different.length} of ${strings.length} texts get other ids`,
  )
}

async function compareLogits(file, model, theirs) {
  const { vocabSize } = model.info.config
  const ids = Array.from(
    { length: POSITIONS },
    (_, i) => (i * 7919 + 31) % model.tokenizer.vocabSize,
  )
  const { logits: ours } = await model.forward(ids)
  const context = await theirs.createContext({
    contextSize: 64,
    flashAttention: false,
    experimentalKvCacheKeyType: 'F32',
    experimentalKvCacheValueType: 'F32',
  })
  const wanted = ids.map((id) => [id, { generateNext: { logits: true } }])
  const outputs = await context.getSequence().controlledEvaluate(wanted)
  let [worst, spread, agree] = [0, 0, 0]
  outputs.forEach(({ next }, position) => {
    const row = ours.subarray(position * vocabSize, (position + 1) * vocabSize)
    const logits = Float32Array.from({ length: vocabSize }, (_, id) => next.logits.get(id))
    worst = Math.max(worst, ...row.map((logit, id) => Math.abs(logit - logits[id])))
    spread = Math.max(spread, Math.max(...row) - Math.min(...row))
    agree += Number(row.indexOf(Math.max(...row)) === logits.indexOf(Math.max(...logits)))
  })
  await context.dispose()
  const { dtype } = await (await import('olmo2')).inspect(file)
  const share = worst / spread
  const same = `the likeliest token is the same ${agree} times of ${POSITIONS}`
  const what = `${dtype}: logits differ by ${worst.toExponential(1)} of ${spread.toFixed(1)}; ${same}`
  report(file, share < (MOST[dtype] ?? MOST.other), what)
}

function report(file, good, what) {
  console.log(`${good ? 'good' : 'BAD '} ${file.replace(`${dirname(file)}/`, '')}: ${what}`)
  if (!good) failures += 1
}
