/** A piece of an error's message; options have the names of this library, as in `topP`. */
export type Part =
  | { kind: 'words'; words: string }
  /** The option that the sentence is about. */
  | { kind: 'subject'; option: string }
  | { kind: 'option'; option: string }
  /** An option with what it should be set to; a flag as `true` or `false`. */
  | { kind: 'setting'; option: string; value: string }

/**
 * How a surface, such as a command, writes an option, with the value it should be set to if there is
 * one (of a flag `true` or `false`). Undefined: as this library does.
 */
export type OptionNaming = (option: string, value?: string) => string | undefined

/** The text of a message in the names of a surface; by default in those of this library. */
export function wording(parts: readonly Part[], naming: OptionNaming = () => undefined): string {
  const write = (part: Part) => {
    switch (part.kind) {
      case 'words':
        return part.words
      case 'subject':
        return naming(part.option) ?? `\`${part.option}\``
      case 'option':
        return naming(part.option) ?? part.option
      case 'setting': {
        const { option, value } = part
        return naming(option, value) ?? (value === 'true' ? option : `${option} ${value}`)
      }
    }
  }
  return parts.map(write).join('')
}
