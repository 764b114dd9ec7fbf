// The sentence about what was just done, with its button, for eight seconds; longer while somebody is at it.

const SECONDS = 8;

let timer = 0;
let undo = null;

function region() {
  return document.getElementById("toasts");
}

export function hide() {
  clearTimeout(timer);
  const place = region();
  if (place) place.replaceChildren();
}

function arm(seconds) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (region().matches(":hover, :focus-within")) arm(2);
    else hide();
  }, seconds * 1000);
}

// `undoing` is called once, by the button or by `z`, also after the toast is gone.
export function show(text, undoing = null, seconds = SECONDS) {
  const place = region();
  if (!place) return;
  const made = document.createElement("div");
  made.className = "toast";
  const said = document.createElement("span");
  said.textContent = text;
  made.append(said);
  undo = undoing;
  if (undoing) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "toast__action", textContent: place.dataset.label });
    button.title = place.dataset.label + " (z)";
    button.addEventListener("click", undoLast);
    made.append(button);
  }
  place.replaceChildren(made);
  arm(seconds);
}

export function failed(error) {
  show((error && error.said) || region().dataset.failed);
}

export function undoLast() {
  const work = undo;
  undo = null;
  if (!work) return false;
  hide();
  work();
  return true;
}

// A toast that came with the page: its form works without us; `undoing` gets its number.
export function adopt(undoing) {
  const form = region() && region().querySelector("form");
  if (region() && region().firstElementChild) arm(SECONDS);
  if (!form) return;
  undo = () => undoing(form.querySelector("button").value);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    undoLast();
  });
}
