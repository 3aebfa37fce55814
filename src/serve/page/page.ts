import { createHash } from 'node:crypto'

import { CHAT } from './chat.js'
import { COMMON } from './common.js'
import { COMPLETION } from './completion.js'
import { STYLE } from './style.js'
import { TRACE } from './trace.js'

const START = `
setUpTabs()
setUpTheme()
setUpKey()
setUpChat()
setUpCompletion()
setUpTrace()
for (const button of document.querySelectorAll('button.stop')) button.addEventListener('click', stop)
setBusy(false)
loadModels().catch(({ message }) => say(message))
`

const SCRIPT = [COMMON, CHAT, COMPLETION, TRACE, START].join('')

function digest(content: string): string {
  return `'sha256-${createHash('sha256').update(content).digest('base64')}'`
}

/** What the page may do: run its own script, and ask this server. */
export const POLICY = [
  "default-src 'none'",
  `style-src ${digest(STYLE)}`,
  `script-src ${digest(SCRIPT)}`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const CHAT_PANEL = `
<section id="panel-chat" role="tabpanel" aria-labelledby="tab-chat">
<div id="messages" aria-live="polite"></div>
<div class="row">
<label class="wide">Message (Enter sends, Shift+Enter breaks the line)<textarea id="say" rows="3"></textarea></label>
</div>
<div class="row">
<button type="button" class="main" id="send">Send</button>
<button type="button" class="stop">Stop</button>
<button type="button" id="clear">New conversation</button>
<label>Temperature<input type="number" id="chat-temperature" min="0" max="5" step="0.1"></label>
<label>Tokens at most<input type="number" id="chat-tokens" min="1" value="256"></label>
<label class="wide">System<input id="system"></label>
</div>
</section>`

const COMPLETION_PANEL = `
<section id="panel-completion" role="tabpanel" aria-labelledby="tab-completion" hidden>
<div class="row">
<label class="wide">Text (Ctrl+Enter goes on)<textarea id="prompt" rows="4">Once upon a time</textarea></label>
</div>
<div class="row">
<button type="button" class="main" id="complete">Go on</button>
<button type="button" class="stop">Stop</button>
<label>Temperature<input type="number" id="temperature" min="0" max="5" step="0.1"></label>
<label>Tokens at most<input type="number" id="tokens" min="0" value="64"></label>
<label>Seed<input type="number" id="seed" min="0"></label>
</div>
<p class="soft">The darker a token, the less likely it was. Point at one, or walk with the arrows, to see what else could have come.</p>
<div id="text" role="group" aria-label="Text with probabilities"></div>
<div id="alternatives" role="tooltip" hidden></div>
</section>`

const TRACE_PANEL = `
<section id="panel-trace" role="tabpanel" aria-labelledby="tab-trace" hidden>
<div class="row">
<label class="wide">Prompt<input id="trace-prompt" value="Once upon a"></label>
<label class="wide">Continuation<input id="continuation" value=" time"></label>
</div>
<div class="row">
<button type="button" class="main" id="trace">Ask the checkpoints</button>
<button type="button" class="stop">Stop</button>
<label>Tokens at most<input type="number" id="trace-tokens" min="1" value="12"></label>
<label class="wide">Checkpoints (default: all that are listed)<input id="revisions" placeholder="first tokens=1T latest-stage1"></label>
</div>
<p class="soft" id="progress" aria-live="polite">How likely the continuation is after the prompt, at each checkpoint of the model.</p>
<svg id="chart" viewBox="0 0 700 220" role="img" hidden></svg>
<div class="scroll"><table>
<thead><tr><th>checkpoint</th><th>log-probability</th><th>likeliest next</th><th>goes on with</th></tr></thead>
<tbody id="rows"></tbody>
</table></div>
</section>`

/** The page: one file that asks nothing but this server. */
export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>olmo2</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>olmo2</h1>
<label>Model <select id="model"></select></label>
<button type="button" id="theme">light or dark</button>
</header>
<form id="key-form"><div class="row" id="key-row" hidden>
<label class="wide">API key<input type="password" id="key" autocomplete="off"></label>
<button>Use</button>
</div></form>
<div role="tablist" aria-label="What to do">
<button type="button" role="tab" id="tab-chat" aria-controls="panel-chat" aria-selected="true">Chat</button>
<button type="button" role="tab" id="tab-completion" aria-controls="panel-completion" aria-selected="false" tabindex="-1">Completion</button>
<button type="button" role="tab" id="tab-trace" aria-controls="panel-trace" aria-selected="false" tabindex="-1">Trace</button>
</div>
<main>
<p id="error" role="alert"></p>
${CHAT_PANEL}
${COMPLETION_PANEL}
${TRACE_PANEL}
</main>
<script>${SCRIPT}</script>
</body>
</html>
`
