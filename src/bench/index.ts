/**
 * `olmo2/bench`: how fast a model is on this machine.
 *
 * @packageDocumentation
 */

export { type BenchOptions, type BenchReport, type BenchResult, bench } from './bench.js'
export type { Unit } from './metrics.js'
export type { Spread } from './spread.js'
