/** A Rust file without what is no code: comments, and the insides of strings, are spaces. */
export function codeOf(text: string): string {
  const blank = (part: string) => part.replaceAll(/[^\n]/g, ' ')
  let out = ''
  let at = 0
  while (at < text.length) {
    const end = endOfNonCode(text, at)
    if (end === undefined) {
      out += text[at]
      at += 1
      continue
    }
    out += blank(text.slice(at, end))
    at = end
  }
  return out
}

/** Where the comment, string or character that begins here ends; undefined if none does. */
function endOfNonCode(text: string, at: number): number | undefined {
  const after = (mark: string, from: number) => {
    const found = text.indexOf(mark, from)
    return found < 0 ? text.length : found + mark.length
  }
  const rest = text.slice(at, at + 2)
  if (rest === '//') return after('\n', at) - 1 || text.length
  if (rest === '/*') return endOfBlockComment(text, at)
  const isStart = !/\w/.test(text[at - 1] ?? '')
  const raw = isStart ? /^b?r(#*)"/.exec(text.slice(at, at + 12)) : null
  if (raw) return after(`"${raw[1]}`, at + raw[0].length)
  if (text[at] === '"') return endOfString(text, at)
  const char = /^'(?:\\(?:u\{[^}]*\}|x..|.)|[^\\'])'/u.exec(text.slice(at, at + 14))
  return char ? at + char[0].length : undefined
}

function endOfString(text: string, at: number): number {
  let end = at + 1
  while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1
  return end + 1
}

function endOfBlockComment(text: string, at: number): number {
  let depth = 0
  let end = at
  do {
    if (text.startsWith('/*', end)) depth += 1
    else if (text.startsWith('*/', end)) depth -= 1
    else {
      end += 1
      continue
    }
    end += 2
  } while (depth > 0 && end < text.length)
  return end
}

/** The insides of the strings of a file, each with its line. */
export function stringsOf(text: string): { line: number; string: string }[] {
  const found: { line: number; string: string }[] = []
  let at = 0
  while (at < text.length) {
    const end = endOfNonCode(text, at)
    if (end !== undefined && !text.startsWith('/', at) && text[at] !== "'")
      found.push({ line: lineAt(text, at), string: text.slice(at, end) })
    at = end ?? at + 1
  }
  return found
}

export function lineAt(text: string, at: number): number {
  return text.slice(0, at).split('\n').length
}

/** Where a bracket that stands at a place is closed. */
export function closing(code: string, at: number): number {
  const pairs: Record<string, string> = { '(': ')', '[': ']', '{': '}' }
  const stack: string[] = []
  for (let place = at; place < code.length; place += 1) {
    const char = code[place] ?? ''
    const close = pairs[char]
    if (close) stack.push(close)
    else if (char === stack.at(-1)) stack.pop()
    if (stack.length === 0) return place
  }
  return code.length
}

/** A Rust text without its modules of unit tests, which may use and name what they like. */
export function withoutTests(text: string): string {
  const code = codeOf(text)
  let out = text
  const modules = code.matchAll(/#\[cfg\((?:all\()?test\b[^\]]*\]\s*(?:pub )?mod \w+\s*\{/g)
  for (const { index, 0: head } of modules) {
    const end = closing(code, index + head.length - 1) + 1
    out = out.slice(0, index) + out.slice(index, end).replaceAll(/[^\n]/g, ' ') + out.slice(end)
  }
  return out
}

/** The modules of its own crate that a file names, as `crate::` and `super::` paths, each with its line. */
export function pathsOf(
  code: string,
  module: readonly string[],
): { line: number; path: string[] }[] {
  const found: { line: number; path: string[] }[] = []
  const add = (at: number, path: string[]) => found.push({ line: lineAt(code, at), path })
  for (const match of code.matchAll(/\b(?:crate|(?:super::)*super)(?:::\w+)*(?:::\{)?/g)) {
    const [text] = match
    const parts = text.replace(/::\{$/, '').split('::')
    const ups = parts.filter((part) => part === 'super').length
    const base = parts[0] === 'crate' ? [] : module.slice(0, module.length - ups)
    const path = [...base, ...parts.filter((part) => part !== 'crate' && part !== 'super')]
    const end = match.index + text.length
    if (!text.endsWith('{')) add(match.index, path)
    else for (const inner of branches(code, end - 1)) add(inner.at, [...path, ...inner.path])
  }
  return found
}

/** The paths inside the braces of a `use`, with braces in them too. */
function branches(code: string, open: number): { at: number; path: string[] }[] {
  const end = closing(code, open)
  const found: { at: number; path: string[] }[] = []
  let at = open + 1
  while (at < end) {
    const match = /[\w:]+\{?/y
    match.lastIndex = at
    const [text] = match.exec(code) ?? []
    if (text === undefined) {
      at += 1
      continue
    }
    const path = text.replace(/\{$/, '').split('::').filter(Boolean)
    if (text.endsWith('{')) {
      const inner = at + text.length - 1
      for (const one of branches(code, inner))
        found.push({ at: one.at, path: [...path, ...one.path] })
      at = closing(code, inner) + 1
    } else {
      found.push({ at, path })
      at += text.length
    }
  }
  return found
}

/** The functions of a file with the lines they take and how many parameters they have beside `self`. */
export function functionsOf(
  code: string,
): { name: string; line: number; lines: number; parameters: number }[] {
  return [...code.matchAll(/\bfn (\w+)/g)].flatMap((match) => {
    const name = match[1] ?? ''
    const open = code.indexOf('(', afterGenerics(code, match.index + match[0].length))
    const close = closing(code, open)
    const parameters = split(code.slice(open + 1, close)).filter((one) => !/\bself$/.test(one))
    const body = /[{;]/g
    body.lastIndex = close
    const start = body.exec(code)?.index ?? close
    const end = code[start] === '{' ? closing(code, start) : start
    const line = lineAt(code, match.index)
    return [{ name, line, lines: lineAt(code, end) - line + 1, parameters: parameters.length }]
  })
}

function afterGenerics(code: string, at: number): number {
  if (code[at] !== '<') return at
  let depth = 0
  for (let place = at; place < code.length; place += 1) {
    if (code[place] === '<') depth += 1
    if (code[place] === '>' && code[place - 1] !== '-') depth -= 1
    if (depth === 0) return place
  }
  return at
}

/** Parameters, cut at the commas that are inside no brackets. Patterns keep only what is before `:`. */
function split(list: string): string[] {
  const parts = ['']
  let depth = 0
  for (const [index, char] of [...list].entries()) {
    if ('([{<'.includes(char)) depth += 1
    if (')]}'.includes(char) || (char === '>' && list[index - 1] !== '-')) depth -= 1
    if (char === ',' && depth === 0) parts.push('')
    else parts[parts.length - 1] += char
  }
  return parts.map((part) => part.split(/:(?!:)/)[0]?.trim() ?? '').filter((part) => part !== '')
}
