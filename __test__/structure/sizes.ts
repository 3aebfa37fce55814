import type { Source } from './layers.js'
import { codeOf, functionsOf } from './rust.js'

/** What a reader can hold in mind: lines of a file and of a function, and parameters. */
export const limits = { file: 400, function: 60, parameters: 6 }

/** Files that are too long. */
export function checkFiles(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, text }) => {
    const lines = text.split('\n').length - 1
    return lines > limits.file ? [`${path}:${limits.file}: the file has ${lines} lines`] : []
  })
}

/** Rust functions that are too long or take too much. */
export function checkFunctions(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, text }) =>
    functionsOf(codeOf(text)).flatMap(({ name, line, lines, parameters }) => [
      ...(lines > limits.function ? [`${path}:${line}: ${name} has ${lines} lines`] : []),
      ...(parameters > limits.parameters
        ? [`${path}:${line}: ${name} has ${parameters} parameters`]
        : []),
    ]),
  )
}
