import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { systemCode } from '../../files.js'

const TAG = `Signature: 8a477f597d28d172789f06886806bc55
# This file is a cache directory tag created by huggingface_hub.
# For information about cache directory tags, see:
#\thttps://bford.info/cachedir/
`

/**
 * Marks the cache as such, so that backups leave it out (https://bford.info/cachedir/), with the
 * words of `huggingface_hub`, which does it too.
 */
export async function tagCacheFolder(cacheDir: string): Promise<void> {
  await mkdir(cacheDir, { recursive: true })
  await writeFile(join(cacheDir, 'CACHEDIR.TAG'), TAG, { flag: 'wx' }).catch((error) => {
    if (systemCode(error) !== 'EEXIST') throw error
  })
}
