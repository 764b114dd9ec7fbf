// Writing: the draft is saved by itself, files go up as they are chosen, Ctrl+Enter sends. One thing at a time.
// The page is left only when the server would take what is on it: whoever was signed out keeps the text and signs in
// in another window.

const form = document.getElementById("compose");
const REST = 2000;
const REST_LARGE = 15000;
const LARGE = 2000000;
const MENTIONED = /\b(attach(ed|ment|ments|ing)?|enclosed)\b|附件|附上/i;

let queue = Promise.resolve();
let timer = 0;
let changed = false;
let sending = false;
let passing = false;
let leaving = false;
let weight = 0;

function field(name) {
  return form.elements[name];
}

function say(text) {
  document.getElementById("c-state").textContent = text;
}

function data(action) {
  const all = new FormData(form);
  all.delete("files");
  all.set("do", action);
  return new URLSearchParams([...all.entries()]);
}

function take(state) {
  field("version").value = state.version;
  field("source").value = state.source;
  weight = state.files.reduce((sum, file) => sum + file.size, 0);
  const list = document.getElementById("c-files");
  list.replaceChildren(...state.files.map(card));
}

function size(count) {
  const units = ["B", "KB", "MB"];
  let at = 0;
  while (count >= 1000 && at < 2) { count /= 1000; at += 1; }
  return new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: at > 1 ? 1 : 0 }).format(count) + " " + units[at];
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  if (text) made.textContent = text;
  return made;
}

function card(file) {
  const item = element("li", "file");
  const meta = element("span", "file__meta");
  meta.append(element("span", "file__name", file.name), element("span", "file__size num", size(file.size)));
  const keep = element("label", "composer__keep");
  const box = element("input", "checkbox");
  Object.assign(box, { type: "checkbox", name: "keep", value: String(file.number), checked: true });
  keep.append(box, element("span", "visually-hidden", file.name));
  item.append(element("span", "file__kind " + file.colour, file.kind), meta, keep);
  return item;
}

function bearer(page) {
  return page.querySelector(".account__mail")?.textContent;
}

// Who is signed in now? After another sign-in the old token is worth nothing; the new one stands on every page.
async function admitted() {
  const notice = document.getElementById("c-away");
  const answer = await fetch(form.action, { headers: { "HX-Request": "true" } });
  if (!answer.ok && answer.status !== 401 && answer.status !== 403) throw new Error(String(answer.status));
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("meta[name=csrf]");
  const same = fresh !== null && bearer(page) === bearer(document);
  if (same) {
    document.querySelectorAll("input[name=csrf]").forEach((one) => { one.value = fresh.content; });
    document.querySelector("meta[name=csrf]").content = fresh.content;
  } else {
    say("");
  }
  notice.hidden = same;
  return same;
}

async function known() {
  try {
    return await admitted();
  } catch {
    say(form.dataset.unsaved);
    return false;
  }
}

async function post(action, keepalive) {
  return fetch(form.action, { method: "POST", headers: { "HX-Request": "true" }, body: data(action), redirect: "manual", keepalive });
}

async function save(keepalive = false) {
  if (!changed || leaving) return true;
  changed = false;
  say(form.dataset.saving);
  try {
    let answer = await post("save", keepalive && weight < LARGE);
    if (answer.status === 401 || answer.status === 403) {
      if (!(await admitted())) {
        changed = true;
        return false;
      }
      answer = await post("save", keepalive && weight < LARGE);
    }
    if (answer.status === 409) {
      say(form.dataset.changed);
      return false;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    take(await answer.json());
    say(form.dataset.saved);
    return true;
  } catch {
    changed = true;
    say(form.dataset.unsaved);
    return false;
  }
}

function later(work) {
  queue = queue.then(work, work);
  return queue;
}

function touched() {
  changed = true;
  clearTimeout(timer);
  timer = setTimeout(() => later(save), weight > LARGE ? REST_LARGE : REST);
}

function upload(file) {
  const progress = document.getElementById("c-progress");
  const query = new URLSearchParams({ key: field("key").value, version: field("version").value, name: file.name });
  return new Promise((done) => {
    const call = new XMLHttpRequest();
    call.open("POST", form.dataset.upload + "?" + query);
    call.setRequestHeader("X-CSRF-Token", document.querySelector("meta[name=csrf]").content);
    call.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    progress.hidden = false;
    progress.value = 0;
    say(form.dataset.uploading + " " + file.name);
    call.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) progress.value = (100 * event.loaded) / event.total;
    });
    call.addEventListener("loadend", () => {
      progress.hidden = true;
      if (call.status === 200) {
        take(JSON.parse(call.responseText));
        say(form.dataset.saved);
      } else {
        const why = call.status === 413 ? form.dataset.large : call.responseText.length < 200 ? call.responseText : "";
        if (call.status === 401 || call.status === 403) known();
        say(form.dataset.failed + ": " + file.name + (why ? ". " + why : ""));
      }
      done();
    });
    call.send(file);
  });
}

function add(files) {
  [...files].forEach((file) => later(async () => {
    if (field("version").value === "0") changed = true;
    if (await save()) await upload(file);
  }));
}

function forgotten(button) {
  const own = field("text").value.split("\n").filter((line) => !line.startsWith(">")).join("\n");
  const bare = !form.querySelector("[name=keep]:checked");
  return button !== null && button.value === "send" && bare && MENTIONED.test(own);
}

async function go(button) {
  if (forgotten(button) && !window.confirm(form.dataset.missing)) return;
  clearTimeout(timer);
  await queue;
  // this also lets the submit event end, during which a form cannot be sent
  if (!(await known())) return;
  changed = false;
  leaving = true;
  passing = true;
  form.requestSubmit(button);
  passing = false;
  form.querySelectorAll("button").forEach((one) => { one.disabled = true; });
}

function start() {
  form.classList.add("composer--script");
  // what was sent is undone where one goes on (sent.js), not on a page of its own
  form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "toast", value: "1" }));
  form.addEventListener("input", (event) => { if (event.target.type !== "file") touched(); });
  form.addEventListener("change", (event) => {
    if (event.target.type !== "file") return;
    add(event.target.files);
    event.target.value = "";
  });
  form.addEventListener("dragover", (event) => { event.preventDefault(); form.classList.add("composer--over"); });
  form.addEventListener("dragleave", () => form.classList.remove("composer--over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("composer--over");
    add(event.dataTransfer.files);
  });
  form.addEventListener("submit", (event) => {
    if (passing) return;
    event.preventDefault();
    // a second click, or a second Ctrl+Enter, asks for what is under way
    if (sending || leaving) return;
    sending = true;
    go(event.submitter).finally(() => { sending = false; });
  });
  form.addEventListener("keydown", (event) => {
    if (event.isComposing || !(event.ctrlKey || event.metaKey)) return;
    if (event.key === "Enter") form.requestSubmit(form.querySelector("button[value=send]"));
    else if (event.key === "s") { changed = true; later(save); }
    else return;
    event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") later(() => save(true));
    else if (changed) touched();
  });
  // asked only while the text is nowhere but here
  addEventListener("beforeunload", (event) => { if (changed && !leaving && !document.getElementById("c-away").hidden) event.preventDefault(); });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

if (form) start();
