import { createInterface } from 'node:readline'

import { peakRss } from '../../src/bench/measure.js'
import type { Engine, Reply, Request } from '../protocol.js'

/** Answers requests on standard input until it ends. */
export async function serve(engine: Engine): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const reply = await answer(engine, JSON.parse(line))
    process.stdout.write(`${JSON.stringify(reply)}\n`)
  }
  process.exit(0)
}

async function answer(engine: Engine, request: Request): Promise<Reply> {
  try {
    return { value: await measured(engine, request) }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

function measured(engine: Engine, request: Request): number | Promise<number> {
  switch (request.do) {
    case 'load':
      return engine.load(request)
    case 'prefill':
      return engine.prefill(request)
    case 'decode':
      return engine.decode(request)
    case 'peakRss':
      return peakRss()
  }
}
