// The seconds in which a sending can be undone, counted down; then back to the list.

const line = document.getElementById("undo");

if (line) {
  const until = Date.now() + Number(line.dataset.left) * 1000;
  const shown = line.textContent;
  const tick = () => {
    const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
    line.textContent = shown.replace(line.dataset.left, String(left));
    if (left === 0) {
      clearInterval(timer);
      location.assign(line.dataset.next);
    }
  };
  const timer = setInterval(tick, 500);
  document.addEventListener("keydown", (event) => {
    if (event.key === "z" && !event.isComposing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      clearInterval(timer);
      document.querySelector("form[action$='/undo']").requestSubmit();
    }
  });
}
