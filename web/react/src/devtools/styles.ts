/**
 * The panel's looks: the palette of the notes app. Both themes follow the page's `color-scheme`, so that the panel is dark when the app
 * is. Sizes are in px: an app may make `rem` anything.
 */
export const CSS = `
:host {
  --paper: light-dark(#f6f4ef, #181613);
  --surface: light-dark(#fffefb, #211e1a);
  --sunken: light-dark(#edeae2, #12100e);
  --line: light-dark(#e0dbd0, #37322a);
  --strong: light-dark(#92897a, #766d5c);
  --ink: light-dark(#25211b, #ede8df);
  --muted: light-dark(#665f54, #a89f92);
  --accent: light-dark(#0c6652, #6accaf);
  --soft: light-dark(#dfeee7, #182f28);
  --amber: light-dark(#805400, #e7b95f);
  --amber-soft: light-dark(#faf0d7, #332811);
  --danger: light-dark(#a92a20, #f4968b);
  all: initial;
  position: fixed;
  inset: auto 0 0 0;
  z-index: 2147483000;
  pointer-events: none;
  font: 13px/1.45 "Inter", ui-sans-serif, -apple-system, "Segoe UI", "Helvetica Neue", "Liberation Sans", Arial, sans-serif;
  color: var(--ink);
}
* { box-sizing: border-box; margin: 0; padding: 0; font: inherit; color: inherit; }
button, input, select { background: none; border: 0; border-radius: 6px; }
button { cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
ol, ul { list-style: none; }
code, pre, .mono { font-family: ui-monospace, "SF Mono", "Cascadia Mono", "Liberation Mono", Menlo, monospace; font-size: 12px; }

.handle {
  pointer-events: auto;
  position: absolute; right: 0; bottom: 33vh;
  display: flex; align-items: center; gap: 6px;
  padding: 10px 7px;
  writing-mode: vertical-rl;
  background: var(--surface); border: 1px solid var(--line); border-right: 0; border-radius: 10px 0 0 10px;
  box-shadow: 0 2px 12px light-dark(#2c241418, #00000066);
  font-size: 11px; color: var(--muted);
}
.panel {
  pointer-events: auto;
  display: flex; flex-direction: column;
  height: min(380px, 62vh);
  background: var(--paper);
  border-top: 1px solid var(--line);
  box-shadow: 0 -4px 24px light-dark(#2c241418, #00000066);
}
.bar { display: flex; align-items: center; gap: 4px 12px; flex-wrap: wrap; padding: 8px 12px; background: var(--sunken); border-bottom: 1px solid var(--line); }
.bar .end { margin-left: auto; }
.status { display: flex; align-items: center; gap: 7px; font-weight: 600; }
.dot { flex: none; width: 9px; height: 9px; border-radius: 50%; background: var(--amber); }
.dot[data-status="connected"] { background: var(--accent); }
.dot[data-status="failed"], .dot[data-status="needs-auth"], .dot[data-status="offline"] { background: var(--danger); }
.dot[data-status="idle"], .dot[data-status="closed"] { background: var(--strong); }
.toggle { display: flex; align-items: center; gap: 6px; min-height: 28px; color: var(--muted); }
.toggle input { width: 16px; height: 16px; accent-color: var(--accent); border: 1px solid var(--strong); }
.toggle:has(input:checked), .toggle[data-on="true"] { color: var(--amber); font-weight: 600; }
select { min-height: 28px; padding: 0 6px; background: var(--surface); border: 1px solid var(--strong); }
option { background: var(--surface); color: var(--ink); }
.button { min-height: 28px; padding: 0 10px; border: 1px solid var(--line); background: var(--surface); }
.button:hover { border-color: var(--strong); }

.tabs { display: flex; gap: 2px; padding: 0 8px; border-bottom: 1px solid var(--line); overflow-x: auto; scrollbar-width: none; flex: none; }
.tab { flex: none; padding: 8px 10px; color: var(--muted); border-radius: 6px 6px 0 0; border-bottom: 2px solid transparent; }
.tab[aria-selected="true"] { color: var(--ink); border-bottom-color: var(--accent); font-weight: 600; }
.tab:focus-visible { outline-offset: -2px; }
.count { margin-left: 5px; padding: 0 5px; border-radius: 8px; background: var(--sunken); font-size: 11px; font-weight: 400; color: var(--muted); }
.count[data-urgent="true"] { background: var(--amber-soft); color: var(--amber); }
.body { flex: 1; min-height: 0; overflow: auto; overscroll-behavior: contain; padding: 10px 12px 16px; scrollbar-color: var(--strong) transparent; }
.empty { color: var(--muted); padding: 8px 0; }
.muted { color: var(--muted); }
.bad { color: var(--danger); }
.wait { color: var(--amber); }
.clip { overflow-wrap: anywhere; }

.facts { display: flex; flex-wrap: wrap; gap: 10px 28px; align-items: end; margin-bottom: 12px; }
.facts dt { font-size: 11px; color: var(--muted); }
.facts dd { font-size: 15px; }
.spark { display: block; width: 180px; height: 34px; }
.spark polyline { fill: none; stroke: var(--accent); stroke-width: 1.5; }

.line { display: grid; grid-template-columns: 92px 112px 1fr; gap: 2px 12px; padding: 4px 0; border-top: 1px solid var(--line); align-items: baseline; }
.line:first-child { border-top: 0; }
.line .status { font-weight: 400; }
.write { grid-template-columns: 92px minmax(140px, 340px) 1fr; }
.card { padding: 9px 12px; margin-bottom: 8px; background: var(--surface); border: 1px solid var(--line); border-radius: 10px; }
.card h3 { display: flex; flex-wrap: wrap; gap: 2px 10px; align-items: baseline; font-weight: 600; overflow-wrap: anywhere; }
.card h3 small { font-size: 12px; font-weight: 400; color: var(--muted); }
.card p { margin-top: 3px; }
.find { position: sticky; top: -10px; width: 100%; min-height: 32px; margin: -2px 0 8px; padding: 0 10px; background: var(--surface); border: 1px solid var(--strong); z-index: 1; }
.find::placeholder { color: var(--muted); opacity: 1; }
details { border-top: 1px solid var(--line); }
summary { display: grid; grid-template-columns: 92px 16px minmax(110px, 190px) 1fr auto; gap: 10px; padding: 4px 2px; cursor: pointer; align-items: baseline; list-style: none; border-radius: 4px; }
summary::-webkit-details-marker { display: none; }
summary > * { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
summary:hover, details[open] summary { background: var(--soft); }
.up { color: var(--accent); }
.down { color: var(--amber); }
pre { padding: 8px 10px; margin: 2px 0 8px; background: var(--sunken); border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere; }

@media (max-width: 640px) {
  .panel { height: 70vh; padding-bottom: env(safe-area-inset-bottom); }
  .line { grid-template-columns: 1fr auto; }
  .line > :last-child { grid-column: 1 / -1; }
  .write { grid-template-columns: 92px 1fr; }
  summary { grid-template-columns: 16px 1fr auto; min-height: 34px; align-items: center; }
  summary > :nth-child(1), summary > :nth-child(4) { display: none; }
  .button, select, .toggle { min-height: 36px; }
  .toggle input { width: 20px; height: 20px; }
  .tab { padding: 11px 7px; }
}
@media (prefers-reduced-motion: no-preference) {
  .panel { animation: rise 0.14s ease-out; }
  @keyframes rise { from { transform: translateY(12px); opacity: 0.4; } }
}
`;
