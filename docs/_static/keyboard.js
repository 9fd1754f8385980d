// Code and tables that are wider than the screen scroll: by the arrow keys too, once they are reached.
function addStops() {
  for (const part of document.querySelectorAll("pre, .table-wrapper")) {
    if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
  }
}
addEventListener("load", addStops);
addEventListener("resize", addStops);
