/**
 * `olmo2/convert`: conversion of models between forms.
 *
 * @packageDocumentation
 */

export { type Converted, type ConvertOptions, type ConvertProgress, convert } from './convert.js'
export type { Form } from './forms.js'
