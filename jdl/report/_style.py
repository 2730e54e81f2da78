"""How a page looks."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --quiet: #60656c; --faint: #c4c8cf; --grid: #e6e8ec; --page: #f7f8fa;
  --card: #fff; --bad: #c62a2f; --c0: #3358d4; --c1: #e8590c; --c2: #0b8a6f; --c3: #c2298a; --c4: #7a5af8; --c5: #b08900;
  --c6: #0c8ce9; --c7: #6b7280; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --quiet: #a3a8b0; --faint: #4a4f57; --grid: #2c3036;
  --page: #121417; --card: #1a1d21; --bad: #ff8589; --c0: #8ea7ff; --c1: #ff9a5c; --c2: #4fd1b0; --c3: #f47ac5; --c4: #b3a1ff;
  --c5: #e6c34a; --c6: #66b8ff; --c7: #a8b0bd; } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 1120px; margin: 0 auto; padding: 32px 20px 64px }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 8px; overflow-wrap: anywhere }
h2 { font-size: 18px; margin: 36px 0 4px }
.note { color: var(--quiet); margin: 0 0 8px; font-size: 13.5px }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); gap: 16px;
  margin-top: 12px }
figure { margin: 0; padding: 14px 16px 10px; background: var(--card); border: 1px solid var(--grid); border-radius: 10px;
  min-width: 0 }
.broad { grid-column: 1 / -1 }
figcaption { font-weight: 600; font-size: 14px }
.keys { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 2px 0 4px; font-size: 12.5px; color: var(--quiet) }
.key { overflow-wrap: anywhere } .key i { display: inline-block; width: 16px; margin-right: 6px; vertical-align: middle;
  border-top: 3px solid var(--c) } .key.dashed i { border-top-style: dashed; border-top-width: 2px }
svg { display: block; width: 100%; height: auto; max-height: 560px; font: 11.5px system-ui, sans-serif }
svg text { fill: var(--quiet) } svg .strong { fill: var(--ink); font-weight: 600 }
svg .halo { paint-order: stroke; stroke: var(--card); stroke-width: 3.5px; stroke-linejoin: round; fill: var(--ink) }
.grid path { fill: none } path.grid { stroke: var(--grid); fill: none } path.axis { stroke: var(--faint); fill: none }
path.line { fill: none; stroke-width: 1.9; stroke-linejoin: round } path.dashed { stroke-dasharray: 5 4; stroke-width: 1.5 }
path.thin { stroke-width: 1 } path.setting { stroke-width: 1.6; opacity: .85 } path.setting:hover { stroke-width: 4; opacity: 1 }
.grid path.band { stroke: none; opacity: .17; fill: inherit } path.whisker { stroke: var(--c0); stroke-width: 1.5; fill: none }
circle.faint { opacity: .35 } rect.empty { fill: none; stroke: var(--grid) }
.wide { overflow-x: auto; margin-top: 8px; background: var(--card); border: 1px solid var(--grid); border-radius: 10px }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums }
th, td { padding: 7px 14px; text-align: left; white-space: nowrap; border-top: 1px solid var(--grid) }
thead th { border-top: 0; color: var(--quiet); font-weight: 500 }
.ends { color: var(--quiet); font-size: 12px; margin-left: 4px } .bad { color: var(--bad) }
details { margin-top: 8px; background: var(--card); border: 1px solid var(--grid); border-radius: 10px; padding: 8px 14px }
summary { cursor: pointer } pre { overflow-x: auto; font-size: 12px } code { font-size: 12.5px }
"""
