import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { basename, join } from 'node:path'

/**
 * An npm registry on loopback that has the given packages, and sends who asks for others to `upstream`.
 *
 * @param packages Each with its `folder`, where package.json lies, and its `tarball`
 * @returns Its address, what it was asked for, and how to close it
 */
export async function startRegistry(packages, upstream) {
  const documents = new Map()
  const tarballs = new Map()
  const asked = []
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '/')
    asked.push(path)
    const name = path.slice(1)
    const tarball = tarballs.get(basename(path))
    if (documents.has(name)) {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(documents.get(name)))
    } else if (tarball) response.end(tarball)
    else if (name.startsWith('olmo2')) response.writeHead(404).end('{}')
    else response.writeHead(302, { location: new URL(request.url, upstream).href }).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${server.address().port}/`
  for (const { folder, tarball } of packages) {
    const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
    const bytes = await readFile(tarball)
    tarballs.set(basename(tarball), bytes)
    documents.set(manifest.name, packument(manifest, bytes, `${url}-/${basename(tarball)}`))
  }
  return { url, asked, close: () => server.close() }
}

/** What a registry says of a package with one version. */
function packument(manifest, bytes, tarball) {
  const { name, version } = manifest
  const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`
  return {
    name,
    'dist-tags': { latest: version },
    versions: { [version]: { ...manifest, dist: { tarball, integrity } } },
  }
}
