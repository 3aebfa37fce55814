/**
 * `olmo2/convert`: models from one form into another.
 *
 * @packageDocumentation
 */

export { type Converted, type ConvertOptions, type ConvertProgress, convert } from './convert.js'
export type { Form } from './forms.js'
