import { bash } from './bash.js'
import { fish } from './fish.js'
import { powershell } from './powershell.js'
import type { Node } from './tree.js'
import { zsh } from './zsh.js'

/** What each shell is given: a script made of the commands that there are. */
export const shells: Record<'bash' | 'zsh' | 'fish' | 'powershell', (nodes: Node[]) => string> = {
  bash,
  zsh,
  fish,
  powershell,
}
