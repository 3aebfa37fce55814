import { dirname, join, normalize } from 'node:path/posix'

import { codeOf, lineAt, pathsOf, withoutTests } from './rust.js'

/** A source file: its path from the project's root, and what is in it. */
export interface Source {
  path: string
  text: string
}

/** The layers of one tree, as ARCHITECTURE.md shows them: what stands lower may not use what is above. */
export interface Layers {
  /** The folder, such as `src`. */
  root: string
  /** Its files and folders from the highest layer to the lowest. Those of one layer don't use each other. */
  rows: string[][]
}

/** One use of another file of the same tree. */
interface Use {
  path: string
  line: number
  /** Below the tree's root, without the extension. */
  from: string
  to: string
}

/** The tables of layers in ARCHITECTURE.md: each under a heading that is the tree's folder. */
export function layersIn(architecture: string): Layers[] {
  const sections = architecture.matchAll(/^### Layers of `([^`]+)`\n(.*?)(?=^#|$(?![\s\S]))/gms)
  return [...sections].map(([, root = '', text = '']) => {
    const rows = [...text.matchAll(/^\| (`[^|]*) \|/gm)].map(([, cell = '']) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, unit = '']) => unit),
    )
    return { root, rows }
  })
}

/** Uses of Rust and TypeScript files among each other, in one tree. */
function usesIn(root: string, sources: readonly Source[]): Use[] {
  const below = sources.filter(({ path }) => path.startsWith(`${root}/`))
  return below.flatMap((source) =>
    source.path.endsWith('.rs') ? rustUses(root, source) : typescriptUses(root, source),
  )
}

function rustUses(root: string, { path, text }: Source): Use[] {
  const inside = path.slice(root.length + 1).replace(/\.rs$/, '')
  const from = inside.replace(/\/mod$/, '')
  const module = from === 'lib' ? [] : from.split('/')
  const code = codeOf(withoutTests(text))
  return pathsOf(code, module)
    .filter((use) => use.path.length > 0)
    .map((use) => ({ path, line: use.line, from, to: use.path.join('/') }))
}

function typescriptUses(root: string, { path, text }: Source): Use[] {
  const from = path.slice(root.length + 1).replace(/\.ts$/, '')
  return importsOf({ path, text })
    .filter(({ target }) => target.startsWith(`${root}/`))
    .map(({ line, target }) => ({ path, line, from, to: target.slice(root.length + 1) }))
}

/** What a TypeScript file imports of this project, without extensions, each with its line. */
export function importsOf({ path, text }: Source): { line: number; target: string }[] {
  const specifiers = text.matchAll(
    /^(?:import|export|\}) ?[^'\n]*'(\.[^']*)'|\bimport\('(\.[^']*)'\)/gm,
  )
  return [...specifiers].map((match) => {
    const target = normalize(join(dirname(path), match[1] ?? match[2] ?? ''))
    return { line: lineAt(text, match.index), target: target.replace(/\.[cm]?js$/, '') }
  })
}

/** The row of a file or folder, and its name there; undefined if the table doesn't have it. */
function placeOf({ rows }: Layers, file: string): { row: number; unit: string } | undefined {
  let place: { row: number; unit: string } | undefined
  for (const [row, units] of rows.entries()) {
    for (const unit of units) {
      const isIn = file === unit || file.startsWith(`${unit}/`)
      if (isIn && unit.length > (place?.unit.length ?? 0)) place = { row, unit }
    }
  }
  return place
}

/** Uses that go up, and files that have no layer. */
export function checkLayers(layers: Layers, sources: readonly Source[]): string[] {
  const problems: string[] = []
  for (const { path, line, from, to } of usesIn(layers.root, sources)) {
    if (isTop(from)) continue
    const [user, used] = [placeOf(layers, from), placeOf(layers, to)]
    if (user === undefined) {
      problems.push(`${path}:${line}: the table of ${layers.root} has no layer for it`)
    } else if (used !== undefined && user.unit !== used.unit && used.row <= user.row) {
      const how = used.row === user.row ? 'beside it' : 'above it'
      problems.push(`${path}:${line}: ${user.unit} uses ${used.unit}, which stands ${how}`)
    }
  }
  return [...new Set(problems)]
}

/** What only gathers the others: the crate's root, and the package's. */
function isTop(file: string): boolean {
  return file === 'lib' || file === 'index'
}

/** Circles of folders at the root of a tree, and circles of TypeScript files. */
export function checkCircles(root: string, sources: readonly Source[]): string[] {
  const uses = usesIn(root, sources).filter(({ from }) => !isTop(from))
  const folder = (file: string) => file.split('/')[0] ?? file
  const folders = circles(
    uses.map((use) => ({ ...use, from: folder(use.from), to: folder(use.to) })),
  )
  const files = circles(uses.filter(({ path }) => path.endsWith('.ts')))
  return [
    ...folders.map((circle) => `${root}: a circle of folders: ${circle}`),
    ...files.map((circle) => `${root}: a circle of files: ${circle}`),
  ]
}

/** A circle through each pair of nodes that reach each other. */
function circles(edges: readonly Use[]): string[] {
  const next = new Map<string, Map<string, Use>>()
  for (const edge of edges) {
    if (edge.from === edge.to) continue
    const found = next.get(edge.from) ?? new Map()
    if (!found.has(edge.to)) found.set(edge.to, edge)
    next.set(edge.from, found)
  }
  const found: string[] = []
  for (const [start, out] of next) {
    for (const [second, edge] of out) {
      const back = way(next, second, start)
      // Each circle once: from its first name on.
      if (back && [second, ...back].every((name) => start <= name)) {
        found.push(`${[start, second, ...back].join(' -> ')} (${edge.path}:${edge.line})`)
      }
    }
  }
  return found
}

/** The shortest way from one node to another, without the first. */
function way(
  next: ReadonlyMap<string, ReadonlyMap<string, unknown>>,
  from: string,
  to: string,
): string[] | undefined {
  const before = new Map<string, string | undefined>([[from, undefined]])
  for (const node of before.keys()) {
    if (node === to) {
      const back: string[] = []
      for (let at: string | undefined = to; at !== undefined && at !== from; at = before.get(at))
        back.unshift(at)
      return back
    }
    for (const after of next.get(node)?.keys() ?? [])
      if (!before.has(after)) before.set(after, node)
  }
  return undefined
}

/** Imports of the command that go past what the package exports. */
export function checkEntryPoints(entries: readonly string[], sources: readonly Source[]): string[] {
  const command = sources.filter(({ path }) => path.startsWith('cli/') && path.endsWith('.ts'))
  return command.flatMap((source) =>
    importsOf(source)
      .filter(({ target }) => !target.startsWith('cli/') && !entries.includes(target))
      .map(
        ({ line, target }) => `${source.path}:${line}: ${target} is no entry point of the package`,
      ),
  )
}
