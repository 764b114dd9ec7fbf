// The keyboard: single keys, and two one after the other. They rest while somebody types or a dialog is open, and all of them
// but F6 and Escape can be turned off (webmail.framing holds the table that people read).
import { act, junk, star, undoNow } from "./acts.js";
import { help, isOpen, moving } from "./dialog.js";
import { message, thread, unfold } from "./thread.js";
import { close, load, openRow } from "./pane.js";
import { beside, choose, chooseAll, chosen, focusedRow, focusRow, list, listing, selectedRow } from "./list.js";
import { root } from "./ask.js";

const WAIT = 1500;
const TYPES = new Set(["checkbox", "radio", "button", "submit", "reset", "file", "range", "color"]);

let first = "";
let timer = 0;

function typing(target) {
  if (!target || !target.matches) return false;
  if (target.matches("textarea, select") || target.isContentEditable) return true;
  return target.matches("input") && !TYPES.has(target.type);
}

// A key by its name: letters small, with "Shift+" where Shift is held; other signs as they are written.
function named(event) {
  let key = event.key;
  // where the layout has other letters, the place of the key counts
  if (key.length === 1 && key > "\u007f" && event.code.startsWith("Key")) key = event.code.slice(3);
  if (/^[a-z]$/i.test(key)) return (event.shiftKey ? "Shift+" : "") + key.toLowerCase();
  return key;
}

// --- what they do --------------------------------------------------------------------------------------------------------

function step(by) {
  const row = beside(by);
  if (!row) return;
  focusRow(row);
  if (thread()) openRow(row, { focus: false, ahead: by });
}

// Arrows scroll a conversation that has the focus, and change a field's value.
function arrow(by, event) {
  const at = event.target;
  if (at.ownerDocument !== document || (at !== document.body && !(list() && list().contains(at)) && at !== document.documentElement)) return false;
  step(by);
  return true;
}

function extendTo(by) {
  const now = focusedRow() || selectedRow();
  if (now) choose(now, true);
  const next = beside(by);
  if (!next) return;
  focusRow(next);
  choose(next, true);
}

function pick() {
  const row = focusedRow() || selectedRow();
  if (row) choose(row);
}

function enter(event) {
  const at = event.target;
  if (at.ownerDocument === document && at.closest("a, button, input, summary, select, details")) return false;
  return openNow();
}

function openNow() {
  const row = focusedRow() || selectedRow();
  if (!row) return false;
  openRow(row, { focus: true });
  return true;
}

function leave() {
  if (chosen().length) chooseAll(false);
  else if (thread()) close();
  else return false;
  return true;
}

function press(key) {
  const found = [...document.querySelectorAll("[data-key='" + key + "']")].find((one) => one.offsetParent !== null) || document.querySelector("[data-key='" + key + "']");
  if (!found) return false;
  found.click();
  return true;
}

function archiveAnd(by) {
  if (thread()) act("archive", [thread().dataset.id], { on: by });
}

function go(slug) {
  const path = root() + "/mail/" + slug;
  if (listing()) load(path);
  else location.assign(path);
}

function search() {
  const field = document.getElementById("q");
  if (!field) return false;
  field.focus();
  field.select();
  return true;
}

// The parts of the page, one after the other.
function cycle(by) {
  const parts = [
    () => document.querySelector(".sidebar [aria-current], .sidebar .nav__link"),
    () => (selectedRow() && selectedRow().querySelector(".msg-row__link")) || document.querySelector("#list .msg-row__link[tabindex='0'], #list a"),
    () => document.querySelector("#read .read__scroll"),
  ];
  const homes = [".sidebar", "#listing", "#read"];
  const now = homes.findIndex((home) => document.activeElement && document.activeElement.closest(home));
  for (let n = 1; n <= parts.length; n += 1) {
    const place = parts[(((now < 0 ? (by > 0 ? -1 : 0) : now) + by * n) % 3 + 3) % 3]();
    if (place && place.offsetParent !== null) {
      place.focus();
      return;
    }
  }
}

const KEYS = {
  j: () => step(1), k: () => step(-1),
  ArrowDown: (event) => arrow(1, event), ArrowUp: (event) => arrow(-1, event),
  Enter: enter, o: openNow, u: () => close(), Escape: leave,
  x: pick, "Shift+j": () => extendTo(1), "Shift+k": () => extendTo(-1),
  "* a": () => chooseAll(true), "* n": () => chooseAll(false),
  e: () => act("archive"), "#": () => act("trash"), Delete: () => act("trash"), "!": () => junk(),
  s: () => star(), "Shift+i": () => act("read"), "Shift+u": () => act("unread"), v: () => moving(),
  "[": () => archiveAnd(-1), "]": () => archiveAnd(1), z: () => undoNow(),
  ";": () => unfold(true), ":": () => unfold(false), p: () => message(-1), n: () => message(1),
  c: () => press("c"), r: () => press("r"), a: () => press("a"), f: () => press("f"), "/": search, "?": () => help(),
  "g i": () => go("inbox"), "g s": () => go("starred"), "g t": () => go("sent"), "g d": () => go("drafts"),
  "g a": () => go("archive"), "g j": () => go("junk"), "g ,": () => press("g ,"),
};
const PREFIXES = new Set(["g", "*"]);
const REPEATED = new Set(["j", "k", "ArrowDown", "ArrowUp", "Shift+j", "Shift+k"]);
// Keys that are no signs stay when the others are turned off (WCAG 2.1.4).
const ALWAYS = new Set(["Escape", "ArrowDown", "ArrowUp", "Enter", "Delete"]);

export function pressed(event) {
  if (event.defaultPrevented || event.isComposing || event.keyCode === 229 || isOpen()) return;
  if (event.key === "F6" && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    cycle(event.shiftKey ? -1 : 1);
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Shift") return;
  if (typing(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  let key = named(event);
  if (document.querySelector(".shell").dataset.keys === "off" && !ALWAYS.has(key)) return;
  clearTimeout(timer);
  if (first) key = first + " " + key;
  first = "";
  if (PREFIXES.has(key)) {
    first = key;
    timer = setTimeout(() => { first = ""; }, WAIT);
    event.preventDefault();
    return;
  }
  const work = Object.hasOwn(KEYS, key) ? KEYS[key] : null;
  if (!work || (event.repeat && !REPEATED.has(key))) return;
  if (work(event) !== false) event.preventDefault();
}

export function begin() {
  document.addEventListener("keydown", pressed);
  document.addEventListener("mail:key", (event) => pressed(event.detail));
}

