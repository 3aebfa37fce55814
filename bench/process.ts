import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import type { Reply, Request } from './protocol.js'
import type { RivalGpu } from './rival.js'

/** An engine that can be measured. */
export interface Contender {
  name: string
  command: string
  args: string[]
}

const program = (name: string) => fileURLToPath(new URL(`engines/${name}.js`, import.meta.url))

/** This engine on a device. */
export function ours(device: string): Contender {
  return { name: 'olmo2', command: process.execPath, args: [program('olmo2'), device] }
}

/** node-llama-cpp on the CPU, or on a GPU over an interface. */
export function llama(gpu: RivalGpu | undefined): Contender {
  return { name: 'llama.cpp', command: process.execPath, args: [program('llama'), gpu ?? 'cpu'] }
}

export function torch(python: string): Contender {
  // Python is not compiled: the file is in the sources.
  const file = fileURLToPath(new URL('../../bench/engines/torch_engine.py', import.meta.url))
  return { name: 'torch', command: python, args: [file] }
}

const running = new Set<ChildProcess>()
// One that is stopped would outlive this process.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/**
 * A contender in a process of its own, so that its memory and its load time are its own. Between
 * requests it is stopped, so that nothing of it runs while another is measured.
 */
export class EngineProcess {
  readonly #name: string
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor({ name, command, args }: Contender) {
    this.#name = name
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    running.add(this.#child)
    this.#child.on('exit', () => running.delete(this.#child))
    // What could not be started ends its output, which is where it is noticed.
    this.#child.on('error', () => running.delete(this.#child))
    this.#child.stdin?.on('error', () => {})
    const { stdout } = this.#child
    if (!stdout) throw new Error('a child without output')
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
  }

  async ask(request: Request): Promise<number> {
    this.#signal('SIGCONT')
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`)
    for (;;) {
      const { value: line, done } = await this.#lines.next()
      if (done) throw new Error(`${this.#name} ended while it had to ${request.do}`)
      // An engine's library may print, too.
      if (!line.startsWith('{')) continue
      const reply: Reply = JSON.parse(line)
      if ('error' in reply) throw new Error(`${this.#name} cannot ${request.do}: ${reply.error}`)
      this.#signal('SIGSTOP')
      return reply.value
    }
  }

  async end(): Promise<void> {
    this.#signal('SIGCONT')
    this.#child.stdin?.end()
    if (running.has(this.#child)) await once(this.#child, 'exit')
  }

  #signal(signal: NodeJS.Signals): void {
    if (process.platform !== 'win32') this.#child.kill(signal)
  }
}
