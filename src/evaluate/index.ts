/**
 * `olmo2/evaluate`: how well models know a text, beside each other and beside n-gram models.
 *
 * @packageDocumentation
 */

export { type ComparedType, type CompareOptions, comparePerplexity } from './compare.js'
export { type HeldOut, type HeldOutOptions, isPrepared, scoreHeldOut } from './held-out.js'
