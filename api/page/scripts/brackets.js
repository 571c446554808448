// Angle brackets in prompts: which of them enclose a concept's name, in any spelling, and which are text.
// The rule is the service's, dti/spec/brackets.py; a test compares the two.

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/u;
/** Look-alikes that are quotation marks as well. */
const QUOTES = "«»‹›《》〈〉";
const OPEN = String.raw`(?:\\?<|&(?:lt|LT|#0*60|#[xX]0*3[cC]);|[＜﹤˂ᐸ⟨〈❬❮❰⟪⟬«‹《〈])`;
const CLOSE = String.raw`(?:\\?>|&(?:gt|GT|#0*62|#[xX]0*3[eE]);|[＞﹥˃ᐳ⟩〉❭❯❱⟫⟭»›》〉])`;
const INNER = `(?:(?!${OPEN}|${CLOSE}).){1,200}?`;
/** Innermost brackets, doubled or single. */
const PAIR = new RegExp(`${OPEN}${OPEN}(${INNER})${CLOSE}${CLOSE}|${OPEN}(${INNER})${CLOSE}`, "gsu");
const DASHES = /[‐‑‒–—―−﹣－]/gu;
const ARROW_OR_COMPARISON = /^(?:=|[-~]+\s)/u;
const HEART = /^\/?3+[\s,.!?)].*\s$/su;
const NUMBER = /^[-+]?[\p{Nd}.,]*\p{Nd}\S{0,3}$/u;
const LETTER = /^\p{L}$/u;
const ALPHANUMERIC = /[\p{L}\p{N}]/u;

/**
 * The texts between angle brackets that name concepts, in order.
 *
 * @param {string} prompt
 * @returns {{ start: number, end: number, name: string }[]}
 */
export function bracketed(prompt) {
  return [...prompt.matchAll(PAIR)]
    .map((match) => {
      const inner = match[1] ?? match[2];
      const end = match.index + match[0].length;
      const isText = isPlain(prompt.slice(0, match.index), match[0], inner, prompt.slice(end));
      return { start: match.index, end, name: nameOf(inner), isText };
    })
    .filter(({ isText }) => !isText)
    .map(({ start, end, name }) => ({ start, end, name }));
}

/** The concept's name that a text spells, or the text itself. */
function nameOf(inner) {
  const text = inner
    .normalize("NFKC")
    .replaceAll(/\p{Cf}/gu, "")
    .trim();
  if (NAME.test(text)) return text;
  const spelled = text
    .toLowerCase()
    .replaceAll(DASHES, "-")
    .replaceAll(/[\s_]+/gu, "-")
    .replaceAll(/^-+|-+$/gu, "");
  return NAME.test(spelled) ? spelled : words(text).join(" ").slice(0, 80);
}

function isPlain(before, pair, inner, after) {
  if (!ALPHANUMERIC.test(inner)) return true;
  if (ARROW_OR_COMPARISON.test(inner) || (after.startsWith("=") && /\s$/u.test(inner))) return true;
  // A name in a prompt has no spaces, and only ASCII letters; a quotation mostly differs.
  if (QUOTES.includes(pair[0])) return words(inner).length > 1 || !NAME.test(nameOf(inner));
  return HEART.test(inner) || isRelation(before, inner, after);
}

/** Whether `<` and `>` compare: "x < y and y > z", "1 < 2 > 0". */
function isRelation(before, inner, after) {
  const between = words(inner);
  const left = words(before).at(-1) ?? "";
  const right = (words(after)[0] ?? "").replace(/[,.;:!?)]+$/u, "");
  if (between.length === 1) {
    const isLoose = /^\s.*\s$/su.test(inner);
    return [left, between[0], right].every((text) => NUMBER.test(text) || (isLoose && LETTER.test(text)));
  }
  const compares = [left, between[0]].some(isOperand) && [between.at(-1), right].some(isOperand);
  const isTight = /[\p{L}\p{N}]$/u.test(before) && /^[\p{L}\p{N}]/u.test(after);
  return compares && (/\s$/u.test(inner) || isTight);
}

/** Whether a text is a variable of one letter, or a number with its unit. */
function isOperand(text) {
  return LETTER.test(text) || NUMBER.test(text);
}

function words(text) {
  return text.split(/\s+/u).filter(Boolean);
}
