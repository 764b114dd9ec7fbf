// Writing: the draft is saved by itself, files go up as they are chosen, Ctrl+Enter sends. One thing at a time.

const form = document.getElementById("compose");
const REST = 2000;
const REST_LARGE = 15000;
const LARGE = 2000000;
const MENTIONED = /\b(attach(ed|ment|ments|ing)?|enclosed)\b|附件|附上/i;

let queue = Promise.resolve();
let timer = 0;
let changed = false;
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

async function post(action, keepalive) {
  return fetch(form.action, { method: "POST", headers: { "HX-Request": "true" }, body: data(action), redirect: "manual", keepalive });
}

async function save(keepalive = false) {
  if (!changed || leaving) return true;
  changed = false;
  say(form.dataset.saving);
  try {
    const answer = await post("save", keepalive && weight < LARGE);
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
        say(form.dataset.failed + ": " + file.name + (call.responseText.length < 200 ? ". " + call.responseText : ""));
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
  form.addEventListener("submit", async (event) => {
    if (leaving) return;
    event.preventDefault();
    const button = event.submitter;
    const own = field("text").value.split("\n").filter((line) => !line.startsWith(">")).join("\n");
    const bare = !form.querySelector("[name=keep]:checked");
    if (button && button.value === "send" && bare && MENTIONED.test(own) && !window.confirm(form.dataset.missing)) return;
    clearTimeout(timer);
    await queue;
    // a form cannot be sent while its submit event is on its way
    await new Promise((done) => setTimeout(done));
    changed = false;
    leaving = true;
    form.requestSubmit(button);
    form.querySelectorAll("button").forEach((one) => { one.disabled = true; });
  });
  form.addEventListener("keydown", (event) => {
    if (event.isComposing || !(event.ctrlKey || event.metaKey)) return;
    if (event.key === "Enter") form.requestSubmit(form.querySelector("button[value=send]"));
    else if (event.key === "s") { changed = true; later(save); }
    else return;
    event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") later(() => save(true)); });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

if (form) start();
