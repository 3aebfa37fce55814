import { packageVersion } from '../package.js'
import { reasonOf } from '../realm.js'
import type { HubSettings } from './settings.js'
import { discard, Transport } from './transport.js'

/** Whether the hub answers. */
export interface HubReach {
  endpoint: string
  /** Whether anything came back, whatever it was. */
  reachable: boolean
  /** How long that took. */
  milliseconds?: number
  /** Why nothing came. */
  reason?: string
  /** Whether a token would be sent. */
  token: boolean
}

/** Long enough for a slow line, and short enough to wait for. */
const TIMEOUTS = { connect: 5000, headers: 5000 }

/**
 * Asks the hub for its first page, once.
 *
 * @throws the signal's reason, if it aborts
 */
export async function reachHub(settings: HubSettings, signal?: AbortSignal): Promise<HubReach> {
  const { endpoint, token } = settings
  const transport = new Transport(settings, `olmo2/${packageVersion}`, TIMEOUTS)
  const began = performance.now()
  try {
    await discard(await transport.send({ url: `${endpoint}/`, method: 'HEAD', signal }))
    const milliseconds = performance.now() - began
    return { endpoint, reachable: true, milliseconds, token: token !== undefined }
  } catch (error) {
    signal?.throwIfAborted()
    return { endpoint, reachable: false, reason: reasonOf(error), token: token !== undefined }
  } finally {
    await transport.close()
  }
}
