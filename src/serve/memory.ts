import { inspect, type MemoryPlan } from '../inspect.js'
import type { LoadOptions } from '../options.js'

/** Bytes that a model takes. */
export function bytesOf({ weights, cachePerToken, cacheTokens, scratch }: MemoryPlan): number {
  return weights + cachePerToken * cacheTokens + scratch
}

/** Bytes that a model would take, and how many this process could still have. */
export async function memoryNeed(
  path: string,
  load: LoadOptions,
): Promise<{ need: number; have: number }> {
  const { memory, dtype, availableMemory } = await inspect(path)
  const plan = memory.find((one) => one.dtype === (load.dtype ?? dtype)) ?? memory[0]
  if (plan === undefined) return { need: 0, have: availableMemory }
  const cacheTokens = load.cacheTokens ?? plan.cacheTokens
  return { need: bytesOf({ ...plan, cacheTokens }), have: availableMemory }
}
