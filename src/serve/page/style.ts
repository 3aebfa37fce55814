const DARK =
  '--bg:#14181d;--fg:#e3e7ec;--soft:#9aa5b1;--line:#363e48;--panel:#1c2229;--own:#20303d;--accent:#56b4e9;--on-accent:#10161c;--wrong:#ff9aa6;--heat:86,180,233'

/** The look of the page, light and dark: as the system is, or as the button says. */
export const STYLE = `
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--soft:#59636e;--line:#d5dae0;--panel:#f5f7f9;--own:#e4f0f8;--accent:#005f99;--on-accent:#fff;--wrong:#a3192b;--heat:0,114,178}
:root[data-theme=light]{color-scheme:light}
:root[data-theme=dark]{color-scheme:dark;${DARK}}
@media (prefers-color-scheme:dark){:root:not([data-theme=light]){${DARK}}}
*{box-sizing:border-box}
[hidden]{display:none!important}
body{margin:0 auto;max-width:60rem;padding:1.2rem;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,"Segoe UI",Helvetica,Arial,"DejaVu Sans",sans-serif}
header{display:flex;flex-wrap:wrap;gap:.6rem 1rem;align-items:center}
h1{font-size:1.3rem;margin:0;flex:1 1 auto}
label{color:var(--soft);font-size:.9rem}
.row{display:flex;flex-wrap:wrap;gap:.6rem;align-items:end;margin:.6rem 0}
.row label{display:flex;flex-direction:column;gap:.15rem}
.row .wide{flex:1 1 16rem}
button,select,input,textarea{font:inherit;color:var(--fg);background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:.35rem .6rem}
input[type=number]{width:6rem}
select{max-width:min(24rem,100%)}
textarea{width:100%;resize:vertical}
button{cursor:pointer}
button:disabled{opacity:.5;cursor:default}
button.main{background:var(--accent);border-color:var(--accent);color:var(--on-accent)}
:focus-visible{outline:2px solid var(--accent);outline-offset:1px}
[role=tablist]{display:flex;gap:.3rem;border-bottom:1px solid var(--line);margin:.8rem 0 .6rem}
[role=tab]{background:none;border:0;border-bottom:3px solid transparent;border-radius:0;color:var(--soft)}
[role=tab][aria-selected=true]{color:var(--fg);border-color:var(--accent)}
#messages{display:flex;flex-direction:column;gap:.6rem;margin:.6rem 0}
.message{border:1px solid var(--line);border-radius:8px;padding:.5rem .8rem;max-width:85%;white-space:pre-wrap;overflow-wrap:anywhere;align-self:flex-start;background:var(--panel)}
.message.user{align-self:flex-end;background:var(--own)}
.message .who{display:block;color:var(--soft);font-size:.8rem}
#error{color:var(--wrong);overflow-wrap:anywhere;min-height:1.5em;margin:.3rem 0}
.soft{color:var(--soft)}
#text{border:1px solid var(--line);border-radius:8px;background:var(--panel);padding:.7rem .8rem;min-height:6rem;white-space:pre-wrap;overflow-wrap:anywhere;font:15px/1.9 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace}
.token{border-radius:3px;cursor:help}
.token:focus-visible,.token.chosen{outline:2px solid var(--accent)}
#alternatives{position:fixed;z-index:2;background:var(--bg);border:1px solid var(--line);border-radius:8px;box-shadow:0 4px 18px rgba(0,0,0,.25);padding:.4rem .6rem;font:13px/1.5 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;pointer-events:none;max-width:22rem}
#alternatives div{display:flex;justify-content:space-between;gap:1.2rem;white-space:pre}
#alternatives .here{font-weight:700}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;min-width:40rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{white-space:nowrap;color:var(--soft);font-weight:600}
td.number{text-align:right}
svg{width:100%;height:auto;max-width:52rem;display:block}
svg text{fill:var(--soft);font-size:12px}
svg .grid{stroke:var(--line)}
svg .line{fill:none;stroke:var(--accent);stroke-width:2}
svg .dot{fill:var(--accent)}
@media (max-width:40rem){body{padding:.8rem}.message{max-width:100%}}
`
