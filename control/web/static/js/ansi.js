// Terminal colours as classes: f0 to f15 for the sixteen colours, a1 bold, a2 faint, a3 italic, a4 underlined.
const SEQUENCE = /\x1b(?:\[([0-9;:]*)([@-~])|\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g;

function change(style, codes) {
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code === 0) style = { colour: null, marks: new Set() };
    else if (code >= 1 && code <= 4) style.marks.add(code);
    else if (code === 22) [1, 2].forEach((mark) => style.marks.delete(mark));
    else if (code === 23 || code === 24) style.marks.delete(code - 20);
    else if (code >= 30 && code <= 37) style.colour = code - 30;
    else if (code >= 90 && code <= 97) style.colour = code - 82;
    else if (code === 39) style.colour = null;
    else if (code === 38 || code === 48) {
      const kind = codes[at + 1];
      if (code === 38 && kind === 5 && codes[at + 2] < 16) style.colour = codes[at + 2];
      at += kind === 5 ? 2 : 4;
    }
  }
  return style;
}

/** Split a line into pieces of [text, class]. */
export function pieces(line) {
  if (!line.includes("\x1b")) return [[line, ""]];
  const found = [];
  let style = { colour: null, marks: new Set() };
  let from = 0;
  const push = (text) => {
    if (!text) return;
    const names = [...style.marks].map((mark) => `a${mark}`);
    if (style.colour !== null) names.push(`f${style.colour}`);
    found.push([text, names.join(" ")]);
  };
  for (const match of line.matchAll(SEQUENCE)) {
    push(line.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[2] === "m") style = change(style, (match[1] || "0").split(/[;:]/).map(Number));
  }
  push(line.slice(from));
  return found;
}

