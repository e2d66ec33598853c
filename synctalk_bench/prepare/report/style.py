"""The page's style sheet; it follows the reader's light or dark setting."""

from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2024;--soft:#667079;--line:#d9dee3;--card:#f5f7f9;
--a:#1f6feb;--b:#d1570a;--c:#1a7f37;--d:#8250df;--warn:#9a5b00;--warnbg:#fff4dd}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e4e8ec;--soft:#98a2ac;--line:#343b42;--card:#1d2226;
--a:#6cb0ff;--b:#ff9d57;--c:#6fd488;--d:#c9a4ff;--warn:#ffcf80;--warnbg:#33280f}}
body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;
padding:0 1rem}
h1{margin:0 0 .5rem}h2{margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}h3{margin:1rem 0 .3rem;font-size:1rem}
table{border-collapse:collapse}td,th{padding:.2rem .6rem .2rem 0;text-align:left;vertical-align:top}
.facts th{font-weight:600;white-space:nowrap}.facts td{font-variant-numeric:tabular-nums}
.facts tr{border-bottom:1px solid var(--line)}
ul{list-style:none;padding:0;margin:0}li{padding:.35rem .7rem;margin:.25rem 0;border-left:4px solid var(--line);
background:var(--card);overflow-wrap:anywhere}li.serious{border-color:var(--warn);background:var(--warnbg)}
figure{margin:.5rem 0}svg{width:100%;height:auto;background:var(--card);border-radius:4px}
svg text{fill:var(--soft);font:11px system-ui,sans-serif}
.grid{stroke:var(--line);fill:none}.line{fill:none;stroke-width:1.2}.mark{stroke:var(--fg);stroke-dasharray:4 3}
.shade{fill:var(--warnbg)}.rail{fill:var(--line)}
path.c0{stroke:var(--a)}path.c1{stroke:var(--b)}path.c2{stroke:var(--c)}path.c3{stroke:var(--d)}
.r0{fill:var(--a)}.r1{fill:var(--c)}.r2{fill:var(--b)}.r3{fill:var(--d)}
figcaption{font-size:13px;color:var(--soft)}figcaption span{margin-right:1rem;font-weight:600}
span.c0{color:var(--a)}span.c1{color:var(--b)}span.c2{color:var(--c)}span.c3{color:var(--d)}
.wide{overflow-x:auto}img{border-radius:4px;display:block}.pictures th{font-size:13px;color:var(--soft)}
"""
