import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * A program that is called as Python is, and does as torch's programs would: it says what it has, writes
 * what shall be a checkpoint, and prints the steps of a run.
 *
 * @param behaviour `ok`, or how it fails
 */
export async function fakePython(
  folder: string,
  behaviour: 'ok' | 'fails' | 'waits' | 'bare' = 'ok',
): Promise<string> {
  const path = join(folder, `python-${behaviour}.mjs`)
  await writeFile(path, `#!${process.execPath}\nconst behaviour = '${behaviour}'\n${PROGRAM}`)
  await chmod(path, 0o755)
  return path
}

const PROGRAM = `
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const args = process.argv.slice(2)
const names = ['torch', 'ai2-olmo-core', 'ai2-olmo', 'transformers', 'safetensors', 'numpy', 'accelerate']
const say = (event) => console.log('@olmo2 ' + JSON.stringify(event))

if (args[1] === 'probe') {
  const packages = Object.fromEntries(names.map((name) => [name, behaviour === 'bare' ? null : '3.0.0']))
  const torch = behaviour === 'bare' ? null : { cuda: null, devices: 0, gloo: true }
  console.log(JSON.stringify({ python: '3.11.2', executable: process.argv[1], packages, torch }))
} else if (args[1] === 'write') {
  if (behaviour === 'bare') {
    console.error("Traceback:\\nModuleNotFoundError: No module named 'torch'")
    process.exit(1)
  }
  mkdirSync(args[4], { recursive: true })
  writeFileSync(join(args[4], '.metadata'), readFileSync(args[3]))
  console.log('{"done": 1, "total": 1}')
} else {
  const run = JSON.parse(readFileSync(args.at(-1), 'utf8'))
  console.error('a warning of torch \\u001b[31m in red')
  const steps = run.steps ?? 4
  say({ kind: 'start', step: 0, steps })
  const step = (number) => say({ kind: 'step', step: number, steps, tokens: number * 64, loss: 4 / number,
    z_loss: 0, learning_rate: 0.001, grad_norm: 1, tokens_per_second: 500 })
  const save = (number) => {
    const path = join(run.save_folder, 'step' + number)
    mkdirSync(join(path, 'model_and_optim'), { recursive: true })
    writeFileSync(join(path, 'model_and_optim/.metadata'), '')
    say({ kind: 'checkpoint', step: number, path })
  }
  if (behaviour === 'waits') {
    step(1)
    process.on('SIGINT', () => {
      save(1)
      process.exit(1)
    })
    setInterval(() => {}, 1000)
  } else {
    for (let number = 1; number <= steps; number += 1) {
      step(number)
      console.log('[step=' + number + '/' + steps + ',epoch=1]\\n    train/CE loss=9.0')
    }
    if (behaviour === 'fails') {
      console.error('RuntimeError: out of something')
      process.exit(7)
    }
    save(steps)
  }
}
`
