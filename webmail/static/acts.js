// What is done to conversations: the page shows it at once, the server is told behind it, and a toast offers to undo it.
import { forget } from "./prefetch.js";
import { post, root } from "./ask.js";
import { readable, thread } from "./thread.js";
import { adopt, failed, show, undoLast } from "./toast.js";
import { beside, chooseAll, chosen, counts, focusedRow, focusRow, insertTop, isStarred, listing, mark, remove, rowOf, threadOf } from "./list.js";
import { close, load, moveOn, refill } from "./pane.js";

const MOVES = new Set(["archive", "trash", "junk", "inbox", "move"]);
const STARRED_LEAVES = new Set(["trash", "junk", "unstar"]);
const FOUND_LEAVES = new Set(["trash", "junk"]);
const MOST = 400;
const SAME = { archive: "archive", trash: "trash", junk: "junk", inbox: "inbox" };

let pending = Promise.resolve();

// What an action would take: those that are chosen, else what has the focus, else what is open.
export function targets() {
  if (chosen().length) return chosen();
  const row = focusedRow();
  if (row) return [threadOf(row)];
  return thread() ? [thread().dataset.id] : [];
}

function leaves(verb) {
  const { box } = listing().dataset;
  return box === "starred" ? STARRED_LEAVES.has(verb) : box === "search" ? FOUND_LEAVES.has(verb) : MOVES.has(verb);
}

export function act(verb, some = targets(), { to = "", on = 1 } = {}) {
  const threads = some.slice(0, MOST);
  const box = listing() && listing().dataset.box;
  if (!box || !threads.length || SAME[verb] === box) return;
  const open = thread() && threads.includes(thread().dataset.id) ? thread() : null;
  const back = leaves(verb) ? takeAway(threads, open, on) : mark(verb, threads);
  if (open && !leaves(verb)) shown(verb, open);
  if (chosen().length) chooseAll(false);
  forget();
  const path = listing().dataset.base + "/act";
  const fields = [["do", verb], ...threads.map((one) => ["thread", one])];
  if (to) fields.push(["to", to]);
  pending = pending.then(() => send(path, fields, back, threads, box));
}

// Rows go; where one of them is open or has the focus, the next one has it then.
function takeAway(threads, open, on) {
  const from = open ? rowOf(threads.find((one) => one === open.dataset.id)) : focusedRow();
  const next = from && nearest(from, threads, on);
  const focus = focusedRow() && threads.includes(threadOf(focusedRow()));
  const back = remove(threads);
  if (open) moveOn(next);
  else if (focus && next) focusRow(next);
  if (!document.querySelector("#list .msg-row")) pending = pending.then(() => setTimeout(refill));
  return back;
}

function nearest(from, threads, on) {
  for (const way of [on, -on]) {
    let row = beside(way, from);
    while (row && threads.includes(threadOf(row))) row = beside(way, row);
    if (row) return row;
  }
  return null;
}

function shown(verb, open) {
  const star = document.querySelector(".read__bar .msg-star");
  if (verb === "read" || verb === "unread") readable(open, verb === "read");
  if (verb === "unread") close();
  if (verb !== "star" && verb !== "unstar") return;
  star.setAttribute("aria-pressed", String(verb === "star"));
  star.value = (verb === "star" ? "unstar:" : "star:") + open.dataset.id;
}

async function send(path, fields, back, threads, box) {
  let told;
  try {
    told = await (await post(path, fields)).json();
  } catch (error) {
    if (back() === false) insertTop();
    failed(error);
    return;
  }
  counts(told.counts);
  if (told.text) show(told.text, told.done ? () => { pending = pending.then(() => undo(told.done, back, threads, box)); } : null);
}

async function undo(done, back, threads, box) {
  let told;
  try {
    told = await (await post(root() + "/undo", [["done", done]])).json();
  } catch (error) {
    failed(error);
    return;
  }
  forget();
  if (listing() && listing().dataset.box === box) {
    if (!document.querySelector("#list .msg-row")) refill();
    else if (back() === false) await insertTop();
    else if (rowOf(threads[0])) focusRow(rowOf(threads[0]));
  }
  counts(told.counts);
  const open = thread();
  if (open && threads.includes(open.dataset.id) && rowOf(open.dataset.id)) {
    const row = rowOf(open.dataset.id);
    readable(open, !row.classList.contains("msg-row--unread"));
    shown(isStarred(row) ? "star" : "unstar", open);
  }
  show(told.text);
}

// What is on its way comes first.
export function undoNow() {
  pending = pending.then(undoLast);
}

export function star() {
  const threads = targets();
  const on = threads.some((one) => rowOf(one) && !isStarred(rowOf(one)));
  act(on || !threads.some(rowOf) ? "star" : "unstar", threads);
}

export function junk() {
  act(listing().dataset.box === "junk" || (thread() && thread().dataset.home === "junk") ? "inbox" : "junk");
}

// The buttons of the list and of the open conversation are forms that work without us.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || button.name !== "do" || !event.target.matches("#acts, .read__bar") || !listing()) return;
  const [verb, single] = button.value.split(":");
  if (verb === "move") return;
  event.preventDefault();
  act(verb, single ? [single] : chosen());
});

export function begin() {
  adopt((done) => { pending = pending.then(() => undo(done, () => false, [], "")).then(() => load(location.pathname + location.search, { push: false, focus: false })); });
}
