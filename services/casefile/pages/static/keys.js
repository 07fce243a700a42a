// Keys of a list: j and k move between its rows, Enter follows the link that has the focus, as it does anywhere.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const step = { j: 1, k: -1 }[event.key];
  const rows = [...document.querySelectorAll("[data-rows] th a")];
  if (!step || rows.length === 0) return;
  const now = rows.indexOf(document.activeElement);
  rows[Math.min(Math.max(now + step, 0), rows.length - 1)].focus();
});
// Where a form came back with problems, that is what is read first.
document.getElementById("problems")?.focus();
