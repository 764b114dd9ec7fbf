// The list: pages that come and go as it is scrolled, which row has the focus, which are chosen, how they look.
//
// For whoever hears of changes (live.js): refreshRow(thread), insertTop(), counts({slug: {messages, unread, count, bright}}),
// or an event "mail:changed" on document with {box, threads, counts}.
import { parsed, part, placed } from "./ask.js";

const MOST = 300;
const NEAR = "600px";

let bound = null;
let pages = [];
let above = [];
let busy = false;
let watcher = null;
let anchor = null;
const picked = new Set();

export const listing = () => document.getElementById("listing");
export const list = () => { const found = document.getElementById("list"); return found && listing() ? found : null; };
export const rows = () => (list() ? [...list().querySelectorAll(".msg-row")] : []);
export const rowOf = (thread) => document.getElementById("t" + thread);
export const threadOf = (row) => row.id.slice(1);
export const linkOf = (row) => row.querySelector(".msg-row__link");
export const pathOf = (row) => linkOf(row).getAttribute("href");
const more = () => list().querySelector(".msg-list__more");
const nodesOf = (html) => [...parsed(html).children];

// The address of the list, with what narrows it (a filter, a search) and more.
export function query(extra = {}) {
  const home = listing().dataset;
  const words = new URLSearchParams(home.query || "");
  if (home.show !== "all") words.set("show", home.show);
  for (const [name, value] of Object.entries(extra)) words.set(name, value);
  const asked = words.toString();
  return home.base + (asked ? "?" + asked : "");
}

// --- pages ---------------------------------------------------------------------------------------------------------------

// Begin with the list that stands in the page now.
export function bind() {
  const now = list();
  if (bound === now && now) return;
  bound = now;
  above = [];
  picked.clear();
  anchor = null;
  if (watcher) watcher.disconnect();
  if (!listing()) return;
  listing().querySelectorAll("[data-select]").forEach((button) => { button.hidden = false; });
  choosing();
  if (!now) return;
  const asked = new URLSearchParams(location.search);
  const from = ["before", "date"].find((name) => asked.has(name));
  const late = listing().dataset.first === "no" && from;
  pages = [{ url: query(late ? { rows: "1", [from]: asked.get(from) } : { rows: "1" }), nodes: [...now.children].filter(isContent) }];
  watcher = new IntersectionObserver(seen, { root: now, rootMargin: NEAR });
  now.querySelectorAll(".msg-list__more").forEach((one) => watcher.observe(one));
  settle(now);
  rove(now.querySelector(".msg-row--selected") || now.querySelector(".msg-row"));
}

function isContent(node) {
  return node.matches(".msg-row, .msg-list__day");
}

function seen(entries) {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    if (entry.target.matches(".msg-list__more")) extend();
    else restore();
  }
}

// New rows: out of the order of Tab until they have their turn, chosen again if they were.
function settle(root) {
  root.querySelectorAll(".msg-row").forEach((row) => {
    row.querySelectorAll("a, input, button").forEach((one) => { one.tabIndex = -1; });
    const box = row.querySelector("input");
    box.checked = picked.has(box.value);
    row.classList.toggle("msg-row--checked", box.checked);
  });
}

function put(nodes, before) {
  const holder = document.createElement("div");
  holder.append(...nodes.filter((node) => !(node.id && document.getElementById(node.id))));
  settle(holder);
  const placedNow = [...holder.children];
  before(placedNow);
  placed(list());
  return placedNow;
}

export async function extend() {
  const at = list() && more();
  if (!at || busy) return;
  busy = true;
  const here = bound;
  const url = at.querySelector("a").getAttribute("href");
  try {
    const nodes = nodesOf(await part(url));
    if (here !== list() || !at.isConnected) return;
    const fresh = put(nodes, (some) => at.replaceWith(...some));
    pages.push({ url, nodes: fresh.filter(isContent) });
    fresh.filter((node) => node.matches(".msg-list__more")).forEach((node) => watcher.observe(node));
    idle(trim);
  } catch {
    watcher.unobserve(at); // the link stays, for whoever wants to try again
  } finally {
    busy = false;
  }
}

function idle(work) {
  if (window.requestIdleCallback) window.requestIdleCallback(work, { timeout: 500 });
  else setTimeout(work, 200);
}

// At most 300 rows: what is far away goes; above, room is kept for it.
function trim() {
  const here = list();
  while (here && rows().length > MOST && pages.length > 2) {
    if (here.scrollTop > (here.scrollHeight - here.clientHeight) / 2) dropFirst(here);
    else dropLast();
  }
}

function dropFirst(here) {
  const page = pages.shift();
  const before = here.scrollHeight;
  const space = here.querySelector(".msg-list__space") || spaceAt(page.nodes[0]);
  page.nodes.forEach((node) => node.remove());
  const height = before - here.scrollHeight;
  above.push({ url: page.url, height });
  grow(space, height);
}

function spaceAt(node) {
  const made = document.createElement("li");
  made.className = "msg-list__space";
  made.setAttribute("aria-hidden", "true");
  node.before(made);
  made.style.height = "0px";
  watcher.observe(made);
  return made;
}

function grow(space, height) {
  space.style.height = Math.max(0, parseFloat(space.style.height) + height) + "px";
}

function dropLast() {
  const page = pages.pop();
  const at = more() || lastMore();
  page.nodes.forEach((node) => node.remove());
  const url = new URL(page.url, location.href);
  at.querySelector("a").setAttribute("href", url.pathname + url.search);
  watcher.unobserve(at);
  watcher.observe(at);
}

function lastMore() {
  const made = parsed('<li class="msg-list__more"><a class="btn">…</a></li>').firstElementChild;
  list().append(made);
  return made;
}

async function restore() {
  const here = list();
  const space = here && here.querySelector(".msg-list__space");
  if (!space || busy || !above.length) return;
  busy = true;
  try {
    const far = above.length > 3 && here.scrollTop < here.clientHeight;
    const page = far ? null : above.at(-1);
    if (far) {
      const nodes = nodesOf(await part(query({ rows: "1" })));
      if (here !== list()) return;
      here.replaceChildren();
      bound = null;
      here.append(...nodes);
      const kept = new Set(picked);
      bind();
      kept.forEach((thread) => picked.add(thread));
      settle(here);
      choosing();
      return;
    }
    const nodes = nodesOf(await part(page.url)).filter(isContent);
    if (here !== list() || above.at(-1) !== page) return;
    above.pop();
    const fresh = put(nodes, (some) => space.after(...some));
    pages.unshift({ url: page.url, nodes: fresh });
    grow(space, -page.height);
    if (above.length) {
      watcher.unobserve(space);
      watcher.observe(space);
    } else space.remove();
    idle(trim);
  } catch {
    watcher.unobserve(space);
  } finally {
    busy = false;
  }
}

// --- the focus -----------------------------------------------------------------------------------------------------------

// One row is in the order of Tab.
function rove(row) {
  if (!row || !list()) return;
  list().querySelectorAll("[tabindex='0']").forEach((one) => { one.tabIndex = -1; });
  row.querySelectorAll("a, input, button").forEach((one) => { one.tabIndex = 0; });
}

export function focusedRow() {
  const at = document.activeElement;
  return at && list() && list().contains(at) ? at.closest(".msg-row") : null;
}

export function selectedRow() {
  return list() && list().querySelector(".msg-row--selected");
}

export function focusRow(row) {
  if (!row || !row.isConnected) return;
  rove(row);
  linkOf(row).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

// The row beside: of the focus, else of what is open; without either the first.
export function beside(by, from = focusedRow() || selectedRow()) {
  const all = rows();
  if (!from) return all[0] || null;
  const at = all.indexOf(from) + by;
  if (at >= all.length - 5) extend();
  return all[at] || null;
}

// Which conversation is open.
export function select(thread) {
  document.querySelectorAll(".msg-row--selected").forEach((row) => {
    row.classList.remove("msg-row--selected");
    linkOf(row).removeAttribute("aria-current");
  });
  const row = thread && rowOf(thread);
  if (!row || !row.matches(".msg-row")) return;
  row.classList.add("msg-row--selected");
  linkOf(row).setAttribute("aria-current", "true");
  if (!focusedRow()) rove(row);
}

// --- several at once -----------------------------------------------------------------------------------------------------

export const chosen = () => [...picked];

function choosing() {
  const place = listing();
  if (!place) return;
  place.classList.toggle("mail__list--chosen", picked.size > 0);
  const count = place.querySelector(".bulk__n");
  if (count) count.textContent = count.dataset.many.replace("{n}", number(picked.size));
}

export function choose(row, on = !picked.has(threadOf(row))) {
  const box = row.querySelector("input");
  box.checked = on;
  row.classList.toggle("msg-row--checked", on);
  if (on) picked.add(box.value);
  else picked.delete(box.value);
  anchor = row;
  choosing();
}

export function chooseAll(on) {
  rows().forEach((row) => choose(row, on));
  if (!on) picked.clear();
  choosing();
}

document.addEventListener("change", (event) => {
  const box = event.target.closest(".msg-row__check input");
  if (box) choose(box.closest(".msg-row"), box.checked);
});

// Shift and a click choose everything between.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-select]");
  if (button) chooseAll(button.dataset.select === "all");
  const box = event.target.closest(".msg-row__check input");
  if (!box || !event.shiftKey || !anchor || !anchor.isConnected) return;
  const all = rows();
  const ends = [all.indexOf(anchor), all.indexOf(box.closest(".msg-row"))].sort((a, b) => a - b);
  all.slice(ends[0], ends[1] + 1).forEach((row) => choose(row, box.checked));
});

document.addEventListener("focusin", (event) => {
  const row = event.target.closest && event.target.closest("#list .msg-row");
  if (row) rove(row);
});

// --- how rows look -------------------------------------------------------------------------------------------------------

const LOOKS = {
  read: (row) => {
    row.classList.remove("msg-row--unread");
    row.querySelectorAll(".msg-row__unread, .msg-row__link > .visually-hidden").forEach((mark) => mark.remove());
  },
  unread: (row) => {
    if (row.classList.contains("msg-row--unread")) return;
    row.classList.add("msg-row--unread");
    row.prepend(Object.assign(document.createElement("span"), { className: "msg-row__unread" }));
  },
  star: (row) => starred(row, true),
  unstar: (row) => starred(row, false),
};

function starred(row, on) {
  const button = row.querySelector(".msg-row__star");
  button.setAttribute("aria-pressed", String(on));
  button.value = (on ? "unstar:" : "star:") + threadOf(row);
}

export const isStarred = (row) => row.querySelector(".msg-row__star").getAttribute("aria-pressed") === "true";

// Show what is done to rows; returns what shows them as they were.
export function mark(verb, threads) {
  const before = threads.map(rowOf).filter(Boolean).map((row) => {
    const was = [row.classList.contains("msg-row--unread") ? "unread" : "read", isStarred(row) ? "star" : "unstar"];
    LOOKS[verb](row);
    return [threadOf(row), was];
  });
  return () => before.forEach(([thread, was]) => {
    const row = rowOf(thread);
    if (row) was.forEach((look) => LOOKS[look](row));
  });
}

// Take rows away; returns what brings them back, and says whether it could.
export function remove(threads) {
  const here = list();
  const gone = threads.map(rowOf).filter((row) => row && here && here.contains(row));
  gone.sort((a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
  const places = gone.map((row) => ({ row, after: row.nextElementSibling, before: row.previousElementSibling }));
  gone.forEach((row) => {
    picked.delete(threadOf(row));
    row.remove();
  });
  choosing();
  return () => {
    if (!here || here !== list()) return false;
    let all = gone.length === threads.length;
    for (const { row, after, before } of places.reverse()) {
      if (rowOf(threadOf(row))) continue;
      if (after && after.isConnected) after.before(row);
      else if (before && before.isConnected) before.after(row);
      else all = false;
      row.classList.remove("msg-row--checked", "msg-row--selected");
      row.querySelector("input").checked = false;
    }
    return all;
  };
}

// --- numbers -------------------------------------------------------------------------------------------------------------

function number(value) {
  return new Intl.NumberFormat(document.documentElement.lang).format(value);
}

export function counts(boxes) {
  for (const [slug, stand] of Object.entries(boxes)) {
    document.querySelectorAll(".nav__link[data-slug='" + CSS.escape(slug) + "'] .nav__count").forEach((mark) => {
      mark.textContent = number(stand.count);
      mark.hidden = !stand.count;
      mark.classList.toggle("nav__count--new", stand.bright);
    });
    if (listing() && listing().dataset.box === slug) head(stand);
  }
}

function head(stand) {
  const place = listing();
  const line = place.querySelector(".list-head__count");
  const told = stand.messages === 1 ? line.dataset.one : line.dataset.many;
  line.textContent = told.replace("{n}", number(stand.messages)) + (stand.unread ? line.dataset.also.replace("{n}", number(stand.unread)) : "");
  place.dataset.unread = stand.unread;
  if (!document.querySelector("#read .thread")) title();
}

export function title() {
  const { name, brand, unread } = listing().dataset;
  document.title = name + (Number(unread) ? " (" + unread + ")" : "") + " · " + brand;
}

// --- what changed elsewhere ----------------------------------------------------------------------------------------------

// A fresh row in the place of an old one, chosen, open and focused as that was.
function replace(old, fresh) {
  const focus = old.contains(document.activeElement) && document.activeElement;
  const way = focus ? ["msg-row__link", "checkbox", "msg-row__star"].find((name) => focus.classList.contains(name)) : null;
  const open = old.classList.contains("msg-row--selected");
  const holder = document.createElement("div");
  holder.append(fresh);
  settle(holder);
  old.replaceWith(fresh);
  pages.forEach((page) => { page.nodes = page.nodes.map((node) => (node === old ? fresh : node)); });
  if (open) select(threadOf(fresh));
  if (way) {
    rove(fresh);
    fresh.querySelector("." + way).focus({ preventScroll: true });
  }
}

export async function refreshRow(thread) {
  if (!list() || !rowOf(thread)) return;
  const here = bound;
  const fresh = parsed(await part(query({ rows: "1", only: thread }))).querySelector(".msg-row");
  const old = rowOf(thread);
  if (here !== list() || !old) return;
  if (fresh) replace(old, fresh);
  else remove([thread]);
}

// The first page anew: what came stands on top, what moved is in its place, what is further down stays. Returns how many came.
export async function insertTop() {
  const here = list();
  if (!here || above.length || listing().dataset.first === "no" || !pages.length) return 0;
  const fresh = nodesOf(await part(pages[0].url));
  if (here !== list() || above.length) return 0;
  const keep = firstSeen(here);
  const focus = focusedRow();
  const came = fresh.filter((node) => node.matches(".msg-row") && !rowOf(threadOf(node))).length;
  const open = selectedRow() && threadOf(selectedRow());
  const merged = [...fresh.filter(isContent), ...below(fresh)];
  fresh.filter((node) => node.matches(".msg-row")).forEach((node) => { const old = rowOf(threadOf(node)); if (old) old.remove(); });
  pages[0].nodes.forEach((node) => node.remove());
  const holder = document.createElement("div");
  holder.append(...merged);
  settle(holder);
  const newest = here.querySelector(".msg-list__newest");
  if (newest) newest.after(...merged);
  else here.prepend(...merged);
  pages[0].nodes = merged;
  if (open) select(open);
  const again = focus && rowOf(threadOf(focus));
  if (again) focusRowQuietly(again);
  else if (!here.querySelector("[tabindex='0']")) rove(rows()[0]);
  if (keep.row && rowOf(keep.row) && here.scrollTop > 0) here.scrollTop += rowOf(keep.row).getBoundingClientRect().top - keep.top;
  return came;
}

function focusRowQuietly(row) {
  rove(row);
  linkOf(row).focus({ preventScroll: true });
}

function firstSeen(here) {
  const edge = here.getBoundingClientRect().top;
  const row = rows().find((one) => one.getBoundingClientRect().bottom > edge);
  return row ? { row: threadOf(row), top: row.getBoundingClientRect().top } : { row: null, top: 0 };
}

// Rows of the old first page that a full new one has no room for: they are as old as its last, or older.
function below(fresh) {
  const latest = fresh.filter((node) => node.matches(".msg-row")).at(-1);
  if (!latest || !fresh.some((node) => node.matches(".msg-list__more"))) return [];
  const date = (row) => row.querySelector("time").dateTime;
  const named = new Set(fresh.map((node) => node.id).filter(Boolean));
  const found = [];
  let heading = null;
  let last = fresh.filter((node) => node.matches(".msg-list__day")).at(-1);
  for (const node of pages[0].nodes) {
    if (node.matches(".msg-list__day")) heading = node;
    else if (node.isConnected && !named.has(node.id) && date(node) <= date(latest)) {
      if (heading && (!last || heading.textContent !== last.textContent)) found.push((last = heading));
      heading = null;
      found.push(node);
    }
  }
  return found;
}

document.addEventListener("mail:changed", async (event) => {
  const { box, threads = [], counts: stand } = event.detail;
  if (stand) counts(stand);
  if (!listing() || ![box, "starred", "search"].includes(listing().dataset.box)) return;
  const known = threads.filter((thread) => rowOf(thread));
  if (known.length < threads.length && listing().dataset.box !== "search") await insertTop();
  else await Promise.all(known.map((thread) => refreshRow(thread)));
});
