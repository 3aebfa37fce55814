/** What decides which binary this process can load. */
export interface Host {
  /** As `process.platform`. */
  platform: string
  /** As `process.arch`. */
  arch: string
  /** The C library that Node is linked with, on Linux. */
  libc?: 'glibc' | 'musl'
  /** The version of glibc. */
  glibc?: string | undefined
}

/** Platforms that olmo2 is published for, by the names that napi-rs gives them. */
export const targets: readonly string[] = [
  'darwin-arm64',
  'darwin-x64',
  'linux-arm64-gnu',
  'linux-arm64-musl',
  'linux-x64-gnu',
  'linux-x64-musl',
  'win32-arm64-msvc',
  'win32-x64-msvc',
]

/** The C library, as napi-rs writes it at the end of a platform's name. */
const suffixes: Record<string, string> = { win32: '-msvc', glibc: '-gnu', musl: '-musl' }

/** The name of a host's platform, whether olmo2 is published for it or not. */
export function targetOf({ platform, arch, libc }: Host): string {
  return `${platform}-${arch}${suffixes[libc ?? platform] ?? ''}`
}

/** A platform in words. */
export function hostName({ platform, arch, libc, glibc }: Host): string {
  const library = [libc, glibc].filter(Boolean).join(' ')
  return `${platform} on ${arch}${library ? ` with ${library}` : ''}`
}

/** The host that this process runs on. */
export function thisHost(): Host {
  const { platform, arch } = process
  if (platform !== 'linux') return { platform, arch }
  const glibc = glibcVersion()
  return { platform, arch, libc: glibc === undefined ? 'musl' : 'glibc', glibc }
}

/** The version of glibc that Node runs on; undefined on another C library. */
function glibcVersion(): string | undefined {
  // Types of Node 20 do not have `excludeNetwork`, which 20.13 brought.
  const report: (NodeJS.ProcessReport & { excludeNetwork?: boolean }) | undefined = process.report
  // Bun and Deno may have none, and are linked with glibc wherever most people have them.
  if (!report?.getReport) return ''
  // Reading the network's interfaces would ask name servers.
  report.excludeNetwork = true
  const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return header?.glibcVersionRuntime
}
