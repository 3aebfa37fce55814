// Servers under test, each a process of its own that speaks OpenAI's API on loopback.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

/** What a server is started with. */
export interface ServerOptions {
  /** The GGUF file. */
  file: string
  threads: number
  /** Requests at once. */
  clients: number
  /** Tokens that each of them may have, prompt and answer together. */
  context: number
}

/** How a server is started, and when it is ready. */
export interface ServerKind {
  name: string
  command: string
  args(options: ServerOptions, port: number): string[]
  /** What its requests say so that no answer of so many tokens ends before. */
  toTheEnd(tokens: number): object
}

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

export const olmo2Server: ServerKind = {
  name: 'olmo2',
  command: process.execPath,
  args: ({ file, threads, clients, context }, port) => [
    ...[here('../cli/main.js'), 'serve', `bench=${file}`, '--port', String(port)],
    ...['--threads', String(threads), '--cache-tokens', String(clients * context)],
  ],
  toTheEnd: (tokens) => ({ min_tokens: tokens }),
}

export const nodeLlamaCpp: ServerKind = {
  name: 'node-llama-cpp',
  command: process.execPath,
  args: ({ file, threads, clients, context }) => [
    ...[here('engines/llama_http.js'), file, String(threads), String(clients), String(context)],
  ],
  // It asks for no end at all.
  toTheEnd: () => ({}),
}

/** llama.cpp's own, of which this is the binary. */
export function llamaServer(command: string): ServerKind {
  return {
    name: 'llama-server',
    command,
    args: ({ file, threads, clients, context }, port) => [
      ...['--model', file, '--port', String(port), '--parallel', String(clients)],
      ...['--ctx-size', String(clients * context), '--threads', String(threads), '--no-ui'],
    ],
    toTheEnd: () => ({ ignore_eos: true }),
  }
}

const running = new Set<ChildProcess>()
// One that is stopped would outlive this process.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A server that runs; between its turns it is stopped, so that nothing of it runs while another is measured. */
export class ServerProcess {
  readonly kind: ServerKind
  readonly url: string
  readonly #child: ChildProcess

  private constructor(kind: ServerKind, url: string, child: ChildProcess) {
    this.kind = kind
    this.url = url
    this.#child = child
  }

  static async start(kind: ServerKind, options: ServerOptions): Promise<ServerProcess> {
    const port = await freePort()
    const child = spawn(kind.command, kind.args(options, port), {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.add(child)
    const ended = once(child, 'exit').then(([status]) => {
      running.delete(child)
      throw new Error(`${kind.name} ended with status ${status} before it listened: ${said}`)
    })
    let said = ''
    const ready = new Promise<string>((resolve) => {
      for (const stream of [child.stdout, child.stderr]) {
        stream?.on('data', (chunk: Buffer) => {
          said = (said + chunk.toString()).slice(-10_000)
          const [url] = /(?<=listening on )http:\/\/[\d.:]+/.exec(said) ?? []
          if (url) resolve(url)
        })
      }
    })
    const url = await Promise.race([ready, ended])
    ended.catch(() => {})
    return new ServerProcess(kind, url, child)
  }

  /** Lets it run for as long as the work takes. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#child.kill('SIGCONT')
    try {
      return await work()
    } finally {
      this.#child.kill('SIGSTOP')
    }
  }

  async end(): Promise<void> {
    if (!running.has(this.#child)) return
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGCONT')
    this.#child.kill('SIGTERM')
    await exit
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
