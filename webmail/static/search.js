// The search box: it searches while somebody types, a moment after the last key, at once by Enter. What comes too late is not
// shown. The list, the conversation and the way back are those of every list (pane.js).
import { root } from "./ask.js";
import { listing } from "./list.js";
import { load } from "./pane.js";

const REST = 200;
const CJK = /[\u1100-\u11ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7ff\uf900-\ufaff]/;

let timer = 0;
let came = "";

const box = () => document.getElementById("q");
const searching = () => Boolean(listing() && listing().dataset.box === "search");
const enough = (text) => text.trim().length >= (CJK.test(text) ? 1 : 2);

// Where a search goes: into the folders that are chosen now, remembering where one came from.
function words(text) {
  const found = new URLSearchParams({ q: text });
  const { box: slug, in: scope, was } = listing().dataset;
  if (searching() && scope) found.set("in", scope);
  const from = searching() ? was : slug === "starred" ? "" : slug;
  if (from) found.set("was", from);
  return found;
}

async function find(text, force) {
  clearTimeout(timer);
  if (searching() && !force && listing().dataset.asked === text) return;
  if (!searching()) came = location.pathname + location.search;
  const url = box().form.dataset.base + "?" + words(text);
  const push = !searching();
  box().form.classList.add("search--busy");
  try {
    await load(url, { push, focus: false });
    // one step back leads to where the search began, however many letters it took
    if (!push && searching() && listing().dataset.asked === text && !document.querySelector("#read .thread")) history.replaceState(history.state, "", url);
  } finally {
    box().form.classList.remove("search--busy");
  }
}

function typed() {
  clearTimeout(timer);
  const text = box().value;
  if (!listing()) return;
  if (enough(text)) timer = setTimeout(() => find(text), REST);
  else if (!text.trim() && searching()) timer = setTimeout(back, REST);
}

// An empty box: back to where one was.
function back() {
  if (box().value.trim() || !searching()) return;
  load(came || root() + "/mail/" + (listing().dataset.was || "inbox"), { focus: false });
}

function shown() {
  clearTimeout(timer);
  const field = box();
  if (!field) return;
  if (searching()) {
    document.getElementById("search-said").textContent = listing().dataset.said;
    if (document.activeElement !== field) field.value = listing().dataset.asked;
  } else if (document.activeElement !== field) {
    field.value = "";
  }
}

export function begin() {
  if (!box()) return;
  box().addEventListener("input", (event) => { if (!event.isComposing) typed(); });
  box().addEventListener("compositionend", typed);
  box().addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && searching()) {
      const link = document.querySelector("#list .msg-row__link");
      if (!link) return;
      event.preventDefault();
      link.focus();
    }
  });
  box().form.addEventListener("submit", (event) => {
    if (!listing()) return;
    event.preventDefault();
    find(box().value, true);
  });
  document.addEventListener("mail:shown", shown);
}
