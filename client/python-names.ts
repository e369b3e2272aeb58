/** Whether a Python file gives a name a meaning at its top level, as far as text can tell without Python. */

/**
 * By `def`, assignment or import, also beneath an `if` or a `try`; or by `import *`, which may bring anything. Errs on
 * the side of true: what it denies is not there but for `exec` and the like, what it affirms may still fail when run.
 */
export function definesName(source: string, name: string): boolean {
  const code = withoutTexts(source);
  return [
    `^[ \\t]*(async[ \\t]+)?def[ \\t]+${name}\\b`,
    `^[ \\t]*${name}[ \\t]*(:[^=\\n]*)?=(?!=)`,
    `\\bimport\\b[ \\t]*\\([^)]*\\b${name}\\b`,
    `\\bimport\\b[^\\n]*\\b${name}\\b`,
    `\\bimport[ \\t]*\\*`,
  ].some((pattern) => new RegExp(pattern, "m").test(code));
}

/** Without comments and what stands in quotes: a docstring may well speak of the name. */
function withoutTexts(source: string): string {
  const texts = /("""|''')[\s\S]*?\1|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|#.*/g;
  return source.replace(/\\\r?\n/g, " ").replace(texts, '""');
}
