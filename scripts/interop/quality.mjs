// What each type of weights changes, here and in llama.cpp: the KL divergence from f32, on the same GGUF files
// and against the same reference file.
//
//     npm run build
//     LLAMA_PERPLEXITY=…/llama-perplexity node scripts/interop/quality.mjs MODEL TEXT
//
// The program is one of llama.cpp's own, built from its sources.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { execa } from 'execa'

const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const rival = process.env.LLAMA_PERPLEXITY
const [model, text] = process.argv.slice(2)
if (!rival || !text) throw new Error('LLAMA_PERPLEXITY, a model and a text are needed')

/** Types that both have, and how much larger than llama.cpp's a divergence may be: the errors' size. */
const TYPES = ['q8_0', 'q6_k', 'q5_k_m', 'q5_0', 'q4_k_m', 'q4_0']
const MOST = 1.02

const olmo2 = (...args) => execa(process.execPath, [command, ...args], { stderr: 'ignore' })
const folder = await mkdtemp(join(tmpdir(), 'olmo2-quality-'))
try {
  const base = join(folder, 'base')
  await olmo2('perplexity', model, text, '--dtype', 'f32', '--save-base', base)
  console.log('| type | here | llama.cpp | ratio |\n|---|---:|---:|---:|')
  for (const type of TYPES) {
    const file = join(folder, `${type}.gguf`)
    await olmo2('quantize', model, file, '--type', type)
    const [ours, theirs] = [await here(file, base), await there(file, base)]
    const show = ({ value, error }) => `${value.toFixed(6)} ± ${error.toFixed(6)}`
    const ratio = ours.value / theirs.value
    console.log(`| ${type} | ${show(ours)} | ${show(theirs)} | ${ratio.toFixed(2)} |`)
    if (ratio > MOST) process.exitCode = 1
    await rm(file)
  }
} finally {
  await rm(folder, { recursive: true })
}

async function here(file, base) {
  const { stdout } = await olmo2('perplexity', file, text, '--kl-base', base, '--json')
  return JSON.parse(stdout).divergence.kl
}

async function there(file, base) {
  const args = ['-m', file, '-f', text, '--kl-divergence', '--kl-divergence-base', base]
  const { all } = await execa(rival, [...args, '-t', '2'], { all: true })
  const found = /Mean +KLD: +(\S+) ± +(\S+)/.exec(all)
  if (!found) throw new Error(`no divergence in what llama.cpp said: ${all.slice(-500)}`)
  return { value: Number(found[1]), error: Number(found[2]) }
}
