import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import test, { type ExecutionContext } from 'ava'
import { execa } from 'execa'
import { ResourceError } from 'olmo2'

import { loadAddon } from '../src/engine/addon.js'
import { binaryKind } from '../src/engine/binary-kind.js'
import { type Host, targetOf, targets, thisHost } from '../src/engine/host.js'
import { packageVersion as version } from '../src/package.js'
import { root, temporaryFolder } from './support.js'

const linux: Host = { platform: 'linux', arch: 'x64', libc: 'glibc', glibc: '2.36' }
const here = thisHost()
const target = targetOf(here)
const built = join(root, `native/olmo2.${target}.node`)

/** What is installed of a platform's package: its version, and its binary. */
interface Installed {
  version?: string
  binary?: string | Buffer
}

/** A folder with olmo2 in `node_modules`, and platforms' packages beside it. */
async function installation(packages: Record<string, Installed> = {}): Promise<string> {
  const modules = join(await temporaryFolder(), 'node_modules')
  const olmo2 = join(modules, 'olmo2')
  await mkdir(olmo2, { recursive: true })
  await writeFile(join(olmo2, 'package.json'), JSON.stringify({ name: 'olmo2', version }))
  for (const [target, { binary, ...rest }] of Object.entries(packages)) {
    const name = `olmo2-${target}`
    const folder = join(modules, name)
    await mkdir(folder)
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name, version, ...rest }))
    if (binary !== undefined) await writeFile(join(folder, `olmo2.${target}.node`), binary)
  }
  return olmo2
}

/** What loading fails with. */
function refusal(t: ExecutionContext, root: string, host: Host, env = {}): ResourceError {
  const error = t.throws(() => loadAddon({ root, version, host, env }), {
    instanceOf: ResourceError,
    code: 'NO_BINARY',
  })
  return error as ResourceError
}

test('a package that npm has left out is named, with what leaves it out', async (t) => {
  const { message } = refusal(t, await installation(), linux)
  t.regex(message, /^olmo2-linux-x64-gnu, .* for linux on x64 with glibc 2\.36, is not installed/)
  t.regex(message, /--omit=optional or --no-optional/)
  t.regex(message, /remove node_modules and package-lock\.json and run `npm install` again$/)
})

const elsewhere: [string, Host, string][] = [
  ['another system', linux, 'darwin-arm64'],
  ['another kind of CPU', { ...linux, arch: 'arm64' }, 'linux-x64-gnu'],
  ['musl', linux, 'linux-x64-musl'],
  ['glibc', { platform: 'linux', arch: 'x64', libc: 'musl' }, 'linux-x64-gnu'],
]
for (const [name, host, other] of elsewhere) {
  test(`node_modules that was installed for ${name} is told from one without the package`, async (t) => {
    const { message } = refusal(t, await installation({ [other]: {} }), host)
    t.true(message.startsWith(`olmo2-${targetOf(host)}, `), message)
    t.true(
      message.includes(`but olmo2-${other}: node_modules was made for another platform`),
      message,
    )
  })
}

test('a platform without a package is told which have one', async (t) => {
  const host = { platform: 'freebsd', arch: 'x64' }
  const { message } = refusal(t, await installation(), host)
  t.regex(message, /no binary for freebsd on x64, only for darwin-arm64, .*win32-x64-msvc;.*clone/)
})

test('a package of another version is refused before it is loaded', async (t) => {
  const { message } = refusal(t, await installation({ [target]: { version: '0.0.9' } }), here)
  t.true(message.includes(`olmo2-${target} is of version 0.0.9, and olmo2 of ${version}`), message)
})

test('a package without its binary is told from a binary that does not load', async (t) => {
  const { message } = refusal(t, await installation({ [target]: {} }), here)
  t.regex(message, /is installed without its binary, .*\.node is missing: remove node_modules/)
})

test('a bundle that has nothing beside it is told so', async (t) => {
  const { message } = refusal(t, await temporaryFolder(), linux)
  t.regex(message, /where this bundle finds it.*external.*docs\/deploying\.md/)
})

test("a damaged binary gives the loader's own reason, and the file", async (t) => {
  const root = await installation({ [target]: { binary: 'no library' } })
  const { message, cause } = refusal(t, root, here)
  t.true(message.startsWith(join(root, `../olmo2-${target}/olmo2.${target}.node`)), message)
  t.true(message.includes((cause as Error).message), message)
  t.regex(message, /the file is damaged: remove node_modules/)
})

/** The beginning of an ELF file for `e_machine`. */
function elf(machine: number): Buffer {
  const header = Buffer.alloc(64)
  header.write('\x7fELF\x02\x01\x01', 'latin1')
  header.writeUInt16LE(3, 16)
  header.writeUInt16LE(machine, 18)
  header.writeUInt32LE(1, 20)
  return header
}

test('a binary for another kind of CPU is called that, which the loader calls a missing file', async (t) => {
  const [machine, arch] = here.arch === 'arm64' ? [0x3e, 'x64'] : [0xb7, 'arm64']
  const root = await installation({ [target]: { binary: elf(machine) } })
  const { message } = refusal(t, root, here)
  t.true(message.includes(`it is for linux on ${arch}, and this is`), message)
})

/** The hash of a version's name in an ELF file. */
function elfHash(name: string): number {
  let hash = 0
  for (const byte of Buffer.from(name)) {
    hash = ((hash << 4) >>> 0) + byte
    hash = (hash ^ ((hash >>> 24) & 0xf0)) & 0x0fff_ffff
  }
  return hash
}

/** This machine's binary, made to need a glibc that there is not. */
async function fromTheFuture(): Promise<Buffer> {
  const binary = await readFile(built)
  const names = binary.toString('latin1').match(/GLIBC_2\.\d\d(?=\0)/g) ?? []
  const [old = ''] = names
  const future = old.replace('_2', '_9')
  const hash = Buffer.alloc(4)
  hash.writeUInt32LE(elfHash(old))
  binary.write(future, binary.indexOf(`${old}\0`))
  binary.writeUInt32LE(elfHash(future), binary.indexOf(hash))
  return binary
}

const onGlibc = here.libc === 'glibc' ? test : test.skip

onGlibc('a system older than the binary is told the version of glibc that it takes', async (t) => {
  const root = await installation({ [target]: { binary: await fromTheFuture() } })
  const { message } = refusal(t, root, { ...here, glibc: '2.17' })
  t.regex(message, /version `GLIBC_9\.\d\d' not found/)
  t.regex(message, /it takes glibc 9\.\d\d or later, and this system has 2\.17/)
})

test('Node without addons is called that', async (t) => {
  const source = `
    import { Olmo2 } from 'olmo2'
    await Olmo2.load().catch(({ message }) => console.log(message))`
  const options = ['--no-addons', '--input-type=module', '--eval', source]
  const { stdout } = await execa(process.execPath, options, { cwd: root, input: '' })
  t.regex(stdout, /run it without --no-addons, or with --allow-addons beside --permission/)
})

test("the platform's package is loaded, and before it what lies in native/ or is named", async (t) => {
  const olmo2 = await installation({ [target]: {} })
  const file = join(olmo2, `../olmo2-${target}/olmo2.${target}.node`)
  await symlink(built, file)
  const place = { root: olmo2, version, host: here, env: {} }
  t.true(loadAddon(place).dtypes().includes('q4_k_m'))

  const env = { NAPI_RS_NATIVE_LIBRARY_PATH: '/no/such.node' }
  t.regex(
    refusal(t, olmo2, here, env).message,
    /such\.node cannot be loaded: .*NAPI_RS_NATIVE_LIBRARY_PATH$/s,
  )
  const named = { ...place, root: await temporaryFolder() }
  t.true(loadAddon({ ...named, env: { NAPI_RS_NATIVE_LIBRARY_PATH: built } }).dtypes().length > 3)

  await mkdir(join(olmo2, 'native'))
  await copyFile(join(root, 'package.json'), join(olmo2, `native/olmo2.${target}.node`))
  t.regex(refusal(t, olmo2, here).message, /native.*npm run build/s)
})

test('what a library is for stands in its first bytes, whatever follows', async (t) => {
  const folder = await temporaryFolder()
  const kindOf = async (bytes: Buffer) => {
    const file = join(folder, 'library')
    await writeFile(file, bytes)
    return binaryKind(file)
  }
  const mach = Buffer.alloc(64)
  mach.writeUInt32LE(0xfeed_facf)
  mach.writeUInt32LE(0x0100_000c, 4)
  const pe = Buffer.alloc(128)
  pe.write('MZ')
  pe.writeUInt32LE(64, 0x3c)
  pe.write('PE\0\0', 64)
  pe.writeUInt16LE(0xaa64, 68)
  t.deepEqual(await kindOf(elf(0x3e)), { platform: 'linux', arch: 'x64' })
  t.deepEqual(await kindOf(elf(0xf3)), { platform: 'linux', arch: undefined })
  t.deepEqual(await kindOf(mach), { platform: 'darwin', arch: 'arm64' })
  t.deepEqual(await kindOf(pe), { platform: 'win32', arch: 'arm64' })
  pe.writeUInt32LE(0xffff_fff0, 0x3c)
  t.is(await kindOf(pe), undefined)
  t.is(await kindOf(Buffer.from('\x7fELF', 'latin1')), undefined)
  t.is(binaryKind(folder), undefined)
  t.deepEqual(binaryKind(built)?.arch, process.arch)
})

test('names of platforms are those of the packages', async (t) => {
  const { parseTriple } = await import('@napi-rs/cli')
  const { napi } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const names = napi.targets.map((triple: string) => parseTriple(triple).platformArchABI)
  t.deepEqual(names.toSorted(), [...targets])
  t.true(targets.includes(target))
})
