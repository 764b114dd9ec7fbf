// Conversations that will probably be opened next, fetched before: under the pointer or the focus for a moment, or next in
// the list. They are kept in this page's memory alone, for a little while.
import { part } from "./ask.js";

const MOST = 20;
const FRESH = 60000;
const REST = 80;

const kept = new Map();
let timer = 0;

export function want(path) {
  const found = kept.get(path);
  if (found && performance.now() - found.at < FRESH) return found.html;
  const html = part(path);
  html.catch(() => kept.delete(path));
  kept.delete(path);
  kept.set(path, { html, at: performance.now() });
  if (kept.size > MOST) kept.delete(kept.keys().next().value);
  return html;
}

// To be shown now: what was kept is used once, since opening changes it.
export function take(path) {
  const html = want(path);
  kept.delete(path);
  return html;
}

export function forget() {
  kept.clear();
}

function rest(event) {
  clearTimeout(timer);
  const row = event.target.closest && event.target.closest(".msg-row");
  const link = row && row.querySelector(".msg-row__link");
  if (!link || (navigator.connection && navigator.connection.saveData)) return;
  timer = setTimeout(() => {
    if (link.isConnected && !row.classList.contains("msg-row--selected")) want(link.getAttribute("href"));
  }, REST);
}

document.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse") rest(event); });
document.addEventListener("focusin", rest);
document.addEventListener("mail:changed", forget);
