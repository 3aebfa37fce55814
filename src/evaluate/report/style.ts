/** The look of the page, light and dark: as the system is, or as the button says. */
export const STYLE = `
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--soft:#59636e;--line:#d5dae0;--panel:#f5f7f9;--bar:#0072b2;--whisker:#1b1f24;--mark:#b45309;--right:#11643a;--right-bg:#e3f5ea;--wrong:#a3192b;--wrong-bg:#fdeaec;--focus:#0072b2}
:root[data-theme=light]{color-scheme:light}
:root[data-theme=dark]{color-scheme:dark;--bg:#14181d;--fg:#e3e7ec;--soft:#9aa5b1;--line:#363e48;--panel:#1c2229;--bar:#56b4e9;--whisker:#e3e7ec;--mark:#f0b04a;--right:#7ddba3;--right-bg:#16301f;--wrong:#ff9aa6;--wrong-bg:#3a1a1f;--focus:#56b4e9}
@media (prefers-color-scheme:dark){:root:not([data-theme=light]){--bg:#14181d;--fg:#e3e7ec;--soft:#9aa5b1;--line:#363e48;--panel:#1c2229;--bar:#56b4e9;--whisker:#e3e7ec;--mark:#f0b04a;--right:#7ddba3;--right-bg:#16301f;--wrong:#ff9aa6;--wrong-bg:#3a1a1f;--focus:#56b4e9}}
*{box-sizing:border-box}
[hidden]{display:none!important}
body{margin:0 auto;max-width:68rem;padding:1.5rem;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,"Segoe UI",Helvetica,Arial,"DejaVu Sans",sans-serif}
header{display:flex;gap:1rem;align-items:flex-start;justify-content:space-between}
h1{font-size:1.5rem;margin:0;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2rem 0 .5rem}
h3{font-size:1rem;margin:1.2rem 0 .3rem}
p,.soft{color:var(--soft);margin:.2rem 0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}
th:first-child,td:first-child,.text{text-align:left}
th{color:var(--soft);font-weight:600}
button,select,input{font:inherit;color:inherit;background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:.3rem .6rem}
#theme{flex:none}
button:focus-visible,select:focus-visible,input:focus-visible,summary:focus-visible{outline:2px solid var(--focus);outline-offset:1px}
svg.bars{width:100%;height:auto;max-width:54rem;font-size:13px;display:block}
.bars .grid{stroke:var(--line)}.bars .bar{fill:var(--bar)}.bars .whisker{stroke:var(--whisker);fill:none;stroke-width:1.4}
.bars .mark{stroke:var(--mark);stroke-width:2;stroke-dasharray:3 2}.bars text{fill:var(--fg)}.bars .tick{fill:var(--soft)}
#filters{display:flex;flex-wrap:wrap;gap:.5rem;margin:.5rem 0}
#filters input{flex:1 1 14rem}
#filters label{display:flex;gap:.4rem;align-items:center}
.document{border:1px solid var(--line);border-radius:8px;margin:.5rem 0;background:var(--panel)}
.document>summary{cursor:pointer;padding:.45rem .7rem;display:flex;gap:.6rem;align-items:baseline}
.document>summary .soft{flex:none;max-width:45%;overflow-wrap:anywhere}
.document .body{padding:0 .8rem .8rem}
.document .about{flex:1 1 auto;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.badge{flex:none;border-radius:4px;padding:0 .4rem;font-size:.85rem;font-weight:600;border:1px solid var(--line)}
.badge.right{color:var(--right);background:var(--right-bg)}.badge.wrong{color:var(--wrong);background:var(--wrong-bg)}
pre{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate;background:var(--bg);border:1px solid var(--line);border-radius:6px;padding:.6rem;margin:.3rem 0;max-height:24rem;overflow:auto;font:13px/1.45 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace}
td pre{border:0;padding:0;margin:0;background:none;max-height:12rem}
tr.gold td{background:var(--right-bg)}tr.missed td{background:var(--wrong-bg)}
meter{width:5rem;vertical-align:middle}
@media print{#filters,#more,#theme{display:none}}
@media (max-width:40rem){body{padding:.8rem}.document>summary{flex-wrap:wrap}}
`
