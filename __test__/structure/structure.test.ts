import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test from 'ava'
import { execa } from 'execa'

import { generationOptions } from '../../src/index.js'
import { root, temporaryFolder } from '../support.js'
import {
  checkCircles,
  checkEntryPoints,
  checkLayers,
  type Layers,
  layersIn,
  type Source,
} from './layers.js'
import { codeOf, functionsOf, pathsOf, stringsOf, withoutTests } from './rust.js'
import { checkFiles, checkFunctions, limits } from './sizes.js'
import { checkWords } from './words.js'

const read = (path: string) => readFileSync(join(root, path), 'utf8')

/** Folders whose files are not this project's sources. */
const FOREIGN = new Set(['node_modules', 'target', 'dist', 'golden', '.venv'])

function sourcesIn(folder: string): Source[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return FOREIGN.has(entry.name) ? [] : sourcesIn(path)
    return /\.(?:rs|[cm]?ts|mjs|py)$/.test(path) ? [{ path, text: read(path) }] : []
  })
}

const sources = ['crates', 'src', 'cli', 'bench', '__test__', 'scripts'].flatMap(sourcesIn)
const rust = sources.filter(({ path }) => path.endsWith('.rs'))
const core = rust.filter(({ path }) => path.startsWith('crates/olmo-core/src/'))
const tables = layersIn(read('ARCHITECTURE.md'))

/** The package's entry points, as package.json lists them, by their sources. */
const { exports } = JSON.parse(read('package.json'))
const entries = Object.values<{ default: string } | string>(exports).flatMap((entry) =>
  typeof entry === 'string' ? [] : [entry.default.replace(/^\.\/dist\/(.*)\.js$/, '$1')],
)

test('the sources are found, and a table for each tree', (t) => {
  t.true(sources.length > 350)
  t.true(entries.includes('src/index') && entries.length > 5)
  t.deepEqual(
    tables.map(({ root }) => root),
    [
      'src',
      'crates/olmo-node/src',
      'crates/olmo-eval/src',
      'crates/olmo-finetune/src',
      'crates/olmo-core/src',
    ],
  )
})

for (const layers of tables) {
  test(`${layers.root}: nothing uses what stands above it`, (t) => {
    t.deepEqual(checkLayers(layers, sources), [])
  })

  test(`${layers.root}: no circles`, (t) => {
    t.deepEqual(checkCircles(layers.root, sources), [])
  })

  test(`${layers.root}: the table has all that is there, and nothing else`, (t) => {
    const there = readdirSync(join(root, layers.root)).map((name) =>
      name.replace(/\.(?:rs|ts)$/, ''),
    )
    const listed = layers.rows.flat().filter((unit) => !unit.includes('/'))
    t.deepEqual(
      listed.toSorted(),
      there.filter((name) => name !== 'index' && name !== 'lib').toSorted(),
    )
  })
}

test('the command imports what the package exports', (t) => {
  t.deepEqual(checkEntryPoints(entries, sources), [])
})

const options = [
  ...Object.keys(generationOptions),
  'cacheDtype',
  'cacheTokens',
  'onProgress',
  'saveBase',
]

test('the core has no word of Node or of the command', (t) => {
  t.deepEqual(checkWords(options, core), [])
})

test('no file and no Rust function is too long or takes too much', (t) => {
  t.deepEqual([...checkFiles(sources), ...checkFunctions(rust)], [])
})

// Each rule, on sources that break it.

const layers: Layers = { root: 'tree', rows: [['top'], ['left', 'right'], ['low', 'low/high']] }
const file = (path: string, ...lines: string[]): Source => ({ path, text: `${lines.join('\n')}\n` })

test('a use that goes up is found in Rust, in whatever form', (t) => {
  const found = (...lines: string[]) => checkLayers(layers, [file('tree/low/deep.rs', ...lines)])
  const up = (line: number) => [`tree/low/deep.rs:${line}: low uses top, which stands above it`]
  t.deepEqual(found('//! Words', '', 'use crate::top::Thing;'), up(3))
  t.deepEqual(found('use crate::{', '    left_out,', '    top::{A, b::C},', '};'), up(3))
  t.deepEqual(found('fn f() -> crate::top::Thing {', '}'), up(1))
  t.deepEqual(found('use super::super::top::Thing;'), up(1))
  t.deepEqual(found('pub(crate) use crate::top;'), up(1))
  t.deepEqual(found('use crate::low::other;', 'use super::other;', 'use std::top::Thing;'), [])
  t.deepEqual(
    found('// use crate::top;', '/* crate::top /* */ crate::top */', 'let s = "crate::top";'),
    [],
  )
  t.deepEqual(found('#[cfg(test)]', 'mod tests {', '    use crate::top::Thing;', '}'), [])
  t.deepEqual(found('#[cfg(test)]', 'mod tests {', '}', 'use crate::top;'), up(4))
})

test('a use that goes up is found in TypeScript, in whatever form', (t) => {
  const found = (...lines: string[]) => checkLayers(layers, [file('tree/low/deep.ts', ...lines)])
  const up = (line: number) => [`tree/low/deep.ts:${line}: low uses top, which stands above it`]
  t.deepEqual(found("import { a } from 'node:fs'", "import { b } from '../top.js'"), up(2))
  t.deepEqual(found("import type { b } from '../top/inside.js'"), up(1))
  t.deepEqual(found('import {', '  a,', '  type b,', "} from '../top.js'"), up(4))
  t.deepEqual(found("export * from '../top.js'"), up(1))
  t.deepEqual(found("export { b } from '../top.js'"), up(1))
  t.deepEqual(found("const top = await import('../top.js')"), up(1))
  t.deepEqual(found("import { a } from './other.js'", "import { top } from 'top'"), [])
})

test('so is a use of what stands beside, and a file without a layer', (t) => {
  const beside = file('tree/left.ts', "import { a } from './right/inside.js'")
  t.deepEqual(checkLayers(layers, [beside]), [
    'tree/left.ts:1: left uses right, which stands beside it',
  ])
  const down = file('tree/right/inside.ts', "import { a } from '../low/deep.js'")
  t.deepEqual(checkLayers(layers, [down]), [])
  const lost = file('tree/lost.rs', 'use crate::low::a;')
  t.deepEqual(checkLayers(layers, [lost]), [
    'tree/lost.rs:1: the table of tree has no layer for it',
  ])
  const within = file('tree/low/deep.rs', 'use crate::low::high::a;')
  t.deepEqual(checkLayers(layers, [within]), [
    'tree/low/deep.rs:1: low uses low/high, which stands beside it',
  ])
})

test('circles of folders and of files are found', (t) => {
  const folders = [
    file('tree/a/one.rs', 'use crate::b::x;'),
    file('tree/b/two.rs', '', 'use crate::c::y;'),
    file('tree/c.rs', 'use crate::a::z;'),
  ]
  t.deepEqual(checkCircles('tree', folders), [
    'tree: a circle of folders: a -> b -> c -> a (tree/a/one.rs:1)',
  ])
  t.deepEqual(checkCircles('tree', folders.slice(0, 2)), [])
  const files = [
    file('tree/a/one.ts', "import { x } from './two.js'"),
    file('tree/a/two.ts', "import { y } from './one.js'"),
  ]
  t.deepEqual(checkCircles('tree', files), [
    'tree: a circle of files: a/one -> a/two -> a/one (tree/a/one.ts:1)',
  ])
})

test('an import of the command past the entry points is found', (t) => {
  const sources = [
    file('cli/main.ts', "import { a } from './ui/table.js'", "import { b } from '../src/index.js'"),
    file('cli/ui/table.ts', '', "import { c } from '../../src/hub/names.js'"),
    file('bench/main.ts', "import { c } from '../src/hub/names.js'"),
  ]
  t.deepEqual(checkEntryPoints(['src/index', 'src/hub/index'], sources), [
    'cli/ui/table.ts:2: src/hub/names is no entry point of the package',
  ])
})

test('words of Node and flags are found in the core, in comments and texts too', (t) => {
  const found = (...lines: string[]) => checkWords(['topP', 'seed'], [file('core.rs', ...lines)])
  t.deepEqual(found('', '// As JavaScript does'), ["core.rs:2: JavaScript is Node's word"])
  t.deepEqual(found('use napi::Env;'), ["core.rs:1: napi is Node's word"])
  t.deepEqual(found('let a = "set `topP` lower";'), ["core.rs:1: topP is Node's word"])
  t.deepEqual(found('', 'let a = "set --top-p lower";'), [
    'core.rs:2: "set --top-p lower" has a flag of the command',
  ])
  t.deepEqual(found('let a = r#"--top-p"#;'), ['core.rs:1: r#"--top-p"# has a flag of the command'])
  t.deepEqual(
    found('let seed = 1; // a node of the trie, as `llama-x --split`', 'let b = a - -c;'),
    [],
  )
  t.deepEqual(found('let a = "run `llama-gguf-split --merge` first";'), [])
  t.deepEqual(found('#[cfg(test)]', 'mod tests {', '    const A: &str = "topP";', '}'), [])
})

test('what is too long or takes too much is found in Rust', (t) => {
  const long = file('a.rs', ...new Array(limits.file + 1).fill(''))
  t.deepEqual(checkFiles([long, file('b.rs', ...new Array(limits.file).fill(''))]), [
    `a.rs:${limits.file}: the file has ${limits.file + 1} lines`,
  ])
  const body = (lines: number) => new Array(lines).fill('    call("}");')
  const functions = file(
    'c.rs',
    ...['fn fits() {', ...body(limits.function - 2), '}'],
    ...["fn long<'a, F: Fn(u8) -> char>(a: &'a F) -> char", 'where', '    F: Clone,', '{'],
    ...body(limits.function),
    ...["    let c = '}';", '}'],
  )
  t.deepEqual(checkFunctions([functions]), [
    `c.rs:${limits.function + 1}: long has ${limits.function + 6} lines`,
  ])
  const parameters = (list: string) => functionsOf(codeOf(`fn f(${list}) {}`))[0]?.parameters
  t.is(parameters(''), 0)
  t.is(parameters("&'a mut self"), 0)
  t.is(parameters('self: Box<Self>, a: u8,'), 1)
  t.is(
    parameters('(a, b): (u8, u8), c: &[Vec<(u8, u8)>; 2], d: impl Fn(u8, u8) -> u8, [e, f]: X'),
    4,
  )
  const many = file(
    'd.rs',
    'trait T {',
    '    fn f(&self, a: A, b: B, c: C, d: D, e: E, f: F, g: G);',
    '}',
  )
  t.deepEqual(checkFunctions([many]), ['d.rs:2: f has 7 parameters'])
})

test('the same is found in TypeScript', async (t) => {
  const folder = await temporaryFolder()
  const config = { ...JSON.parse(read('biome.json')), vcs: { enabled: false } }
  await writeFile(join(folder, 'biome.json'), JSON.stringify({ ...config, $schema: undefined }))
  await mkdir(join(folder, 'src'))
  const lint = async (code: string) => {
    await writeFile(join(folder, 'src/planted.ts'), code)
    const rules = ['noExcessiveLinesPerFunction', 'useMaxParams']
    const args = ['lint', ...rules.map((rule) => `--only=complexity/${rule}`)]
    const biome = join(root, 'node_modules/.bin/biome')
    const { all } = await execa(biome, args, { cwd: folder, all: true, reject: false })
    return rules.filter((rule) => all.includes(`lint/complexity/${rule}`))
  }
  const body = (lines: number) => new Array(lines).fill('  call()').join('\n')
  t.deepEqual(await lint(`function f() {\n${body(limits.function + 1)}\n}\n`), [
    'noExcessiveLinesPerFunction',
  ])
  const parameters = (count: number) =>
    new Array(count)
      .fill('a')
      .map((a, i) => `${a}${i}`)
      .join(', ')
  t.deepEqual(await lint(`function f(${parameters(limits.parameters + 1)}) {}\n`), ['useMaxParams'])
  t.deepEqual(await lint(`function f(${parameters(limits.parameters)}) {\n${body(50)}\n}\n`), [])
})

test('the scanner knows Rust', (t) => {
  const text =
    'let a = \'"\'; let b = "\\"{"; // {\nlet c = r##"}"#"##; let d: &\'a str = x; /* { /* */ { */'
  const code = codeOf(text)
  t.is(code.length, text.length)
  t.false(/[{}"]/.test(code))
  t.true(code.includes("d: &'a str = x;"))
  t.deepEqual(
    stringsOf(text).map(({ line, string }) => [line, string]),
    [
      [1, '"\\"{"'],
      [2, 'r##"}"#"##'],
    ],
  )
  t.is(withoutTests('a\n#[cfg(test)]\nmod tests {\n  "}"\n}\nb').replaceAll(/\s+/g, ' '), 'a b')
  t.deepEqual(
    pathsOf('use super::{a::{B, c}, d};', ['x', 'y']).map(({ path }) => path.join('::')),
    ['x::a::B', 'x::a::c', 'x::d'],
  )
})
