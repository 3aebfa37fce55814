import { stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

import { systemCode } from '../../files.js'
import type { HubFile } from '../client.js'
import { SMALL_FILES } from '../select.js'
import { makeFolder } from './folders.js'
import type { RepoFolder } from './layout.js'
import { findPointer } from './snapshot.js'

/**
 * Notes which of the files that the engine would read a commit does not have, as `huggingface_hub` does
 * in `.no_exist`: whoever finds neither a file nor its note has a part of the snapshot only.
 *
 * @param all The files of the commit
 */
export async function noteAbsent(
  folder: RepoFolder,
  commit: string,
  all: readonly HubFile[],
): Promise<void> {
  for (const name of SMALL_FILES) {
    if (all.some(({ path }) => path === name)) continue
    const note = folder.absence(commit, name)
    await makeFolder(folder.cacheDir, dirname(note))
    // Only a new file: what is there already may be a link.
    await writeFile(note, '', { flag: 'wx' }).catch((error) => {
      if (systemCode(error) !== 'EEXIST') throw error
    })
  }
}

/** Whether it is known of each of those files that it is there, or that the commit has none. */
export async function isWhole(folder: RepoFolder, commit: string): Promise<boolean> {
  for (const name of SMALL_FILES) {
    if (await findPointer(folder, commit, name)) continue
    const noted = await stat(folder.absence(commit, name)).catch(() => undefined)
    if (!noted?.isFile()) return false
  }
  return true
}
