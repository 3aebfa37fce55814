import { closeSync, openSync, readSync } from 'node:fs'

/** What a file of machine code is for. */
export interface BinaryKind {
  platform: 'linux' | 'darwin' | 'win32'
  /** As `process.arch`; undefined of one that Node does not run on. */
  arch: string | undefined
}

/** `e_machine` of ELF files. */
const elfMachines = new Map([
  [0x03, 'ia32'],
  [0x28, 'arm'],
  [0x3e, 'x64'],
  [0xb7, 'arm64'],
])

/** `cputype` of Mach-O files. */
const machMachines = new Map([
  [0x0100_0007, 'x64'],
  [0x0100_000c, 'arm64'],
])

/** `Machine` of PE files. */
const peMachines = new Map([
  [0x014c, 'ia32'],
  [0x8664, 'x64'],
  [0xaa64, 'arm64'],
])

/**
 * What a library is for, out of its first bytes. The system's loader does not say: glibc's calls a file for
 * another kind of CPU one that does not exist.
 *
 * @returns undefined if it is not a library that Linux, macOS or Windows knows, or cannot be read
 */
export function binaryKind(file: string): BinaryKind | undefined {
  const bytes = head(file)
  if (bytes.length < 0x40) return undefined
  const magic = bytes.readUInt32BE(0)
  if (magic === 0x7f45_4c46)
    return { platform: 'linux', arch: elfMachines.get(bytes.readUInt16LE(18)) }
  if (magic === 0xcffa_edfe)
    return { platform: 'darwin', arch: machMachines.get(bytes.readUInt32LE(4)) }
  if (magic >>> 16 !== 0x4d5a) return undefined
  const header = bytes.readUInt32LE(0x3c)
  if (header + 6 > bytes.length || bytes.readUInt32BE(header) !== 0x5045_0000) return undefined
  return { platform: 'win32', arch: peMachines.get(bytes.readUInt16LE(header + 4)) }
}

/** The first bytes of a file: as many as there are, and 1024 at most. */
function head(file: string): Buffer {
  const bytes = Buffer.alloc(1024)
  try {
    const descriptor = openSync(file, 'r')
    try {
      return bytes.subarray(0, readSync(descriptor, bytes))
    } finally {
      closeSync(descriptor)
    }
  } catch {
    return bytes.subarray(0, 0)
  }
}
