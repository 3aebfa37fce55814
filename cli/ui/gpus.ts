import type { Gpu } from '../../src/doctor.js'
import { formatBytes } from '../../src/hub/index.js'

/** GPUs as rows of two columns: the device that takes each, and what it is. */
export function gpuRows(gpus: readonly Gpu[]): string[][] {
  return gpus.flatMap(
    ({ device, name, driver, api, memory, features, noCooperativeMatrices, reason }) => {
      const free = memory && `${formatBytes(memory.available)} of ${formatBytes(memory.total)} free`
      return [
        [device, name],
        ['its driver', `${api}, ${driver}`],
        ['its memory', free ?? 'unknown'],
        ['its features', features.join(' ') || 'none'],
        ...(noCooperativeMatrices ? [['no cooperative matrices', noCooperativeMatrices]] : []),
        ['taken by auto', reason ? `no: ${reason}` : 'yes'],
      ]
    },
  )
}
