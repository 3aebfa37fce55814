// A process that pulls, for tests that need several or that kill one. Options come as JSON in the
// first argument; it says at each change of state what happens, and in the end what it got.
import { type PullOptions, pull } from '../../src/hub/pull.js'

const { id, ...options }: PullOptions & { id: string } = JSON.parse(process.argv[2] ?? '{}')

try {
  const model = await pull(id, {
    ...options,
    onProgress: ({ current }) => process.send?.({ progress: current }),
  })
  process.send?.({ model })
} catch (error) {
  const { code, message } = error as Error & { code?: string }
  process.send?.({ error: { code, message } })
}
process.disconnect?.()
