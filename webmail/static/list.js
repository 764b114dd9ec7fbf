// The list: which row is open, which rows are chosen, and which pane a phone shows.

let bound = false;

function select(thread) {
  document.querySelectorAll(".msg-row--selected").forEach((row) => {
    row.classList.remove("msg-row--selected");
    row.querySelector(".msg-row__link").removeAttribute("aria-current");
  });
  const row = document.getElementById("t" + thread);
  if (!row) return;
  row.classList.add("msg-row--selected");
  row.querySelector(".msg-row__link").setAttribute("aria-current", "true");
}

// A phone shows one pane: the conversation where one is open.
function view() {
  const thread = document.querySelector("#read .thread");
  document.body.dataset.view = thread ? "message" : "list";
  if (thread) select(thread.dataset.thread);
}

export function rows() {
  if (bound) return;
  bound = true;
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "read") view();
  });
  // going back swaps the whole page, but not what stands on <body>
  document.body.addEventListener("htmx:historyRestore", view);
  document.body.addEventListener("change", (event) => {
    const box = event.target.closest(".msg-row__check input");
    if (box) box.closest(".msg-row").classList.toggle("msg-row--checked", box.checked);
  });
}
