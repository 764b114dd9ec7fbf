// Live mail: one stream of events for all tabs of a browser, and what the open page makes of it.
//
// The tab that holds the lock listens and tells the others; when it goes, the next one does. `last` is the number up to
// which this page knows its account, so that nothing is missed between a page and its stream, or while a stream is broken.
import { parsed, part, root } from "./ask.js";
import { chosen, counts, insertTop, list, listing, refreshRow, rowOf, rows } from "./list.js";
import { load, refill } from "./pane.js";
import { frames, thread } from "./thread.js";
import { begin as remind } from "./sent.js";
import { show } from "./toast.js";

const REST = 150;
const ROWS_MOST = 20;
const RETRY = 3000;
const TRIES = [2000, 5000, 15000, 60000];
const QUIET = new Set(["drafts", "trash", "junk"]);

const place = document.getElementById("live");
const name = "mail-" + place.dataset.me;
const channel = new BroadcastChannel(name);

let last = Number((listing() && listing().dataset.since) || -1);
let source = null;
let release = null;
let waiting = null;
let tries = 0;
let ended = false;

// --- the stream ----------------------------------------------------------------------------------------------------------

function listen() {
  source = new EventSource(root() + "/events" + (last < 0 ? "" : "?since=" + last));
  for (const kind of ["hello", "mail", "reload", "end"]) {
    source.addEventListener(kind, (event) => {
      const told = { kind, id: Number(event.lastEventId), data: JSON.parse(event.data) };
      channel.postMessage(told);
      hear(told);
    });
  }
  source.addEventListener("open", () => {
    tries = 0;
    ended = false;
    place.dataset.listening = "yes";
  });
  // a broken line mends itself; a refusal does not
  source.addEventListener("error", () => {
    if (source && source.readyState === EventSource.CLOSED) again();
  });
}

function again() {
  if (ended) {
    show(place.dataset.ended, null, 3600);
    return;
  }
  setTimeout(() => { if (source) listen(); }, TRIES[Math.min(tries, TRIES.length - 1)]);
  tries += 1;
}

function begin() {
  channel.postMessage({ kind: "ask" });
  if (!navigator.locks) {
    listen();
    return;
  }
  waiting = new AbortController();
  navigator.locks
    .request(name, { signal: waiting.signal }, () => new Promise((done) => { release = done; listen(); }))
    .catch(() => {});
}

function stop() {
  if (waiting) waiting.abort();
  if (source) source.close();
  if (release) release();
  source = release = null;
}

function hear({ kind, id, data }) {
  if (kind === "ask" && source) channel.postMessage({ kind: "at", id: last });
  if (kind === "at" && last >= 0 && id > last) {
    last = id;
    top = true;
    soon(0);
  }
  if (kind === "end" && source) {
    // another session may have taken the place of the one that ended
    source.close();
    ended = true;
    setTimeout(() => { if (source) listen(); }, 1000);
  }
  if (kind === "reload") {
    last = id;
    sidebar();
    document.dispatchEvent(new CustomEvent("mail:changed", { detail: {} }));
    top = true;
    soon(0);
  } else if (kind === "hello") {
    last = Math.max(last, id);
  } else if (kind === "mail" && id > last) {
    last = id;
    changed(data);
  }
}

channel.addEventListener("message", (event) => hear(event.data));
addEventListener("pagehide", stop);
addEventListener("pageshow", (event) => { if (event.persisted) begin(); });

// --- what it means for this page -----------------------------------------------------------------------------------------

let queue = Promise.resolve();
let dirty = new Set();
let gone = new Set();
let top = false;
let came = 0;
let timer = 0;

function later(work) {
  queue = queue.then(work).catch(() => {});
}

// What could not be fetched is fetched a little later: the line may be broken for requests, and not for the stream.
function soon(rest) {
  clearTimeout(timer);
  timer = setTimeout(() => later(follow), rest);
}

function changed({ boxes, tree }) {
  if (tree) sidebar();
  counts(boxes);
  document.dispatchEvent(new CustomEvent("mail:changed", { detail: { boxes } }));
  const fresh = boxes.inbox ? boxes.inbox.new : 0;
  if (fresh) say(number(fresh, place.dataset.one, place.dataset.many));
  conversation(boxes);
  const here = listing() && listing().dataset.box;
  for (const [box, happened] of Object.entries(boxes)) {
    happened.threads.forEach((one) => dirty.add(String(one)));
    if (box === here) {
      happened.gone.forEach((uid) => gone.add(String(uid)));
      top = top || happened.many;
      came += box === "inbox" ? fresh : 0;
    }
  }
  if (here === "starred" || (boxes[here] && boxes[here].threads.some((one) => !rowOf(one)))) top = true;
  soon(REST);
}

// Rows of what changed are made anew; what came is put where it belongs.
async function follow() {
  const known = rows().filter((row) => dirty.has(row.id.slice(1)) || gone.has(row.dataset.uid)).map((row) => row.id.slice(1));
  const whole = top || known.length > ROWS_MOST;
  dirty = new Set();
  gone = new Set();
  top = false;
  try {
    if (whole) await fetchTop();
    else for (const one of known) await refreshRow(one);
  } catch {
    top = true;
    soon(RETRY);
    return;
  }
  if (!whole && known.length && !rows().length) refill();
}

// While somebody chooses among the rows, nothing moves: a button says what waits.
async function fetchTop() {
  if (!listing() || listing().dataset.box === "search") return;
  if (!list()) {
    came = 0;
    refill();
    return;
  }
  if (chosen().length) {
    offer();
    return;
  }
  const count = came;
  came = 0;
  const moved = await insertTop();
  unoffer();
  if (moved === 0 && count) {
    came = count;
    if (!rows().some((row) => row.getBoundingClientRect().bottom > 0 && row === rows()[0]) || listing().dataset.first === "no") offer();
  }
}

function unoffer() {
  document.querySelectorAll("#list > .msg-list__live").forEach((one) => one.remove());
}

function offer() {
  unoffer();
  const made = document.createElement("li");
  made.className = "msg-list__newest msg-list__live";
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "btn btn--sm btn--primary" });
  button.textContent = came ? number(came, place.dataset.one, place.dataset.many) : place.dataset.changed;
  button.addEventListener("click", () => {
    came = 0;
    const { base, show: filter } = listing().dataset;
    load(base + (filter === "all" ? "" : "?show=" + filter), { push: false });
  });
  made.append(button);
  list().prepend(made);
}

function number(count, one, many) {
  return count === 1 ? one : many.replace("{n}", new Intl.NumberFormat(document.documentElement.lang).format(count));
}

function say(text) {
  place.textContent = "";
  setTimeout(() => { place.textContent = text; }, 50);
}

// --- the open conversation -----------------------------------------------------------------------------------------------

const named = (from) => [...from.querySelectorAll(".thread > .msg[data-message]")];

function conversation(boxes) {
  const open = thread();
  if (!open) return;
  const touched = Object.entries(boxes).some(([box, one]) => !QUIET.has(box) && one.came.includes(Number(open.dataset.id)));
  if (touched) later(() => look(open));
}

async function look(open) {
  const answer = parsed(await part(root() + "/mail/" + open.dataset.box + "/t" + open.dataset.id));
  if (open !== thread()) return;
  const have = new Set(named(document).map((one) => one.dataset.message));
  const fresh = named(answer).filter((one) => !have.has(one.dataset.message));
  if (!fresh.length) return;
  say(place.dataset.here);
  open.querySelectorAll(".thread__live").forEach((one) => one.remove());
  const bar = open.querySelector(".reply-bar");
  const made = document.createElement("p");
  made.className = "thread__live";
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "btn btn--primary", textContent: place.dataset.here });
  button.addEventListener("click", () => {
    made.replaceWith(...fresh);
    // how the newest one is answered; what somebody is writing there stays
    const other = answer.querySelector(".reply-bar");
    if (bar && other && !bar.contains(document.activeElement)) bar.replaceWith(other);
    if (answer.querySelector(".thread[data-unread]")) open.setAttribute("data-unread", "");
    frames(document.getElementById("read"));
    fresh[0].focus({ preventScroll: true });
    fresh[0].scrollIntoView({ block: "start" });
  });
  made.append(button);
  if (bar) bar.before(made);
  else open.append(made);
}

// --- the sidebar ---------------------------------------------------------------------------------------------------------

async function sidebar() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelectorAll(".sidebar > .nav, .sidebar > .nav--labels");
  const old = document.querySelectorAll(".sidebar > .nav, .sidebar > .nav--labels");
  if (!fresh.length || !old.length) return;
  old[0].before(...fresh);
  old.forEach((one) => one.remove());
}

// A list that was fetched before something happened, and shown after it.
new MutationObserver(() => {
  const since = Number((listing() && listing().dataset.since) || last);
  if (last > since && !listing().dataset.late) {
    listing().dataset.late = "yes";
    top = true;
    soon(0);
  }
}).observe(document.getElementById("main"), { childList: true });

begin();
remind(place.dataset.sent);
