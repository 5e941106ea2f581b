/**
 * The public surface of a built package, as a page that is checked in: what changes it shows in a review as a change of that page.
 * Comments are left out, order is by name, and chunks of the build are not named: only what an app can see counts.
 */
import ts from "typescript";

/** The module settings of an app with a bundler. */
const OPTIONS = {
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  target: ts.ScriptTarget.ES2022,
  jsx: ts.JsxEmit.ReactJSX,
  strict: true,
  skipLibCheck: true,
  noEmit: true,
  types: [],
};

/**
 * @param {string} specifier how apps import the entry, e.g. `@chorale/client/notes`
 * @param {string} types path of its declarations
 * @param {string} root the directory of the package; declarations outside of it belong to others
 * @returns {string} Markdown
 */
export function apiReport(specifier, types, root) {
  const program = ts.createProgram([types], OPTIONS);
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(types);
  const module = source && checker.getSymbolAtLocation(source);
  if (!module) throw new Error(`${types} is no module: build the package first`);

  const isOurs = (node) => node.getSourceFile().fileName.startsWith(`${root}/dist/`);
  const seen = new Set();
  const exported = [];
  const borrowed = [];
  for (const symbol of sorted(checker.getExportsOfModule(module))) {
    const origin = original(checker, symbol);
    const own = (origin.declarations ?? []).filter(isOurs);
    if (own.length === 0) borrowed.push(symbol.name);
    else if (origin.name !== symbol.name) exported.push(`export { ${origin.name} as ${symbol.name} };`);
    if (own.length > 0) seen.add(origin);
  }
  // What is named by what is exported is seen by apps too, though they cannot import it.
  const hidden = new Set();
  for (const symbol of seen) {
    for (const named of namedBy(checker, symbol).filter((s) => (s.declarations ?? []).some(isOurs))) {
      if (seen.has(named)) continue;
      seen.add(named); // a Set hands out what is added while it is walked
      hidden.add(named);
    }
  }
  const print = (symbols) => sorted(symbols).flatMap((symbol) => symbol.declarations.filter(isOurs).map(declaration));
  exported.push(...print([...seen].filter((symbol) => !hidden.has(symbol))));

  const sections = [`# \`${specifier}\`\n`, "Made by `make api` from the built declarations. Do not edit.\n", fence(exported)];
  if (borrowed.length > 0)
    sections.push(`Exported as well, from other packages: ${borrowed.map((n) => `\`${n}\``).join(", ")}.\n`);
  if (hidden.size > 0) sections.push("## Not exported, but named above\n", fence(print(hidden)));
  return sections.join("\n");
}

const sorted = (symbols) => [...symbols].sort((a, b) => (a.name < b.name ? -1 : 1));
const fence = (blocks) => `\`\`\`ts\n${blocks.join("\n\n")}\n\`\`\`\n`;
const printer = ts.createPrinter({ removeComments: true });

function original(checker, symbol) {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

/** The whole statement: a variable's declaration alone would lack `const`. */
function declaration(node) {
  const whole = ts.isVariableDeclaration(node) ? node.parent.parent : node;
  return printer
    .printNode(ts.EmitHint.Unspecified, whole, whole.getSourceFile())
    .replace(/^export /, "")
    .replace(/^declare /, "")
    .replace(/\$\d+\b/g, ""); // what the bundler calls a name that it met twice
}

/** What the declarations of a symbol name, aliases followed. */
function namedBy(checker, symbol) {
  const found = [];
  const visit = (node) => {
    if (ts.isIdentifier(node)) {
      const named = checker.getSymbolAtLocation(node);
      const target = named && original(checker, named);
      // Members and type parameters are printed with what they belong to.
      if (target?.declarations?.some((d) => isTopLevel(d))) found.push(target);
    }
    ts.forEachChild(node, visit);
  };
  for (const node of symbol.declarations ?? []) visit(node);
  return found;
}

function isTopLevel(node) {
  const parent = ts.isVariableDeclaration(node) ? node.parent.parent.parent : node.parent;
  return parent !== undefined && ts.isSourceFile(parent);
}
